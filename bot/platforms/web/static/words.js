// The page's sentences and limits, as the server wrote them into the page for this visitor.

import { byId } from "./dom.js";

const said = JSON.parse(byId("said").textContent);

/** How much one message may carry: files, bytes of one, bytes of text. */
export const limits = said.limits;

/** What can be typed: each with its word, what it does, and whether something follows it. */
export const commands = said.commands;

/** A sentence of the catalogue, without `web-`, with values in place of their marks. */
export function say(key, values = {}) {
  return said.words[key].replace(/\{(\w+)\}/g, (mark, name) => values[name] ?? mark);
}

/** A number of bytes as people read it. */
export function size(bytes) {
  const [value, unit] = bytes < 1e6 ? [Math.max(1, bytes / 1e3), "kilobyte"] : [bytes / 1e6, "megabyte"];
  const options = { style: "unit", unit, maximumFractionDigits: unit === "megabyte" ? 1 : 0 };
  return new Intl.NumberFormat(document.documentElement.lang, options).format(value);
}
