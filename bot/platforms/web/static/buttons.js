// The buttons that the bot puts under its messages.

import { button, element, randomId } from "./dom.js";
import { say } from "./words.js";

/** What each verb looks like here. */
const ICONS = {
  again: "again",
  delete: "bin",
  edit: "edit",
  forget: "bin",
  full: "download",
  less: "minus",
  more: "new",
  retry: "retry",
  stop: "stop",
};

const HINTS = {
  again: "hint-again",
  delete: "hint-delete",
  edit: "hint-edit",
  full: "hint-full",
  less: "hint-less",
  more: "hint-more",
  retry: "hint-retry",
  stop: "hint-stop",
};

/** Verbs whose label says too little to somebody who does not see the page. */
const UNCLEAR = new Set(["delete", "full", "less", "more"]);
/** Verbs that an icon says alone. */
const WORDLESS = new Set(["delete"]);

/**
 * Rows of buttons.
 *
 * `onPress({id, action, button})` resolves to whether the press arrived. The button rests until
 * then, and a press that did not arrive is sent again under the same id.
 */
export function buttonRows(rows, onPress) {
  return rows.map((row) => element("div", "buttons", ...row.map((each) => pressButton(each, onPress))));
}

function pressButton({ action, label, danger, chosen }, onPress) {
  const [verb, , value] = action.split(":");
  const text = WORDLESS.has(verb) ? "" : label;
  let id = randomId();
  const node = button("press", text, async () => {
    const held = document.activeElement === node;
    node.disabled = true;
    try {
      if (await onPress({ id, action, button: node })) id = randomId();
    } finally {
      node.disabled = false;
      // A button that rests loses the focus.
      if (held && document.activeElement === document.body) node.focus({ preventScroll: true });
    }
  }, ICONS[verb]);
  node.dataset.action = action;
  if (danger) node.classList.add("danger");
  if (chosen) node.ariaPressed = "true";
  if (HINTS[verb]) node.title = say(HINTS[verb], { number: value });
  if (UNCLEAR.has(verb)) node.ariaLabel = node.title;
  return node;
}
