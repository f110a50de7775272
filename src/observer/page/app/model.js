// The model: the nodes of the last picture, which changes and samples keep up to date.
//
// 1. The key of a node is its path; below a dynamic supervisor it is the path and the pid.
// 2. `byPid` has each node whose process is known; a node without a process has no entry.
// 3. All collections are bounded, except the nodes, which the server bounds.
"use strict";

export const HISTORY = 1000;
/** How long a child that ended for good stays visible, and how many of them at most. */
export const LINGER_MS = 60000;
const LINGERING = 500;
/** The number of ends that are known as being in the history. */
const KNOWN = 20000;
const TROUBLE = 50;

export const model = {
  program: null, // the number of the program
  logLevel: null, // the level of the lifecycle log of the program
  nodes: new Map(),
  byPid: new Map(),
  history: [], // newest first
  known: new Map(), // pid -> the entry of its end
  successors: new Map(), // below a dynamic supervisor: pid -> that of the next incarnation
  trouble: [], // slow handlers and deadlocks, newest first
  waits: [], // which process waits for the reply of which server
  waitsLeftOut: 0,
  waitsKnown: false, // whether the program detects deadlocks
  counters: null,
  rates: null,
  ended: null, // when the last tree ended
};

export const isSupervisor = (node) => node.kind === "supervisor";
const LIFELESS = new Set(["ended", "stopped", "given_up", "restarting"]);
export const isAlive = (node) => node.pid !== null && !LIFELESS.has(node.state);
export const aboveOf = (node) => model.nodes.get(node.above) || null;

export function* childrenOf(node) {
  for (const key of node.children) {
    const child = model.nodes.get(key);
    if (child) yield child;
  }
}

export function keyOf(path, pid, supervisor, byPid = model.byPid) {
  const above = byPid.get(supervisor);
  return above && above.strategy === "dynamic" ? path + "\n" + pid : path;
}

/** Inserts a node into these maps. Its supervisor is there already. */
export function insert(node, into = model) {
  const above = into.byPid.get(node.supervisor);
  node.above = above ? above.key : null;
  node.key = keyOf(node.path, node.pid, node.supervisor, into.byPid);
  node.children = new Set();
  into.nodes.set(node.key, node);
  if (node.pid !== null) into.byPid.set(node.pid, node);
  if (above) above.children.add(node.key);
}

export function remove(node) {
  for (const child of [...childrenOf(node)]) remove(child);
  model.nodes.delete(node.key);
  if (model.byPid.get(node.pid) === node) model.byPid.delete(node.pid);
  const above = aboveOf(node);
  if (above) above.children.delete(node.key);
}

export function setPid(node, pid) {
  if (node.pid !== null && model.byPid.get(node.pid) === node) model.byPid.delete(node.pid);
  node.pid = pid;
  if (pid !== null) model.byPid.set(pid, node);
}

/** Notes the next incarnation of a process, if the key of its node has the pid. */
export function succeed(node, previous) {
  if (!node.key.includes("\n") || previous === null || !(previous < node.pid)) return;
  model.successors.set(previous, node.pid);
  if (model.successors.size > KNOWN) model.successors.delete(model.successors.keys().next().value);
}

/** The last known incarnation after this process; the process itself, if there is none. */
export function latest(pid) {
  while (model.successors.has(pid)) pid = model.successors.get(pid);
  return pid;
}

let lastEntry = 0;

/** Inserts an entry into the history, unless the end of this process is there already. */
export function record(entry) {
  if (entry.kind === "ended" && entry.pid !== null) {
    const known = model.known.get(entry.pid);
    if (known) {
      known.backtrace = known.backtrace || entry.backtrace;
      return;
    }
  }
  const { history } = model;
  if (history.length >= HISTORY && history.at(-1).time > entry.time) return;
  if (entry.kind === "ended" && entry.pid !== null) {
    model.known.set(entry.pid, entry);
    if (model.known.size > KNOWN) model.known.delete(model.known.keys().next().value);
  }
  entry.id = lastEntry += 1;
  let at = 0;
  while (at < history.length && history[at].time > entry.time) at += 1;
  history.splice(at, 0, entry);
  if (history.length > HISTORY) history.length = HISTORY;
}

export function addTrouble(trouble) {
  model.trouble.unshift(trouble);
  model.trouble.length = Math.min(model.trouble.length, TROUBLE);
}

const forgetters = [];

/** Calls this when another program answers, to forget what is kept by pid. */
export const whenAnotherProgram = (forget) => forgetters.push(forget);

/** Forgets what another program has shown, whose pids are other processes. The history stays. */
export function forgetProgram() {
  model.known.clear();
  model.successors.clear();
  model.trouble = [];
  model.counters = model.rates = null;
  for (const entry of model.history) {
    entry.isPast = true;
    entry.backtrace = false;
  }
  for (const forget of forgetters) forget();
}

export function setCounters(counters, time) {
  const last = model.counters;
  if (last && time > last.time) {
    const perSecond = (value, before) => ((value - before) * 1000) / (time - last.time);
    model.rates = { spawned: perSecond(counters.spawned, last.spawned), timed_out: perSecond(counters.timed_out, last.timed_out) };
  }
  if (!last || time > last.time) model.counters = { ...counters, time };
}

/** The nodes that have ended for good, or once had. */
const lingering = new Set();

/** Shows a node as ended for good. `expire` removes it after its time. */
export function linger(node, time) {
  node.state = "ended";
  node.ended_ms = node.ended_ms || time;
  lingering.add(node);
}

const isLingering = (node, time) => node.state === "ended" && node.ended_ms + LINGER_MS >= time;

/** Moves the nodes that have ended, and that a picture no longer has, into the new maps. */
export function keepLingering(before, next, time) {
  let kept = 0;
  for (const node of lingering) {
    if (before.get(node.key) !== node || !isLingering(node, time)) {
      lingering.delete(node);
      continue;
    }
    const above = before.get(node.above);
    const aboveNow = above && next.nodes.get(above.key);
    if (!aboveNow || next.nodes.has(node.key) || aboveNow.pid !== above.pid) continue;
    if ((kept += 1) > LINGERING) return;
    node.children = new Set();
    next.nodes.set(node.key, node);
    aboveNow.children.add(node.key);
  }
}

/** Removes the nodes that ended longer ago than they stay visible. */
export function expire(time) {
  for (const node of lingering) {
    if (isLingering(node, time)) continue;
    lingering.delete(node);
    if (node.state === "ended" && model.nodes.get(node.key) === node) remove(node);
  }
}

// How a node is.

/** The text of a state, and its tint. */
export function stateOf(node) {
  const state = node.state;
  if (state === "running") {
    if (node.ending_since_ms) return ["stopping", "warn"];
    if (node.health === "ready") return ["running", "good"];
    return [node.health, node.health === "degraded" || node.health === "starting" ? "warn" : "bad"];
  }
  if (state === "given_up") return ["given up", "bad"];
  if (state === "restarting" || state === "starting" || state === "stopping") return [state, "warn"];
  return [state, ""];
}

const CRASHED = new Set(["error", "panic", "killed"]);

export function badness(node) {
  if (node.state === "given_up") return 6;
  if (node.state === "restarting") return 5;
  if (node.state === "running") return node.health === "ready" ? 1 : 4;
  if (node.state === "ended") return CRASHED.has((node.history.at(-1) || {}).class) ? 3 : 0;
  return node.state === "starting" || node.state === "stopping" ? 2 : 1;
}

export const worstFirst = (a, b) => badness(b) - badness(a) || (b.queued || 0) - (a.queued || 0)
  || b.restarts - a.restarts || (a.pid || 0) - (b.pid || 0);
