// Small helpers for building elements. Text goes in as text, never as HTML.

export const byId = (id) => document.getElementById(id);

/** An element with a class, and children that are nodes or text. */
export function element(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** An icon from the sprite in the page. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A button that does something. */
export function button(className, label, action, iconName = "") {
  const node = element("button", className);
  node.type = "button";
  if (iconName) node.append(icon(iconName));
  node.append(label);
  node.addEventListener("click", action);
  return node;
}

/** A random id of 22 letters, digits, - and _. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").slice(0, 22);
}
