// The commands that fit what is being typed, above the box.

import { byId, element } from "./dom.js";
import { commands } from "./words.js";

export class Suggestions {
  #list = byId("suggestions");
  #text;
  #onChoose;
  #fitting = [];
  #chosen = -1;
  #refused = null;

  /** `onChoose(text)` is called with what should stand in the box. */
  constructor(text, onChoose) {
    this.#text = text;
    this.#onChoose = onChoose;
    text.addEventListener("blur", () => this.#hide());
    text.addEventListener("focus", () => this.refresh());
    // A click would take the focus from the box before it arrives.
    this.#list.addEventListener("mousedown", (event) => event.preventDefault());
  }

  /** Look at what is typed. */
  refresh() {
    const typed = /^\/[a-z]*$/i.test(this.#text.value) ? this.#text.value.slice(1).toLowerCase() : null;
    if (typed !== this.#refused) this.#refused = null;
    const wanted = typed !== null && this.#refused === null && document.activeElement === this.#text;
    const fitting = wanted ? commands.filter(({ word }) => word.startsWith(typed) && word !== typed) : [];
    const same = fitting.length === this.#fitting.length && fitting.every((each, index) => each === this.#fitting[index]);
    if (same) return;
    this.#fitting = fitting;
    this.#chosen = -1;
    this.#paint();
  }

  /** Whether a key was meant for the list. */
  takes(event) {
    if (this.#list.hidden || event.isComposing) return false;
    switch (event.key) {
      case "ArrowDown":
        this.#move(1);
        break;
      case "ArrowUp":
        this.#move(-1);
        break;
      case "Tab":
        this.#choose(Math.max(0, this.#chosen));
        break;
      case "Enter":
        if (this.#chosen < 0) return false;
        this.#choose(this.#chosen);
        break;
      case "Escape":
        this.#refused = this.#text.value.slice(1).toLowerCase();
        this.refresh();
        break;
      default:
        return false;
    }
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #move(by) {
    const count = this.#fitting.length;
    this.#chosen = this.#chosen < 0 && by < 0 ? count - 1 : (this.#chosen + by + count) % count;
    this.#paint();
  }

  #choose(index) {
    const { word, takes } = this.#fitting[index];
    this.#onChoose(takes ? `/${word} ` : `/${word}`);
  }

  #hide() {
    this.#fitting = [];
    this.#chosen = -1;
    this.#paint();
  }

  #paint() {
    const options = this.#fitting.map(({ word, about }, index) => {
      const option = element("li", "", element("b", "", `/${word}`), element("span", "", about));
      option.id = `suggestion-${word}`;
      option.role = "option";
      option.ariaSelected = String(index === this.#chosen);
      option.addEventListener("click", () => this.#choose(index));
      return option;
    });
    this.#list.replaceChildren(...options);
    this.#list.hidden = options.length === 0;
    const chosen = options[this.#chosen];
    chosen?.scrollIntoView({ block: "nearest" });
    if (chosen) this.#text.setAttribute("aria-activedescendant", chosen.id);
    else this.#text.removeAttribute("aria-activedescendant");
  }
}
