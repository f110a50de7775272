// The screen *History*: what happened, newest first.
"use strict";

import { backtrace } from "./backtrace.js";
import { $, draw, drawEmpty, el, gauge, link } from "./draw.js";
import { model } from "./model.js";
import { clock, plain, shown, span, tone } from "./text.js";

const SHOWN = 300;

/** For each kind of entry its name and its tint. */
const KINDS = {
  started: ["started", "good"], start_failed: ["start failed", "bad"], ended: ["ended", ""], restarting: ["restarting", "warn"],
  given_up: ["given up", "bad"], limit_reached: ["limit reached", "bad"], gave_up: ["gave up", "bad"], ending: ["stopping", "warn"],
  shutdown_failed: ["bad stop", "bad"], health: ["health", "warn"], slow_handler: ["slow", "warn"], deadlock: ["deadlock", "bad"],
  control: ["control", "info"],
};

const kindOf = (entry) => KINDS[entry.kind] || [String(entry.kind).replace("_", " "), ""];
const nameOf = (entry) => (entry.kind !== "ended" ? kindOf(entry)[0]
  : entry.class === "normal" ? "ended" : (entry.class || "ended").replace("_", " "));

/** One entry, with its path unless all entries of the list are of one child. */
export function makeEvent(entry, hasPath = true) {
  const made = el("div", "event");
  const time = el("time", "", clock(entry.time));
  time.dateTime = new Date(entry.time).toISOString();
  const pill = el("span", "pill " + (entry.kind === "ended" ? tone(entry.class) : kindOf(entry)[1]), nameOf(entry));
  made.append(time, pill);
  if (hasPath) made.append(link(entry.path, entry.isPast ? null : entry.pid, shown(entry.path, 200), "path"));
  made.append(textOf(entry));
  return made;
}

function textOf(entry) {
  const made = el("span", "text");
  const add = (value, className) => { if (value) made.append(el("span", className, value)); };
  if (entry.pid !== null && entry.pid !== undefined) add("#" + entry.pid, "dim");
  if (entry.reason && entry.kind !== "restarting") add(shown(entry.reason, 600), tone(entry.class));
  add(entry.text && shown(entry.text, 300), "");
  if (entry.place && entry.kind !== "restarting") add(plain(entry.place), "place");
  if (entry.kind === "restarting") {
    add("attempt " + entry.attempt, "");
    if (entry.delay) add("after " + span(entry.delay), "");
    if (entry.budget !== null && entry.budget !== undefined) {
      if (entry.of && entry.of.restarts) made.append(gauge({ ...entry.of, left: entry.budget }));
      else add(entry.budget + " left in the budget", entry.budget === 0 ? "bad" : "dim");
    }
  }
  if (entry.kind === "ended" && entry.uptime !== undefined) add("up " + span(entry.uptime), "dim");
  if (entry.backtrace) made.append(backtrace(entry.pid));
  return made;
}

export function drawHistory() {
  const filter = $("search").value.trim().toLowerCase();
  const isFailure = (entry) => tone(entry.class) === "bad" || kindOf(entry)[1] === "bad";
  const isWanted = (entry) => (!filter || (entry.path + "\n" + (entry.reason || "") + "\n" + (entry.text || "")).toLowerCase().includes(filter))
    && (!$("failures").checked || isFailure(entry));
  const some = model.history.filter(isWanted).slice(0, SHOWN);
  if (!some.length) return drawEmpty($("events"), model.history.length ? "Nothing matches." : "Nothing has happened yet.");
  draw($("events"), some, (entry) => entry.id + (entry.backtrace ? " with backtrace" : "") + (entry.isPast ? " past" : ""), (entry) => makeEvent(entry));
}
