// The backtrace of a crash, folded until it is asked for.
"use strict";

import { base } from "./base.js";
import { button, el } from "./draw.js";
import { model, whenAnotherProgram } from "./model.js";
import { plainLines } from "./text.js";

/** Texts of this program that were fetched, by pid, so that a row that is drawn again has its text at once. */
const fetched = new Map();
const KEPT = 50;
const open = new Set();
whenAnotherProgram(() => { fetched.clear(); open.clear(); });

async function load(pid) {
  if (fetched.has(pid)) return fetched.get(pid);
  const { program } = model;
  let text;
  try {
    const answer = await fetch(new URL("backtrace/" + pid, base));
    if (!answer.ok) return answer.status === 404 ? "The backtrace is no longer kept." : await answer.text();
    text = await answer.text();
  } catch {
    return "The program did not answer.";
  }
  if (model.program !== program) return "Another program answers now.";
  fetched.set(pid, text);
  if (fetched.size > KEPT) fetched.delete(fetched.keys().next().value);
  return text;
}

/** A button that folds the backtrace of this process out, and the place of its text. */
export function backtrace(pid) {
  const made = el("span", "backtrace");
  const text = el("pre", "");
  text.tabIndex = 0;
  const show = async () => {
    const isOpen = open.has(pid);
    toggle.setAttribute("aria-expanded", String(isOpen));
    text.hidden = !isOpen;
    if (isOpen) text.textContent = plainLines(await load(pid));
  };
  const toggle = button("backtrace", () => { if (!open.delete(pid)) open.add(pid); show(); }, "small");
  made.append(toggle, text);
  show();
  return made;
}
