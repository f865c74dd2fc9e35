// One picture large, with its neighbours a key away.

import { byId } from "./dom.js";
import { say } from "./words.js";

export class Lightbox {
  #dialog = byId("lightbox");
  #image = byId("lightbox-image");
  #caption = byId("lightbox-caption");
  #download = byId("lightbox-download");
  #pictures = [];
  #index = 0;

  constructor() {
    byId("lightbox-close").addEventListener("click", () => this.#dialog.close());
    byId("lightbox-previous").addEventListener("click", () => this.#step(-1));
    byId("lightbox-next").addEventListener("click", () => this.#step(1));
    this.#dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.#step(-1);
      if (event.key === "ArrowRight") this.#step(1);
    });
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
  }

  get isOpen() {
    return this.#dialog.open;
  }

  show(pictures, index) {
    this.#pictures = pictures;
    this.#index = index;
    this.#dialog.classList.toggle("single", pictures.length < 2);
    this.#paint();
    this.#dialog.showModal();
  }

  #step(by) {
    this.#index = (this.#index + by + this.#pictures.length) % this.#pictures.length;
    this.#paint();
  }

  #paint() {
    const picture = this.#pictures[this.#index];
    this.#image.src = picture.url;
    this.#image.alt = picture.alt;
    this.#caption.textContent = picture.alt;
    this.#download.href = picture.url;
    this.#download.download = picture.name || say("picture");
  }
}
