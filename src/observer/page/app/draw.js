// Elements. A text reaches the document as `textContent` only.
"use strict";

import { span } from "./text.js";

export const $ = (id) => document.getElementById(id);

export function el(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = text;
  return made;
}

export function button(text, onclick, className) {
  const made = el("button", className, text);
  made.type = "button";
  made.onclick = onclick;
  return made;
}

export function put(element, text) { if (element.textContent !== text) element.textContent = text; }
export function dress(element, className) { if (element.className !== className) element.className = className; }

/** Makes the children of `box` those of `items`, and keeps the elements of items that stay. */
export function draw(box, items, keyOf, make, fill) {
  const old = box.drawn || new Map();
  const drawn = new Map();
  let at = box.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    let element = old.get(key);
    if (!element) element = make(item);
    old.delete(key);
    drawn.set(key, element);
    if (fill) fill(element, item);
    if (element === at) at = at.nextSibling;
    else box.insertBefore(element, at);
  }
  for (const element of old.values()) element.remove();
  box.drawn = drawn;
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

/** Shows one sentence instead of a list. */
export function drawEmpty(box, text, className = "empty") {
  draw(box, [text], (item) => "empty\n" + item, (item) => el("p", className, item));
}

export function linkTo(path, pid) {
  const part = new URLSearchParams();
  if (path) part.set("path", path);
  if (pid !== null && pid !== undefined) part.set("pid", pid);
  return "#process?" + part;
}

export function link(path, pid, text, className) {
  const made = el("a", className, text);
  made.href = linkTo(path, pid);
  return made;
}

export function panel(title, ...content) {
  const made = el("div", "panel");
  made.append(el("h2", "", title), ...content);
  return made;
}

/** Draws a list of processes, each with a value: `key`, `path`, `pid`, `text`, `value`, `tint`. */
export function drawItems(box, list, empty) {
  if (!list.length) return drawEmpty(box, empty, "dim");
  draw(box, list, (item) => item.key, () => {
    const made = el("div", "item");
    made.append(el("a"), el("span", "num"));
    return made;
  }, (made, item) => {
    const [name, value] = made.children;
    put(name, item.text);
    name.title = item.text;
    name.href = linkTo(item.path, item.pid);
    put(value, item.value);
    dress(value, "num " + (item.tint || ""));
  });
}

/** A gauge of a restart budget. */
export function gauge(budget) {
  const made = el("span", "gauge");
  const rail = el("i");
  rail.append(el("b"));
  made.append(rail, el("span"));
  if (budget) fillGauge(made, budget);
  return made;
}

export function fillGauge(made, { left, restarts, period_ms }) {
  dress(made, "gauge" + (left === 0 ? " out" : left * 2 <= restarts ? " low" : ""));
  made.firstChild.firstChild.style.width = (restarts ? (100 * left) / restarts : 0) + "%";
  put(made.lastChild, left + "/" + restarts);
  made.title = left + " of " + restarts + " restarts left within " + span(period_ms);
}
