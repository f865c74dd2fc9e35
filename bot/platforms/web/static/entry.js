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
  /** Pictures are asked for, so that places for them are kept free. */
  draws = false;
  pictures = [];
  messages = [];
  /** What this page sends, or sent, as the composer made it. */
  message = null;
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
  #painted = new WeakMap();
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
    const status = this.messages.at(-1)?.status ?? null;
    let line = this.#answered.querySelector(".status");
    if (line === null) {
      this.#painted.delete(this.#answered);
      const sign = element("span", "sign", icon("janus"), icon("pause"));
      line = element("div", "status", sign, element("p"), element("progress"));
      this.#answered.replaceChildren(line);
    }
    this.#paintPlaces(this.messages.flatMap((message) => message.previews ?? []));
    line.classList.toggle("paused", status?.activity === "paused");
    this.#paintPart(line.querySelector("p"), status, () => (status ? statusLines(status) : [say("sending")]));
    const bar = line.querySelector("progress");
    const share = status?.share ?? null;
    bar.hidden = share === null;
    bar.ariaLabel = say("progress");
    if (share !== null) bar.value = share;
  }

  /** Pictures that are being made, each in its place; the one before stays until the next can be seen. */
  #paintPlaces(previews) {
    if (!this.draws && previews.length === 0) return;
    let places = this.#answered.querySelector(".places");
    if (places === null) {
      places = element("div", "places", ...Array.from({ length: PICTURES }, () => element("div", "place")));
      this.#answered.append(places);
    }
    if (previews.length > 0) {
      places.role = "img";
      places.ariaLabel = previews[0].alt;
    }
    previews.forEach(({ url }, index) => {
      const place = places.children[index] ?? places.appendChild(element("div", "place"));
      if (place.dataset.url === url) return;
      place.dataset.url = url;
      const image = element("img");
      image.alt = "";
      image.src = url;
      // What cannot be had was finished meanwhile, or is replaced soon.
      image.decode().then(() => place.dataset.url === url && place.replaceChildren(image), () => {});
    });
  }

  #buildAnswered(messages) {
    const drawn = [...this.#answered.querySelectorAll(".place")].map((place) => place.firstElementChild);
    if (this.removed) return [element("p", "gone", icon("bin"), say("removed"))];
    const parts = [];
    const explained = messages.some((message) => message.note);
    for (const { html, note, mood, pictures } of messages) {
      // Where nothing else says how it ended, the text does.
      const ends = !explained && (mood === "failed" || mood === "stopped");
      if (html) parts.push(ends ? verdict(mood, html) : rendered("div", "prose", html));
      if (note) parts.push(verdict(mood, note));
      if (pictures.length > 0) parts.push(element("div", "gallery", ...this.#tiles(pictures, drawn)));
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

  /** `drawn` are pictures that stay in the place of these until they can be seen. */
  #tiles(pictures, drawn = []) {
    return pictures.map((picture, index) => {
      const image = element("img");
      image.src = picture.url;
      image.alt = picture.alt;
      image.loading = "lazy";
      image.decoding = "async";
      const before = drawn[index];
      if (before) {
        image.loading = "eager";
        const change = () => before.replaceWith(image);
        image.decode().then(change, change);
      }
      const tile = button("tile", before ?? image, () => this.#actions.onOpen(pictures, index));
      tile.ariaLabel = say("open", { name: picture.alt });
      return tile;
    });
  }
}

/** HTML that the server rendered and escaped; scripts are refused by the page's policy besides. */
function rendered(tag, className, html) {
  const node = element(tag, className);
  node.innerHTML = html;
  return node;
}

/** What is being done: after a restart, the line itself, how long it will take, the Space's own words. */
function statusLines({ html, remaining, note, resumed }) {
  const doing = rendered("span", "doing", html);
  if (remaining) doing.append(` · ${remaining}`);
  const lines = [doing];
  if (resumed) lines.unshift(rendered("span", "resumed", resumed));
  if (note) lines.push(rendered("span", "log", note));
  return lines;
}

/** How an answer ended, in a sentence with its sign. */
function verdict(mood, html) {
  return element("div", "verdict", mark(mood), rendered("div", "prose", html));
}

/** The sign of how an answer ended. */
function mark(mood) {
  const [sign, word] = MARKS[mood];
  const node = element("span", `mark-${mood}`, icon(sign));
  node.role = "img";
  node.ariaLabel = node.title = say(word);
  return node;
}
