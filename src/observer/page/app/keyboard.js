// The keys of the page. A key that is typed into a field belongs to the field.
"use strict";

import { cancel } from "./control.js";
import { drawNow } from "./refresh.js";
import { nextTheme } from "./theme.js";
import { move, toggle } from "./tree.js";

function typedInto(field, event) {
  if (event.key === "Escape") { field.value = ""; field.blur(); drawNow(); }
  if (event.key === "ArrowDown" && field.id === "filter") { event.preventDefault(); move(0); }
}

function focusFilter() {
  const input = document.querySelector("section:not([hidden]) input[type=search]");
  if (input) input.focus();
}

function actionOf(event, screens) {
  const row = event.target.closest("#rows .row");
  const inTree = !document.getElementById("screen-tree").hidden;
  const links = [...screens].map((name) => document.querySelector(`nav [data-screen=${name}]`));
  const screen = links[Number(event.key) - 1];
  if (screen) return () => { location.hash = screen.getAttribute("href"); };
  switch (event.key) {
    case "/": return focusFilter;
    case "t": return nextTheme;
    case "Escape": return cancel;
    case "j": case "ArrowDown": return inTree && (() => move(1));
    case "k": case "ArrowUp": return inTree && (() => move(-1));
    case "ArrowLeft": return row && row.key && (() => toggle(row.key, true));
    case "ArrowRight": return row && row.key && (() => toggle(row.key, false));
    default: return null;
  }
}

/** Listens for keys. The digits stand for the screens, in this order. */
export function listen(screens) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A key that is held asks and answers no question.
    if (event.repeat && event.target.closest("#control")) return event.preventDefault();
    const field = event.target.closest("input[type=search]");
    if (field) return typedInto(field, event);
    if (event.target.closest("select")) return;
    const action = actionOf(event, screens);
    if (!action) return;
    event.preventDefault();
    action();
  });
}
