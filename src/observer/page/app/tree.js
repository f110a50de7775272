// The screen *Tree*: each supervisor with its children. Of a dynamic supervisor it shows the worst.
"use strict";

import { $, button, draw, drawEmpty, dress, el, fillGauge, gauge, linkTo, put } from "./draw.js";
import { LINGER_MS, aboveOf, childrenOf, isSupervisor, model, stateOf, worstFirst } from "./model.js";
import { drawNow } from "./refresh.js";
import { clock, counted, idText, lastId, now, number, plain, shown, span, tone } from "./text.js";

/** The number of rows that are shown at a time. */
const ROWS = 600;
/** The number of children of a dynamic supervisor that are shown, unless all are asked for. */
const WORST = 5;

const folded = new Set();
const opened = new Set();
let first = 0; // the first row that is shown
let lastFilter = "";

function matches(node, filter) {
  const last = node.history.at(-1);
  const text = [node.path, node.id, stateOf(node)[0], node.health_text || "", last ? last.reason : ""].join("\n");
  return text.toLowerCase().includes(filter);
}

/** The nodes that match, and all above them; `null` without a filter. */
function chosen(filter) {
  if (!filter) return null;
  const keys = new Set();
  for (const node of model.nodes.values()) {
    for (let at = matches(node, filter) ? node : null; at && !keys.has(at.key); at = aboveOf(at)) keys.add(at.key);
  }
  return keys;
}

/** The worst children, in order. Of many children this is cheaper than to sort all. */
function worst(children, most) {
  const kept = [];
  for (const child of children) {
    if (kept.length === most && worstFirst(child, kept.at(-1)) >= 0) continue;
    let at = kept.length;
    while (at > 0 && worstFirst(child, kept[at - 1]) < 0) at -= 1;
    kept.splice(at, 0, child);
    if (kept.length > most) kept.pop();
  }
  return kept;
}

/** The rows from `first` on, at most `ROWS`, and the number of all. */
function rowsOf(filter) {
  const rows = [];
  let count = 0;
  const wanted = chosen(filter);
  const push = (row) => {
    if (count >= first && rows.length < ROWS) rows.push(row);
    count += 1;
  };
  const visit = (node, level) => {
    if (wanted && !wanted.has(node.key)) return;
    push({ node, level, key: node.key });
    if (folded.has(node.key) && !filter) return;
    if (node.strategy !== "dynamic") {
      for (const child of childrenOf(node)) visit(child, level + 1);
      return;
    }
    const listed = node.children.size;
    const all = node.folded ? Math.max(node.folded.children, listed) : listed;
    const most = filter || opened.has(node.key) ? listed : Math.min(WORST, listed);
    const isSeen = count < first + ROWS && count + most >= first;
    if (isSeen || wanted) worst(childrenOf(node), most).forEach((child) => visit(child, level + 1));
    else count += most;
    if (!filter && all > WORST) push({ more: node, level: level + 1, all, listed, key: node.key + "\n\nmore" });
  };
  for (const node of model.nodes.values()) if (node.above === null) visit(node, 0);
  return { rows, count };
}

function makeRow(row) {
  if (row.more) {
    const made = el("div", "row more");
    const name = el("span", "name");
    const { key } = row.more;
    name.append(el("span", "fold none"), button("", () => { if (!opened.delete(key)) opened.add(key); drawNow(); }));
    made.append(name);
    return made;
  }
  const made = el("div", "row");
  const name = el("span", "name");
  const id = el("a", "id");
  id.dataset.row = "";
  name.append(button("", () => toggle(row.key), "fold"), id, el("span", "tag"));
  made.append(name, el("span", "pill"), el("span", "num up"), el("span", "num restarts"), el("span", "num queued"), el("span", "note"));
  made.key = row.key;
  return made;
}

/** Folds or unfolds a supervisor. */
export function toggle(key, to) {
  const close = to === undefined ? !folded.has(key) : to;
  if (close) folded.add(key); else folded.delete(key);
  drawNow();
}

/** Moves the focus by this number of rows. */
export function move(by) {
  const rows = [...document.querySelectorAll("#rows a[data-row]")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))].focus();
}

function fillRow(made, row) {
  made.style.setProperty("--level", Math.min(row.level, 24));
  if (row.more) {
    const isOpen = opened.has(row.more.key);
    put(made.querySelector("button"), isOpen ? "show the worst " + WORST + " only"
      : row.all > row.listed ? "show the worst " + number(row.listed) + " of " + number(row.all) : "show all " + number(row.all));
    return;
  }
  const { node } = row;
  const [name, pill, up, restarts, queued, note] = made.children;
  const [fold, id, tag] = name.children;
  const isClosed = folded.has(node.key);
  const state = node.state === "ended" ? " gone dead" : node.state === "stopped" ? " gone" : "";
  dress(made, "row" + (isSupervisor(node) ? " sup" : "") + state);
  dress(fold, node.children.size ? "fold" : "fold none");
  put(fold, isClosed ? "▸" : "▾");
  fold.setAttribute("aria-expanded", String(!isClosed));
  fold.setAttribute("aria-label", (isClosed ? "Unfold " : "Fold ") + idText(node));
  put(id, idText(node));
  id.title = shown(node.path, 400);
  const href = linkTo(node.path, node.pid);
  if (id.getAttribute("href") !== href) id.setAttribute("href", href);
  put(tag, (node.strategy || "") + (node.pid !== null ? (node.strategy ? " " : "") + "#" + node.pid : ""));
  const [text, tint] = stateOf(node);
  put(pill, text);
  dress(pill, "pill " + tint);
  put(up, node.started_ms === null || node.state === "ended" ? "" : span(now() - node.started_ms));
  put(restarts, node.restarts ? number(node.restarts) : "");
  put(queued, node.queued ? number(node.queued) : "");
  fillNote(note, node);
}

function foldedText({ children, restarting, given_up, unhealthy }) {
  const parts = [counted(children, "child", "children")];
  if (restarting) parts.push(number(restarting) + " restarting");
  if (given_up) parts.push(number(given_up) + " given up");
  if (unhealthy) parts.push(number(unhealthy) + " unwell");
  return parts.join(", ");
}

function notesOf(node) {
  const notes = [];
  const add = (key, text, tint) => notes.push({ key, text, tint });
  if (node.budget && node.budget.restarts) notes.push({ key: "gauge", budget: node.budget });
  if (node.folded) add("folded", foldedText(node.folded));
  if (node.step) add("step", "busy: " + node.step.doing + (node.step.child ? " " + shown(lastId(node.step.child), 60) : "") + " for " + span(now() - node.step.since_ms), "warn");
  if (node.retry_at_ms !== null && node.state === "restarting") add("retry", "next try in " + span(node.retry_at_ms - now()), "warn");
  if (node.state === "stopping" && node.deadline_ms) add("deadline", "killed in " + span(node.deadline_ms - now()), "warn");
  if (node.state === "ended" && node.ended_ms) add("gone", "leaves in " + span(node.ended_ms + LINGER_MS - now()));
  if (node.health_text && node.state === "running") add("health", shown(node.health_text), "warn");
  if (node.isSuspended) add("suspended", "suspended", "warn");
  if (node.handling) add("handling", "in " + node.handling.callback + " for " + span(node.handling.elapsed_ms));
  if (node.lost) add("lost", number(node.lost) + " lost", "bad");
  const last = node.history.at(-1);
  if (last) notes.push({ key: "last", text: shown(last.reason), tint: node.state === "running" ? "" : tone(last.class), title: last.place });
  return notes;
}

function fillNote(note, node) {
  draw(note, notesOf(node), (item) => item.key, (item) => (item.budget ? gauge() : el("span")), (made, item) => {
    if (item.budget) return fillGauge(made, item.budget);
    put(made, item.text);
    dress(made, (item.key === "last" || item.key === "health" ? "why " : "") + (item.tint || ""));
    if (item.key === "last") made.title = item.text + (item.title ? "\n" + plain(item.title) : "");
  });
}

export function drawTree() {
  const filter = $("filter").value.trim().toLowerCase();
  if (filter !== lastFilter) { lastFilter = filter; first = 0; }
  let { rows, count } = rowsOf(filter);
  if (!rows.length && first > 0) {
    first = 0;
    ({ rows, count } = rowsOf(filter));
  }
  const isPart = count > ROWS;
  put($("shown"), isPart ? "rows " + number(first + 1) + " to " + number(first + rows.length) + " of " + number(count)
    : filter ? counted(count, "row", "rows") : "");
  for (const [id, to] of [["earlier", first - ROWS], ["later", first + ROWS]]) {
    $(id).hidden = !isPart;
    $(id).disabled = to <= -ROWS || to >= count;
    $(id).onclick = () => { first = Math.max(0, to); scrollTo(0, 0); drawNow(); };
  }
  if (!rows.length) {
    return drawEmpty($("rows"), filter ? "Nothing matches." : model.ended ? "The tree ended at " + clock(model.ended) + "." : "No tree runs.");
  }
  draw($("rows"), rows, (row) => row.key, makeRow, fillRow);
}
