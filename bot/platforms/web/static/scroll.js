// Keeps the newest line in sight, unless the person has scrolled up to read.

import { byId } from "./dom.js";

const NEAR_BOTTOM_PX = 120;

export class Follower {
  #scroller = byId("scroller");
  #jump = byId("jump");
  #following = true;

  constructor(list) {
    this.#jump.addEventListener("click", () => this.toBottom());
    this.#scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    // A picture that loads late must not push the newest line out of sight.
    list.addEventListener("load", () => this.follow(), { capture: true });
  }

  follow() {
    if (this.#following) this.toBottom();
  }

  toBottom() {
    this.#following = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#jump.hidden = true;
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
    this.#jump.hidden = this.#following;
  }
}
