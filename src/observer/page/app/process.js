// The screen *Process*: one process, or a child that does not run.
"use strict";

import { backtrace } from "./backtrace.js";
import { base } from "./base.js";
import { entryOf } from "./changes.js";
import { drawControl } from "./control.js";
import { $, draw, drawEmpty, el, gauge, link, linkTo, panel } from "./draw.js";
import { makeEvent } from "./history.js";
import { latest, model, stateOf, whenAnotherProgram } from "./model.js";
import { clock, counted, idText, now, number, plain, shown, span, tone } from "./text.js";

const detail = { pid: null, value: null, isGone: false, events: [] };

const isShown = () => location.hash.startsWith("#process");

whenAnotherProgram(() => {
  Object.assign(detail, { pid: null, value: null, isGone: false, events: [] });
  const path = new URLSearchParams(location.hash.split("?")[1] || "").get("path");
  $("process-tab").href = "#process";
  if (isShown()) location.replace(path ? linkTo(path, null) : "#process");
});

/** The process that the fragment of the address names, or its successor. */
function wanted() {
  const part = new URLSearchParams(location.hash.split("?")[1] || "");
  const path = part.get("path");
  const named = part.has("pid") ? Number(part.get("pid")) : null;
  const pid = latest(named);
  const node = model.byPid.get(pid) || model.nodes.get(path) || model.nodes.get(path + "\n" + pid) || null;
  return { path, pid: node && node.pid !== null ? node.pid : pid, node, named };
}

/** Fetches the details of the process, if the screen is shown. */
export async function fetchDetail() {
  const { pid } = wanted();
  if (!isShown() || pid === null) return;
  try {
    const answer = await fetch(new URL("process/" + pid, base));
    const value = answer.ok ? await answer.json() : null;
    if (wanted().pid !== pid) return;
    // What is kept of a process that has ended.
    const events = answer.ok ? value.events : await fetchEvents(pid);
    Object.assign(detail, { pid, value, isGone: !answer.ok, events: Array.isArray(events) ? events : [] });
    drawProcess();
  } catch { /* The connection is shown as lost already. */ }
}

async function fetchEvents(pid) {
  const answer = await fetch(new URL("events/" + pid, base));
  return answer.ok ? answer.json() : [];
}

function pairs(list) {
  const made = el("dl");
  for (const [name, value] of list) {
    if (value === null || value === undefined || value === "") continue;
    const dd = el("dd");
    if (Array.isArray(value)) {
      if (!value.length) continue;
      for (const pid of value.slice(0, 100)) {
        // A process of another node, which this program knows nothing more of.
        if (typeof pid === "string") { dd.append(el("span", "", "#" + shown(pid, 40) + " ")); continue; }
        const node = model.byPid.get(pid);
        dd.append(link(node ? node.path : null, pid, (node ? idText(node) + " " : "") + "#" + pid));
      }
      if (value.length > 100) dd.append("and " + number(value.length - 100) + " more");
    } else dd.textContent = value;
    made.append(el("dt", "", name), dd);
  }
  return made;
}

/** A part of the screen is drawn again only if its key changes, so that it keeps focus and scrolling. */
export function drawProcess() {
  if (!isShown()) return;
  const { path, pid, node, named } = wanted();
  // Below a dynamic supervisor the address names an earlier process: the screen is drawn again.
  if (node && node.key.includes("\n") && node.pid !== null && node.pid !== named) return location.replace(linkTo(node.path, node.pid));
  const box = $("detail");
  drawControl({ node, path: node ? node.path : path, pid });
  if (!node && pid === null) return drawEmpty(box, "Choose a process in the tree or in the history.");
  const value = detail.pid === pid ? detail.value : null;
  const keep = focusIn(box);
  const columns = box.columns || (box.columns = el("div", "columns"));
  const title = titleOf(path, pid, node, value);
  draw(box, [title, columns], (part) => (part === columns ? "columns" : "title " + part.textContent), (part) => part);
  draw(columns, panelsOf(path, pid, node, value), (part) => part.key, (part) => panel(part.title, part.make()));
  keep();
}

/** Returns a function that gives the focus back to the element at the same place. */
function focusIn(box) {
  const places = () => [...box.querySelectorAll("a, button, pre")];
  const at = box.contains(document.activeElement) ? places().indexOf(document.activeElement) : -1;
  return () => {
    const place = places()[at];
    if (place && document.activeElement !== place) place.focus({ preventScroll: true });
  };
}

function titleOf(path, pid, node, value) {
  const title = el("div", "title");
  title.append(el("strong", "", shown(node ? node.path : (value && (value.path || value.label)) || path || "a process", 400)));
  if (pid !== null) title.append(el("span", "dim", "#" + pid));
  const [state, tint] = node ? stateOf(node) : [value ? "running" : "ended", ""];
  title.append(el("span", "pill " + tint, state));
  if (node && node.budget && node.budget.restarts) title.append(gauge(node.budget));
  return title;
}

function panelsOf(path, pid, node, value) {
  const panels = [];
  const add = (title, facts, make) => panels.push({ key: title + JSON.stringify(facts), title, make });
  add("Now", [node && { ...node, history: null, children: null }, value, Math.floor(Date.now() / 1000)], () => nowPairs(node, value));
  if (value) {
    const { names, groups, label, ancestors, parent, links, monitors, monitored_by, trap_exit } = value;
    add("Relations", [names, groups, label, ancestors, parent, links, monitors, monitored_by, trap_exit], () => relations(value));
  } else if (detail.isGone && detail.pid === pid) {
    add("Relations", null, () => el("p", "dim", "The process has ended."));
  }
  const past = node ? node.history : [];
  add("Past incarnations" + (node && node.restarts ? ", " + counted(node.restarts, "restart", "restarts") : ""), past, () => runs(past));
  const entries = lastEvents(node, path, pid);
  add("Last events", entries, () => eventList(entries));
  return panels;
}

function mailboxText(value) {
  if (value.queued === null) return "not counted";
  return number(value.queued) + " queued" + (value.oldest_ms ? ", oldest " + span(value.oldest_ms) : "");
}

/** What the server publishes of itself, or why it has not answered. */
function statusText({ status }) {
  if (!status) return null;
  if (status.panicked) return "format_status panicked";
  return status.line === null ? "busy: no answer for " + span(status.busy_ms) : shown(status.line, 1000);
}

function nowPairs(node, value) {
  const health = value && value.health + (value.health_text ? ": " + shown(value.health_text) : "");
  const isTried = node && node.retry_at_ms !== null && node.state === "restarting";
  return pairs([
    ["does", value && shown(value.doing)],
    ["status", value && statusText(value)],
    ["up", node && node.started_ms !== null && node.state !== "ended" ? span(now() - node.started_ms) : null],
    ["health", health],
    ["next try", isTried ? "in " + span(node.retry_at_ms - now()) : null],
    ["killed", node && node.deadline_ms && node.state === "stopping" ? "in " + span(node.deadline_ms - now()) + ", unless it stops before" : null],
    ["mailbox", value && mailboxText(value)],
    ["lost", value && value.lost ? number(value.lost) + " messages" : null],
    ["handles", value && value.handling ? value.handling.callback + " for " + span(value.handling.elapsed_ms) : null],
    ["handled", value && value.handled !== null ? number(value.handled) : null],
    ["suspended", node && node.isSuspended ? "yes: messages wait until it is resumed" : null],
    ["stop", value && value.stop_requested ? "requested" : null],
  ]);
}

function relations(value) {
  return pairs([
    ["names", value.names.map((name) => shown(name, 100)).join(", ")],
    ["groups", value.groups.map((name) => shown(name, 100)).join(", ")],
    ["label", value.label === null ? null : shown(value.label, 120)],
    ["ancestors", value.ancestors],
    ["parent", value.parent === null ? null : [value.parent]],
    ["links", value.links],
    ["monitors", value.monitors],
    ["monitored by", value.monitored_by],
    ["traps exits", value.trap_exit ? "yes" : "no"],
  ]);
}

function runs(past) {
  const made = el("div");
  const ended = [...past].reverse();
  for (const run of ended) {
    const item = el("div", "item");
    const left = el("span");
    left.append(el("span", tone(run.class), shown(run.reason, 600)));
    if (run.place) left.append(" ", el("span", "place", plain(run.place)));
    if (run.backtrace) left.append(" ", backtrace(run.pid));
    const took = run.started_ms === null || run.started_ms === undefined ? "" : ", up " + span(run.ended_ms - run.started_ms);
    item.append(left, el("span", "dim num", (run.pid !== null ? "#" + run.pid + " " : "") + clock(run.ended_ms) + took));
    made.append(item);
  }
  if (!ended.length) made.append(el("p", "dim", "No incarnation has ended."));
  return made;
}

/** What the server keeps of the process; else what this page has seen. */
function lastEvents(node, path, pid) {
  const kept = detail.pid === pid ? detail.events.map(entryOf).reverse() : [];
  if (kept.length) return kept;
  const of = node ? node.path : path;
  const isDynamic = node && node.key.includes("\n");
  return model.history.filter((entry) => entry.path === of && (!isDynamic || entry.pid === node.pid)).slice(0, 16);
}

function eventList(entries) {
  const made = el("div", "events");
  for (const entry of entries) made.append(makeEvent({ ...entry, backtrace: false }, false));
  if (!entries.length) made.append(el("p", "dim", "None is known."));
  return made;
}
