// What the page says beside the conversation: a passing line for everybody, a line for screen readers.

import { byId } from "./dom.js";

const TOAST_MS = 6000;

let timer = 0;

/** Show a sentence for some seconds. */
export function toast(sentence) {
  const line = byId("toast");
  line.textContent = sentence;
  line.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (line.hidden = true), TOAST_MS);
}

/** Tell a screen reader something that others see for themselves. */
export function announce(words) {
  byId("announcer").textContent = words;
}
