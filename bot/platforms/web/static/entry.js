// One question and its answer on the page.

import { buttonRows } from "./buttons.js";
import { button, element, icon } from "./dom.js";
import { say } from "./words.js";

/** How many pictures a drawing brings, for the places kept free while it is made. */
const PICTURES = 5;

const MARKS = {
  working: ["janus", "working"],
  done: ["check", "done"],
  failed: ["warning", "failed"],
  stopped: ["stop", "stopped"],
};

export class Entry {
  question = "";
  pictures = [];
  files = [];
  messages = [];
  accepted = false;
  removed = false;
  /** A reply to something that this page has not heard of yet. */
  stray = false;
  problem = null;
  element = element("article", "entry");
  #asked = element("div", "asked");
  #answered = element("div", "answered");
  #under = element("div", "under");
  #tools = element("div", "tools");
  #painted = new Map();
  #actions;

  /** `actions`: onSendAgain(entry), onEdit(entry), onRetry(), onOpen(pictures, index), onPress(press, entry). */
  constructor(id, actions) {
    this.id = id;
    this.#actions = actions;
    this.element.dataset.message = id;
    this.element.tabIndex = -1;
    this.element.append(this.#asked, this.#answered, this.#under, this.#tools);
  }

  /** Nothing is going to change any more. */
  get finished() {
    return this.removed || (this.messages.length > 0 && this.messages.at(-1).mood !== "working");
  }

  get working() {
    return this.accepted && !this.finished;
  }

  /** As the server's moods, or unsent, removed, told. */
  get mood() {
    if (this.problem) return "unsent";
    if (this.removed) return "removed";
    return this.messages.at(-1)?.mood ?? (this.accepted ? "working" : "told");
  }

  /** Take the newest state of the reply. */
  take(messages) {
    this.accepted = true;
    this.problem = null;
    this.removed = messages.length === 0;
    this.messages = messages;
    this.paint();
  }

  paint() {
    this.element.dataset.mood = this.mood;
    this.#paintPart(this.#asked, [this.question, this.pictures, this.problem], () => this.#buildAsked());
    const shown = this.accepted && !this.problem && !this.removed ? this.messages : [];
    if (this.working && !shown.some((message) => message.html)) {
      this.#paintWorking();
    } else {
      this.#paintPart(this.#answered, [this.removed, shown], () => this.#buildAnswered(shown));
    }
    const rows = shown.flatMap((message) => message.buttons);
    const press = (each) => this.#actions.onPress(each, this);
    this.#paintPart(this.#under, rows, () => buttonRows(rows, press));
    this.#paintPart(this.#tools, [this.mood, shown], () => this.#buildTools(shown));
  }

  /** Rebuild a part only when what it shows has changed: selections, pictures and the focus stay. */
  #paintPart(part, state, build) {
    const key = JSON.stringify(state);
    if (this.#painted.get(part) === key) return;
    this.#painted.set(part, key);
    const held = part.contains(document.activeElement) ? document.activeElement.dataset.action : null;
    part.replaceChildren(...build());
    if (held === null) return;
    const again = [...part.querySelectorAll("[data-action]")].find((node) => node.dataset.action === held);
    (again ?? this.element).focus({ preventScroll: true });
  }

  #buildAsked() {
    const parts = [];
    if (this.pictures.length > 0) parts.push(element("div", "shown", ...this.#tiles(this.pictures)));
    const command = /^\/[a-z]+(?=\s|$)/i.exec(this.question)?.[0] ?? "";
    if (this.question) {
      const text = element("p", "bubble", this.question.slice(command.length));
      if (command) text.prepend(element("span", "command", command));
      parts.push(text);
    }
    if (this.problem) parts.push(this.#buildProblem());
    return parts;
  }

  #buildProblem() {
    const problem = element("p", "problem", say("not-sent", { what: this.problem.sentence }));
    problem.append(
      this.problem.again
        ? button("quiet", say("send-again"), () => this.#actions.onSendAgain(this), "retry")
        : button("quiet", say("change"), () => this.#actions.onEdit(this)),
    );
    return problem;
  }

  #paintWorking() {
    const { status, progress, paused } = this.messages.at(-1) ?? {};
    let line = this.#answered.querySelector(".status");
    if (line === null) {
      this.#painted.delete(this.#answered);
      const sign = element("span", "sign", icon("janus"), icon("pause"));
      line = element("div", "status", sign, element("p"), element("progress"));
      this.#answered.replaceChildren(line);
      if (this.question.startsWith("/imagine")) {
        const places = Array.from({ length: PICTURES }, () => element("div", "place"));
        this.#answered.append(element("div", "places", ...places));
      }
    }
    line.classList.toggle("paused", Boolean(paused));
    line.querySelector("p").textContent = status || say("sending");
    const bar = line.querySelector("progress");
    bar.hidden = progress === null || progress === undefined;
    bar.ariaLabel = say("progress");
    if (!bar.hidden) bar.value = progress;
  }

  #buildAnswered(messages) {
    if (this.removed) return [element("p", "gone", icon("bin"), say("removed"))];
    const parts = [];
    for (const message of messages) {
      if (message.html) {
        const text = element("div", "prose");
        // Rendered and escaped by the server; scripts are refused by the page's policy besides.
        text.innerHTML = message.html;
        const marked = message.mood === "failed" || message.mood === "stopped";
        parts.push(marked ? element("div", "verdict", mark(message.mood), text) : text);
      }
      if (message.pictures.length > 0) {
        parts.push(element("div", "gallery", ...this.#tiles(message.pictures)));
      }
    }
    return parts;
  }

  #buildTools(messages) {
    if (messages.length === 0) return [];
    if (this.working) return messages.some((message) => message.html) ? [mark("working")] : [];
    const tools = this.mood === "done" ? [mark("done")] : [];
    const text = messages.map((message) => message.html).join("");
    if (text && this.mood === "done" && navigator.clipboard) {
      const copy = button("quiet", say("copy"), async () => {
        const prose = [...this.#answered.querySelectorAll(".prose")];
        await navigator.clipboard.writeText(prose.map((part) => part.innerText).join("\n"));
        copy.lastChild.textContent = say("copied");
      }, "copy");
      tools.push(copy);
    }
    // Where the bot offers what to do next, that is enough.
    if (messages.every((message) => message.buttons.length === 0)) {
      const words = this.mood === "done" ? say("again") : say("try-again");
      tools.push(button("quiet retry", words, () => this.#actions.onRetry(), "retry"));
    }
    return tools;
  }

  #tiles(pictures) {
    return pictures.map((picture, index) => {
      const image = element("img");
      image.src = picture.url;
      image.alt = picture.alt;
      image.loading = "lazy";
      image.decoding = "async";
      const tile = button("tile", image, () => this.#actions.onOpen(pictures, index));
      tile.ariaLabel = say("open", { name: picture.alt });
      return tile;
    });
  }
}

/** The sign of how an answer ended. */
function mark(mood) {
  const [sign, word] = MARKS[mood];
  const node = element("span", `mark-${mood}`, icon(sign));
  node.role = "img";
  node.ariaLabel = node.title = say(word);
  return node;
}
