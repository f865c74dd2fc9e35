// One question and its answer on the page.

import { button, element, icon } from "./dom.js";

/** How many pictures a drawing brings, for the places kept free while it is made. */
const PICTURES = 5;

export class Entry {
  question = "";
  pictures = [];
  files = [];
  messages = [];
  accepted = false;
  problem = null;
  element = element("article", "entry");
  #asked = element("div", "asked");
  #answered = element("div", "answered");
  #painted = new Map();
  #actions;

  /** `actions`: onSendAgain(entry), onEdit(entry), onRetry(), onOpen(pictures, index). */
  constructor(id, actions) {
    this.id = id;
    this.#actions = actions;
    this.element.dataset.message = id;
    this.element.append(this.#asked, this.#answered);
  }

  /** Nothing is going to change any more. */
  get finished() {
    return this.messages.length > 0 && this.messages.at(-1).mood !== "working";
  }

  get working() {
    return this.accepted && !this.finished;
  }

  get mood() {
    return this.messages.at(-1)?.mood ?? "working";
  }

  paint() {
    this.element.dataset.mood = this.problem ? "unsent" : this.mood;
    this.#paintPart(this.#asked, [this.question, this.pictures, this.problem], () => this.#buildAsked());
    if (this.problem) {
      this.#answered.replaceChildren();
      this.#painted.delete(this.#answered);
    } else if (this.working && !this.messages.some((message) => message.html)) {
      this.#paintWorking();
    } else {
      this.#paintPart(this.#answered, this.messages, () => this.#buildAnswered());
    }
  }

  /** Rebuild a part only when what it shows has changed, so that selections and pictures stay. */
  #paintPart(part, state, build) {
    const key = JSON.stringify(state);
    if (this.#painted.get(part) === key) return;
    this.#painted.set(part, key);
    part.replaceChildren(...build());
  }

  #buildAsked() {
    const parts = [];
    if (this.pictures.length > 0) {
      parts.push(element("div", "shown", ...this.#tiles(this.pictures, "Open your picture")));
    }
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
    const problem = element("p", "problem", `Not sent. ${this.problem.sentence} `);
    problem.append(
      this.problem.again
        ? button("quiet", "Send again", () => this.#actions.onSendAgain(this), "retry")
        : button("quiet", "Change it", () => this.#actions.onEdit(this)),
    );
    return problem;
  }

  #paintWorking() {
    const { status, progress } = this.messages.at(-1) ?? {};
    let line = this.#answered.querySelector(".status");
    if (line === null) {
      this.#painted.delete(this.#answered);
      line = element("div", "status", icon("janus"), element("p"), element("progress"));
      this.#answered.replaceChildren(line);
      if (this.question.startsWith("/imagine")) {
        const places = Array.from({ length: PICTURES }, () => element("div", "place"));
        this.#answered.append(element("div", "places", ...places));
      }
    }
    line.querySelector("p").textContent = status || "Sending…";
    const bar = line.querySelector("progress");
    bar.hidden = progress === null || progress === undefined;
    bar.ariaLabel = "Progress";
    if (!bar.hidden) bar.value = progress;
  }

  #buildAnswered() {
    const parts = [];
    for (const message of this.messages) {
      if (message.html) {
        const text = element("div", "prose");
        // Rendered and escaped by the server; scripts are refused by the page's policy besides.
        text.innerHTML = message.html;
        parts.push(text);
      }
      if (message.pictures.length > 0) {
        parts.push(element("div", "gallery", ...this.#tiles(message.pictures, "Open")));
      }
    }
    if (this.finished) parts.push(this.#buildTools());
    return parts;
  }

  #buildTools() {
    const tools = element("div", "tools");
    const text = this.messages.map((message) => message.html).join("");
    if (text && this.mood === "done" && navigator.clipboard) {
      const copy = button("quiet", "Copy", async () => {
        const prose = [...this.#answered.querySelectorAll(".prose")];
        await navigator.clipboard.writeText(prose.map((part) => part.innerText).join("\n"));
        copy.lastChild.textContent = "Copied";
      }, "copy");
      tools.append(copy);
    }
    const words = this.mood === "done" ? "Again" : "Try again";
    tools.append(button("quiet retry", words, () => this.#actions.onRetry(), "retry"));
    return tools;
  }

  #tiles(pictures, label) {
    return pictures.map((picture, index) => {
      const image = element("img");
      image.src = picture.url;
      image.alt = picture.alt;
      image.loading = "lazy";
      image.decoding = "async";
      const tile = button("tile", image, () => this.#actions.onOpen(pictures, index));
      tile.ariaLabel = `${label}: ${picture.alt}`;
      return tile;
    });
  }
}
