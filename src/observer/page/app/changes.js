// How pictures, changes and samples change the model.
"use strict";

import { addTrouble, forgetProgram, insert, keepLingering, keyOf, linger, model, record, remove, setCounters, setPid, succeed } from "./model.js";
import { lastId, span } from "./text.js";

/** After so many nodes of a picture the browser may do other work. */
const SLICE = 4000;
const pause = () => new Promise((resume) => setTimeout(resume));

/** Applies a picture. The nodes are exchanged at once, when all are there. */
export async function applyPicture(picture) {
  const isAnother = model.program !== null && picture.program !== model.program;
  if (isAnother) forgetProgram();
  model.program = picture.program;
  model.logLevel = picture.log_level || model.logLevel;
  const before = isAnother ? new Map() : model.nodes;
  const next = { nodes: new Map(), byPid: new Map() };
  let done = 0;
  for (const node of picture.nodes) {
    insert(node, next);
    const old = before.get(node.key);
    if (old && old.stopping_since) node.stopping_since = old.stopping_since;
    if (old && old.pid === node.pid) node.isSuspended = old.isSuspended;
    if (old && old.holds && node.state === "stopping") node.holds = true;
    for (const run of node.history) { recordRun(node, run); succeed(node, run.pid); }
    if ((done += 1) % SLICE === 0) await pause();
  }
  keepLingering(before, next, picture.time_ms);
  for (const node of next.nodes.values()) if (node.state === "ended" && node.ended_ms) linger(node, node.ended_ms);
  model.nodes = next.nodes;
  model.byPid = next.byPid;
  if (picture.nodes.length) model.ended = null;
  setCounters(picture.counters, picture.time_ms);
}

function recordRun(node, run) {
  record({
    time: run.ended_ms, kind: "ended", path: node.path, pid: run.pid, reason: run.reason, class: run.class, place: run.place,
    uptime: run.started_ms === null ? undefined : run.ended_ms - run.started_ms, supervisor: node.supervisor,
    backtrace: Boolean(run.backtrace),
  });
}

export function applySample(sample) {
  for (const one of sample.processes) {
    const node = model.byPid.get(one.pid);
    if (node) Object.assign(node, { queued: one.queued, oldest_ms: one.oldest_ms, lost: one.lost, handling: one.handling });
  }
  for (const one of sample.supervisors) {
    const node = model.byPid.get(one.pid);
    if (!node) continue;
    node.budget = one.budget;
    if (node.folded && one.children !== null) node.folded.children = one.children;
  }
  model.logLevel = sample.log_level || model.logLevel;
  model.waits = sample.waits || [];
  model.waitsLeftOut = sample.waits_left_out || 0;
  model.waitsKnown = Boolean(sample.waits_known);
  setCounters(sample.counters, sample.time_ms);
}

function blank(change) {
  return {
    path: change.path, id: lastId(change.path), pid: change.pid, supervisor: change.supervisor, kind: change.kind || "worker",
    state: "stopped", health: "ready", health_text: null, started_ms: null, retry_at_ms: null, restarts: 0, queued: null,
    oldest_ms: null, lost: 0, handling: null, history: [], strategy: null, budget: null, step: null, ending_since_ms: null,
    folded: null, deadline_ms: null, ended_ms: null,
  };
}

function nodeOf(change) {
  if (change.supervisor === null) return model.byPid.get(change.pid) || model.nodes.get(change.path);
  const { previous = null } = change;
  return model.nodes.get(keyOf(change.path, change.pid, change.supervisor))
    || (previous !== null && model.nodes.get(keyOf(change.path, previous, change.supervisor))) || null;
}

/** The number of children of a dynamic supervisor above which a new one waits for the next picture. */
const LISTED = 100;

function created(change) {
  const above = model.byPid.get(change.supervisor);
  const isListed = !above || above.strategy !== "dynamic" || above.children.size < LISTED;
  if (!isListed || (change.supervisor !== null && !above)) return null;
  const node = blank(change);
  insert(node);
  return node;
}

const IDLE = { queued: null, oldest_ms: null, handling: null, holds: false, deadline_ms: null, isSuspended: false };

const effects = {
  added(node, change) { if (change.kind) node.kind = change.kind; },
  starting(node) { node.state = "starting"; node.retry_at_ms = null; node.ended_ms = null; },
  started(node, change) {
    if (node.key !== keyOf(node.path, change.pid, node.supervisor)) {
      remove(node);
      node.pid = change.pid;
      insert(node);
    }
    setPid(node, change.pid);
    if (change.previous !== null && change.previous !== undefined) {
      node.restarts += 1;
      succeed(node, change.previous);
    }
    Object.assign(node, IDLE, {
      kind: change.kind || node.kind, state: "running", health: change.health, health_text: change.health_text,
      started_ms: change.time_ms, retry_at_ms: null, ending_since_ms: null, stopping_since: null, ended_ms: null,
    });
  },
  ended(node, change) {
    for (const key of [...node.children]) {
      const child = model.nodes.get(key);
      if (child) remove(child);
    }
    node.history = [...node.history, {
      pid: change.pid, ended_ms: change.time_ms, started_ms: change.time_ms - change.uptime_ms, reason: change.reason,
      class: change.class, place: change.place, attempt: 0, delay_ms: 0, backtrace: Boolean(change.backtrace),
    }].slice(-8);
    Object.assign(node, IDLE, { state: "stopped", started_ms: null, stopping_since: null, ending_since_ms: null, step: null, folded: null });
    if (change.for_good) linger(node, change.time_ms);
    if (!node.key.includes("\n")) setPid(node, null);
    if (change.supervisor === null) {
      model.ended = change.time_ms;
      if (!change.for_good) remove(node);
    }
  },
  // A picture may show the result of this already, so that neither the state nor a count may follow.
  restarting(node, change) {
    const above = model.byPid.get(change.supervisor);
    if (above && above.budget && change.budget_left !== null) above.budget = { ...above.budget, left: change.budget_left };
  },
  waiting(node, change) {
    node.state = "restarting";
    node.retry_at_ms = change.retry_in_ms === null ? null : change.time_ms + change.retry_in_ms;
  },
  stopped(node) { node.state = "stopped"; },
  given_up(node) { node.state = "given_up"; },
  removed(node, change) { linger(node, change.time_ms); },
  ending(node, change) { node.ending_since_ms = change.time_ms; },
  stopping(node, change) {
    Object.assign(node, { state: "stopping", stopping_since: change.time_ms, deadline_ms: change.deadline_ms ?? null });
  },
  holds_stop(node, change) {
    Object.assign(node, { holds: true, stopping_since: node.stopping_since || change.time_ms, deadline_ms: change.deadline_ms ?? node.deadline_ms });
  },
  control(node, { action, outcome, pid }) {
    if (outcome === "done" && pid === node.pid && (action === "suspend" || action === "resume")) node.isSuspended = action === "suspend";
  },
  health(node, change) { node.health = change.health; node.health_text = change.health_text; },
};

const RECORDED = new Set(["started", "start_failed", "ended", "restarting", "given_up", "limit_reached", "gave_up", "ending",
  "shutdown_failed", "health", "slow_handler", "deadlock", "control"]);

export function applyChange(change) {
  const kind = change.change;
  let node = nodeOf(change);
  if (!node && (kind === "added" || kind === "starting" || kind === "started")) node = created(change);
  if (node && Object.hasOwn(effects, kind)) effects[kind](node, change);
  if (kind === "control" && change.action === "log_level" && change.outcome === "done") model.logLevel = change.level;
  if (RECORDED.has(kind)) record(entryOf(change));
  if (kind === "slow_handler" || kind === "deadlock") {
    addTrouble({ time: change.time_ms, kind, path: change.path, pid: change.pid, text: textOf(change) });
  }
}

/** The entry of the history for a change. */
export function entryOf(change) {
  const above = model.byPid.get(change.supervisor);
  return {
    time: change.time_ms, kind: change.change, path: change.path, pid: change.pid, reason: change.reason, class: change.class,
    place: change.place, uptime: change.uptime_ms, delay: change.delay_ms, attempt: change.attempt, budget: change.budget_left,
    of: above && above.budget, text: textOf(change), backtrace: Boolean(change.backtrace),
  };
}

function textOf(change) {
  switch (change.change) {
    case "health": return change.health + (change.health_text ? ": " + change.health_text : "");
    case "slow_handler": return change.callback + " for " + span(change.elapsed_ms);
    case "deadlock": return "waits in a circle: " + change.cycle.map((pid) => "#" + pid).join(" → ");
    case "gave_up": return "because of " + change.child;
    case "shutdown_failed": return (change.overran ? "ran out of its time" : "failed") + (change.doing ? " " + change.doing : "");
    case "control": return change.action + (change.level ? " " + change.level : "") + " by " + change.caller + ": " + change.outcome + (change.why ? ", " + change.why : "");
    default: return null;
  }
}
