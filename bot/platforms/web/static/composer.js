// Where a message is written: text, pictures picked, dropped or pasted, and the one button.

import { button, byId, element, icon } from "./dom.js";
import { Suggestions } from "./suggestions.js";
import { limits, say } from "./words.js";

const MAX_HEIGHT_PX = 220;

export class Composer {
  #form = byId("composer");
  #text = byId("text");
  #added = byId("added");
  #options = byId("options");
  #send = byId("send");
  #drop = byId("drop");
  #files = [];
  /** Seed and guidance of a drawing whose prompt is being changed. */
  #drawing = null;
  #working = false;
  #handlers;
  #suggestions = new Suggestions(this.#text, (text) => this.fill(text));

  /** `onSend({text, files, drawing})`, `onStop()`, `onProblem(sentence)`. */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("input", () => this.#refresh());
    this.#text.addEventListener("keydown", (event) => this.#onKey(event));
    const picker = byId("files");
    byId("pick").addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      this.add(picker.files);
      picker.value = "";
    });
    document.addEventListener("paste", (event) => {
      if (event.clipboardData.files.length === 0) return;
      event.preventDefault();
      this.add(event.clipboardData.files);
    });
    this.#listenForDrops();
  }

  get isEmpty() {
    return this.#text.value.trim() === "" && (this.#files.length === 0 || this.#drawing !== null);
  }

  /** Put text into the box, ready to be changed: with `drawing`, the prompt of one with its options. */
  fill(text, files = [], drawing = null) {
    this.#text.value = text;
    this.#setDrawing(drawing && { seed: drawing.seed, guidance: drawing.guidance });
    this.add(files);
    this.#refresh();
    this.focus();
    this.#text.setSelectionRange(text.length, text.length);
  }

  focus() {
    this.#text.focus();
  }

  clear() {
    this.#text.value = "";
    this.#files = [];
    this.#setDrawing(null);
    this.#showFiles();
    this.#refresh();
  }

  /** Whether there is something to stop. */
  set working(working) {
    this.#working = working;
    this.#refresh();
  }

  add(files) {
    for (const file of files) {
      if (!file.type.startsWith("image/")) {
        this.#handlers.onProblem(say("not-a-picture", { name: file.name }));
      } else if (file.size > limits.bytes) {
        this.#handlers.onProblem(say("picture-too-large", { name: file.name }));
      } else if (this.#files.length >= limits.files) {
        this.#handlers.onProblem(say("too-many"));
      } else {
        this.#files.push(file);
      }
    }
    this.#showFiles();
    this.#refresh();
  }

  #submit() {
    if (this.#stops()) {
      this.#handlers.onStop();
    } else if (!this.isEmpty) {
      const text = this.#text.value.trim();
      // A command that is typed in place of the prompt is that command.
      const message = { text, files: this.#files, drawing: text.startsWith("/") ? null : this.#drawing };
      if (new TextEncoder().encode(message.text).length > limits.text) {
        this.#handlers.onProblem(say("too-long"));
        return;
      }
      this.clear();
      this.#handlers.onSend(message);
    }
    this.focus();
  }

  #stops() {
    return this.#working && this.isEmpty;
  }

  #onKey(event) {
    if (this.#suggestions.takes(event)) return;
    // On a phone Enter makes a new line: its keyboard has no Shift+Enter.
    const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (!sends || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    if (!this.isEmpty) this.#submit();
  }

  #refresh() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, MAX_HEIGHT_PX)}px`;
    this.#suggestions.refresh();
    const [label, sign] = this.#stops() ? [say("stop"), "stop"] : [say("send"), "send"];
    if (this.#send.ariaLabel !== label) {
      this.#send.ariaLabel = this.#send.title = label;
      this.#send.replaceChildren(icon(sign));
    }
    this.#send.disabled = this.isEmpty && !this.#working;
  }

  #setDrawing(drawing) {
    this.#drawing = drawing;
    const { seed = null, guidance = null } = drawing ?? {};
    const chips = [];
    if (drawing) chips.push(this.#chip("/imagine", null));
    if (seed !== null) chips.push(this.#chip(`seed ${seed}`, { ...drawing, seed: null }));
    if (guidance !== null) chips.push(this.#chip(`guidance ${guidance}`, { ...drawing, guidance: null }));
    this.#options.replaceChildren(...chips);
    this.#options.hidden = chips.length === 0;
  }

  /** Something about the drawing that can be taken away; `without` is what is left of it then. */
  #chip(text, without) {
    const chip = button("chip", text, () => {
      this.#setDrawing(without);
      this.#refresh();
      this.focus();
    });
    chip.append(icon("close"));
    chip.ariaLabel = chip.title = say("remove", { name: text });
    return element("li", "", chip);
  }

  #showFiles() {
    for (const image of this.#added.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    this.#added.replaceChildren(...this.#files.map((file) => this.#thumbnail(file)));
    this.#added.hidden = this.#files.length === 0;
  }

  #thumbnail(file) {
    const image = element("img");
    image.src = URL.createObjectURL(file);
    image.alt = file.name;
    const remove = button("remove", "", () => {
      this.#files = this.#files.filter((other) => other !== file);
      this.#showFiles();
      this.#refresh();
      this.focus();
    }, "close");
    remove.ariaLabel = say("remove", { name: file.name });
    return element("li", "", image, remove);
  }

  #listenForDrops() {
    const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      this.#drop.hidden = false;
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) this.#drop.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      this.#drop.hidden = true;
      if (!carriesFiles(event)) return;
      event.preventDefault();
      this.add(event.dataTransfer.files);
      this.focus();
    });
  }
}
