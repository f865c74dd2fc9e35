// A card with something that the bot says about itself; not part of the conversation.

import { buttonRows } from "./buttons.js";
import { button, element, icon } from "./dom.js";
import { say, size } from "./words.js";

export class Note {
  element = element("section", "note");
  #handlers;

  /** `onPress(press, note)` as in buttons.js, `onOpen(pictures, index)`, `onClose()`. */
  constructor(notice, handlers) {
    this.#handlers = handlers;
    this.element.tabIndex = -1;
    this.element.ariaLabel = say("note");
    this.show(notice);
  }

  show({ html, files, buttons }) {
    const prose = element("div", "prose");
    prose.innerHTML = html; // Rendered and escaped by the server.
    const close = button("close", "", () => this.close(), "close");
    close.ariaLabel = close.title = say("close");
    const rows = buttonRows(buttons, (press) => this.#handlers.onPress(press, this));
    this.element.replaceChildren(close, prose, ...files.map((file) => this.#file(file)), ...rows);
  }

  /** Show something else in the same place, and keep the focus at a button that stays. */
  replace(notice, pressed) {
    this.show(notice);
    const buttons = [...this.element.querySelectorAll("[data-action]")];
    (buttons.find((node) => node.dataset.action === pressed) ?? this.element).focus({ preventScroll: true });
  }

  close() {
    this.element.remove();
    this.#handlers.onClose();
  }

  get text() {
    return this.element.querySelector(".prose").textContent.trim();
  }

  #file({ url, name, type, size: bytes }) {
    const link = element("a", "file", icon(type.startsWith("image/") ? "download" : "file"));
    link.append(element("span", "name", name), element("span", "size", size(bytes)));
    link.href = url;
    link.download = name;
    if (!type.startsWith("image/")) return link;
    const image = element("img");
    image.src = url;
    image.alt = "";
    const tile = button("tile", image, () => this.#handlers.onOpen([{ url, name, alt: name }], 0));
    tile.ariaLabel = say("open", { name });
    return element("div", "handed", tile, link);
  }
}
