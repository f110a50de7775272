// The page of the observer. It follows an observation (picture, changes, samples) and draws one of
// five screens. Ids, names and reasons come from anywhere: they reach the document only as
// `textContent` and as encoded parts of fragments.
"use strict";

const base = document.currentScript.src;
const $ = (id) => document.getElementById(id);
const HISTORY = 1000;
const SHOWN_ROWS = 600;
const WORST = 5;

// ---- The model -------------------------------------------------------------------------------

const model = {
  nodes: new Map(), // key -> node; a key is the path, and below a dynamic supervisor also the pid
  byPid: new Map(), // pid -> node
  history: [], // newest first
  known: new Set(), // pids whose end is in the history
  trouble: [], // slow handlers and deadlocks, newest first
  counters: null,
  rates: null,
  ended: null, // when the last root ended
  offset: 0, // the clock of the server minus that of the browser
};

const now = () => Date.now() + model.offset;
const isSupervisor = (node) => node.kind === "supervisor";
const isAlive = (node) => node.pid !== null && !["ended", "stopped", "given_up", "restarting"].includes(node.state);

function keyOf(path, pid, supervisor) {
  const above = model.byPid.get(supervisor);
  return above && above.strategy === "dynamic" ? path + "\n" + pid : path;
}

function insert(node) {
  const above = model.byPid.get(node.supervisor);
  node.above = above ? above.key : null;
  node.key = keyOf(node.path, node.pid, node.supervisor);
  node.children = [];
  model.nodes.set(node.key, node);
  if (node.pid !== null) model.byPid.set(node.pid, node);
  if (above && !above.children.includes(node.key)) above.children.push(node.key);
}

function remove(node) {
  for (const key of [...node.children]) {
    const child = model.nodes.get(key);
    if (child) remove(child);
  }
  model.nodes.delete(node.key);
  if (model.byPid.get(node.pid) === node) model.byPid.delete(node.pid);
  const above = model.nodes.get(node.above);
  if (above) above.children = above.children.filter((key) => key !== node.key);
}

function setPid(node, pid) {
  if (node.pid !== null && model.byPid.get(node.pid) === node) model.byPid.delete(node.pid);
  node.pid = pid;
  if (pid !== null) model.byPid.set(pid, node);
}

function record(entry) {
  if (entry.kind === "ended" && entry.pid !== null) {
    if (model.known.has(entry.pid)) return;
    model.known.add(entry.pid);
  }
  entry.id = record.next = (record.next || 0) + 1;
  let at = 0;
  while (at < model.history.length && model.history[at].time > entry.time) at += 1;
  model.history.splice(at, 0, entry);
  if (model.history.length > HISTORY) model.history.length = HISTORY;
}

function applyPicture(picture) {
  // Fewer processes than before: another program answers now, whose pids mean others.
  if (model.counters && picture.counters.spawned < model.counters.spawned) {
    model.known.clear();
    model.trouble = [];
    model.counters = model.rates = null;
  }
  const before = model.nodes;
  model.nodes = new Map();
  model.byPid = new Map();
  for (const node of picture.nodes) {
    insert(node);
    const old = before.get(node.key);
    if (old && old.stopping_since) node.stopping_since = old.stopping_since;
    for (const run of node.history) {
      record({
        time: run.ended_ms, kind: "ended", path: node.path, pid: run.pid, reason: run.reason,
        class: run.class, place: run.place, uptime: run.ended_ms - run.started_ms,
        delay: run.delay_ms, supervisor: node.supervisor,
      });
    }
  }
  if (picture.nodes.length) model.ended = null;
  count(picture.counters, picture.time_ms);
}

function count(counters, time) {
  const last = model.counters;
  if (last && time > last.time) {
    const per = (value, before) => ((value - before) * 1000) / (time - last.time);
    model.rates = { spawned: per(counters.spawned, last.spawned) };
  }
  model.counters = { ...counters, time };
}

function applySample(sample) {
  for (const one of sample.processes) {
    const node = model.byPid.get(one.pid);
    if (!node) continue;
    for (const field of ["queued", "oldest_ms", "lost", "handling"]) node[field] = one[field];
    node.sampled = sample.time_ms;
  }
  for (const one of sample.supervisors) {
    const node = model.byPid.get(one.pid);
    if (!node) continue;
    node.budget = one.budget;
    if (node.folded && one.children !== null) node.folded.children = one.children;
  }
  count(sample.counters, sample.time_ms);
}

function blank(change) {
  return {
    path: change.path, id: lastId(change.path), pid: change.pid, supervisor: change.supervisor,
    kind: change.kind || "worker", state: "stopped", health: "ready", health_text: null, started_ms: null,
    retry_at_ms: null, restarts: 0, queued: null, oldest_ms: null, lost: 0, handling: null, history: [],
    strategy: null, budget: null, step: null, ending_since_ms: null, folded: null,
  };
}

function lastId(path) {
  const last = path.slice(path.lastIndexOf("/") + 1);
  if (last === '""') return "";
  try { return decodeURIComponent(last); } catch { return last; }
}

function nodeOf(change) {
  if (change.supervisor === null) {
    return model.byPid.get(change.pid) || model.nodes.get(change.path);
  }
  const previous = change.previous === undefined ? null : change.previous;
  return model.nodes.get(keyOf(change.path, change.pid, change.supervisor))
    || (previous !== null && model.nodes.get(keyOf(change.path, previous, change.supervisor)))
    || null;
}

function created(change) {
  const above = model.byPid.get(change.supervisor);
  const isListed = !above || above.strategy !== "dynamic" || above.children.length < 100;
  if (!isListed || (change.supervisor !== null && !above)) return null;
  const node = blank(change);
  insert(node);
  return node;
}

const changes = {
  added(node, change) { if (change.kind) node.kind = change.kind; },
  starting(node) { node.state = "starting"; node.retry_at_ms = null; },
  started(node, change) {
    if (node.key !== keyOf(node.path, change.pid, node.supervisor)) {
      remove(node);
      node.pid = change.pid;
      insert(node);
    }
    setPid(node, change.pid);
    Object.assign(node, {
      kind: change.kind || node.kind, state: "running", health: change.health, health_text: change.health_text,
      started_ms: change.time_ms, retry_at_ms: null, ending_since_ms: null, holds: false, queued: null,
      oldest_ms: null, handling: null,
    });
  },
  ended(node, change) {
    for (const key of [...node.children]) {
      const child = model.nodes.get(key);
      if (child) remove(child);
    }
    node.last = change;
    node.history = [...node.history, {
      pid: change.pid, ended_ms: change.time_ms, started_ms: change.time_ms - change.uptime_ms, reason: change.reason,
      class: change.class, place: change.place, attempt: 0, delay_ms: 0,
    }].slice(-8);
    Object.assign(node, { state: change.for_good ? "ended" : "stopped", started_ms: null, queued: null, oldest_ms: null, handling: null, holds: false, stopping_since: null });
    const dynamic = node.key.includes("\n");
    if (!dynamic) setPid(node, null);
    if (change.supervisor === null) { model.ended = change.time_ms; if (!node.children.length && !change.for_good) remove(node); }
  },
  restarting(node, change) {
    node.state = "restarting";
    node.restarts += 1;
    const above = model.byPid.get(change.supervisor);
    if (above && above.budget && change.budget_left !== null) above.budget = { ...above.budget, left: change.budget_left };
  },
  waiting(node, change) {
    node.state = "restarting";
    node.retry_at_ms = change.retry_in_ms === null ? null : change.time_ms + change.retry_in_ms;
  },
  stopped(node) { node.state = "stopped"; },
  given_up(node) { node.state = "given_up"; },
  removed(node) { if (node.state !== "ended") remove(node); },
  ending(node, change) { node.ending_since_ms = change.time_ms; },
  stopping(node, change) { node.state = "stopping"; node.stopping_since = change.time_ms; },
  holds_stop(node, change) { node.holds = true; node.stopping_since = node.stopping_since || change.time_ms; },
  health(node, change) { node.health = change.health; node.health_text = change.health_text; },
};

const RECORDED = new Set(["started", "start_failed", "ended", "restarting", "given_up", "limit_reached", "gave_up",
  "ending", "shutdown_failed", "health", "slow_handler", "deadlock"]);

function applyChange(change) {
  const kind = change.change;
  let node = nodeOf(change);
  if (!node && (kind === "added" || kind === "starting" || kind === "started")) node = created(change);
  if (node && changes[kind]) changes[kind](node, change);
  if (RECORDED.has(kind)) {
    record({
      time: change.time_ms, kind, path: change.path, pid: change.pid, reason: change.reason, class: change.class,
      place: change.place, uptime: change.uptime_ms, delay: change.delay_ms, attempt: change.attempt,
      budget: change.budget_left, child: change.child, stopped: change.stopped, text: textOf(change),
    });
  }
  if (kind === "slow_handler" || kind === "deadlock") {
    model.trouble.unshift({ time: change.time_ms, kind, path: change.path, pid: change.pid, text: textOf(change) });
    model.trouble.length = Math.min(model.trouble.length, 50);
  }
}

function textOf(change) {
  switch (change.change) {
    case "health": return change.health + (change.health_text ? ": " + change.health_text : "");
    case "slow_handler": return change.callback + " for " + span(change.elapsed_ms);
    case "deadlock": return "waits in a circle: " + change.cycle.map((pid) => "#" + pid).join(" → ");
    case "gave_up": return "because of " + change.child;
    case "shutdown_failed": return (change.overran ? "ran out of its time" : "failed") + (change.doing ? " " + change.doing : "");
    default: return null;
  }
}

// ---- Texts -----------------------------------------------------------------------------------

function span(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 0) ms = 0;
  if (ms < 1000) return Math.round(ms) + " ms";
  const s = ms / 1000;
  if (s < 60) return (s < 10 ? s.toFixed(1) : Math.floor(s)) + " s";
  if (s < 3600) return Math.floor(s / 60) + "m " + String(Math.floor(s % 60)).padStart(2, "0") + "s";
  if (s < 86400) return Math.floor(s / 3600) + "h " + String(Math.floor((s % 3600) / 60)).padStart(2, "0") + "m";
  return Math.floor(s / 86400) + "d " + Math.floor((s % 86400) / 3600) + "h";
}

const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");
const plain = (text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
  (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");
const cut = (text, most) => (text.length > most ? text.slice(0, most) + "…" : text);
const shown = (text, most = 300) => cut(plain(text), most);
const idText = (node) => (node.id === "" ? '""' : shown(node.id, 120));
const number = (value) => value.toLocaleString("en-US");
const tone = (kind) => ({ error: "bad", panic: "bad", killed: "bad", no_process: "warn" })[kind] || "";

function stateOf(node) {
  const state = node.state;
  if (state === "running") {
    if (node.ending_since_ms) return ["stopping", "warn"];
    if (node.health === "ready") return ["running", "good"];
    return [node.health, node.health === "degraded" || node.health === "starting" ? "warn" : "bad"];
  }
  if (state === "given_up") return ["given up", "bad"];
  if (state === "restarting") return ["restarting", "warn"];
  if (state === "starting" || state === "stopping") return [state, "warn"];
  return [state, ""];
}

function badness(node) {
  if (node.state === "given_up") return 6;
  if (node.state === "restarting") return 5;
  if (node.state === "running" && node.health !== "ready") return 4;
  if (node.state === "ended" && tone((node.history.at(-1) || {}).class) === "bad") return 3;
  if (node.state === "starting" || node.state === "stopping") return 2;
  return node.state === "ended" ? 0 : 1;
}

const worstFirst = (a, b) => badness(b) - badness(a) || (b.queued || 0) - (a.queued || 0) || b.restarts - a.restarts
  || (a.pid || 0) - (b.pid || 0);

// ---- Drawing ---------------------------------------------------------------------------------

function el(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined && text !== null) made.textContent = text;
  return made;
}

function put(element, text) { if (element.textContent !== text) element.textContent = text; }
function dress(element, className) { if (element.className !== className) element.className = className; }

/** Makes the children of `box` those of `items`, and keeps the elements of items that stay. */
function draw(box, items, keyOf, make, fill) {
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

const once = (box, make) => draw(box, [0], () => "one", make);

function linkTo(path, pid) {
  const part = new URLSearchParams();
  if (path) part.set("path", path);
  if (pid !== null && pid !== undefined) part.set("pid", pid);
  return "#process?" + part;
}

function link(path, pid, text, className) {
  const made = el("a", className, text);
  made.href = linkTo(path, pid);
  return made;
}

// The tree.

const folded = new Set();
const opened = new Set();

function rowsOf(filter) {
  const rows = [];
  const matches = (node) => {
    const last = node.history.at(-1);
    const text = [node.path, node.id, stateOf(node)[0], node.health_text || "", last ? last.reason : ""].join("\n");
    return text.toLowerCase().includes(filter);
  };
  const wanted = filter ? new Set() : null;
  if (filter) {
    for (const node of model.nodes.values()) {
      for (let at = matches(node) ? node : null; at && !wanted.has(at.key); at = model.nodes.get(at.above)) wanted.add(at.key);
    }
  }
  const visit = (node, level) => {
    if (wanted && !wanted.has(node.key)) return;
    rows.push({ node, level, key: node.key });
    if (folded.has(node.key) && !filter) return;
    let children = node.children.map((key) => model.nodes.get(key)).filter(Boolean);
    if (node.strategy === "dynamic") {
      children.sort(worstFirst);
      const all = node.folded ? Math.max(node.folded.children, children.length) : children.length;
      const most = filter || opened.has(node.key) ? children.length : WORST;
      children.slice(0, most).forEach((child) => visit(child, level + 1));
      if (!filter && all > WORST) rows.push({ more: node, level: level + 1, all, listed: children.length, key: node.key + "\n\nmore" });
      return;
    }
    children.forEach((child) => visit(child, level + 1));
  };
  for (const node of model.nodes.values()) if (node.above === null) visit(node, 0);
  return rows;
}

function makeRow(row) {
  if (row.more) {
    const made = el("div", "row more");
    const name = el("span", "name");
    const button = el("button", "");
    button.type = "button";
    button.onclick = () => { opened.has(row.more.key) ? opened.delete(row.more.key) : opened.add(row.more.key); render(); };
    name.append(el("span", "fold none"), button);
    made.append(name);
    return made;
  }
  const made = el("div", "row");
  const name = el("span", "name");
  const fold = el("button", "fold");
  fold.type = "button";
  fold.onclick = () => toggle(row.key);
  const id = el("a", "id");
  id.dataset.row = "";
  name.append(fold, id, el("span", "tag"));
  const note = el("span", "note");
  made.append(name, el("span", "pill"), el("span", "num up"), el("span", "num restarts"), el("span", "num queued"), note);
  made.key = row.key;
  return made;
}

function toggle(key, to) {
  const close = to === undefined ? !folded.has(key) : to;
  if (close) folded.add(key); else folded.delete(key);
  render();
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
  dress(made, "row" + (isSupervisor(node) ? " sup" : "") + (node.state === "ended" || node.state === "stopped" ? " gone" : ""));
  const isClosed = folded.has(node.key);
  dress(fold, node.children.length ? "fold" : "fold none");
  put(fold, isClosed ? "▸" : "▾");
  fold.setAttribute("aria-expanded", String(!isClosed));
  fold.setAttribute("aria-label", (isClosed ? "Unfold " : "Fold ") + idText(node));
  put(id, idText(node));
  id.title = shown(node.path, 400);
  const href = linkTo(node.path, node.pid);
  if (id.getAttribute("href") !== href) id.setAttribute("href", href);
  put(tag, (node.strategy || "") + (node.pid !== null ? (node.strategy ? " " : "") + "#" + node.pid : ""));
  const [state, tint] = stateOf(node);
  put(pill, state);
  dress(pill, "pill " + tint);
  put(up, node.started_ms === null ? "" : span(now() - node.started_ms));
  put(restarts, node.restarts ? number(node.restarts) : "");
  put(queued, node.queued ? number(node.queued) : "");
  fillNote(note, node);
}

function notesOf(node) {
  const notes = [];
  if (node.budget && node.budget.restarts) notes.push({ key: "gauge", budget: node.budget });
  if (node.folded) {
    const { children, restarting, given_up, unhealthy } = node.folded;
    const parts = [number(children) + (children === 1 ? " child" : " children")];
    if (restarting) parts.push(number(restarting) + " restarting");
    if (given_up) parts.push(number(given_up) + " given up");
    if (unhealthy) parts.push(number(unhealthy) + " unwell");
    notes.push({ key: "folded", text: parts.join(", ") });
  }
  if (node.step) notes.push({ key: "step", text: "busy: " + node.step.doing + (node.step.child ? " " + shown(lastId(node.step.child), 60) : "") + " for " + span(now() - node.step.since_ms), tint: "warn" });
  if (node.retry_at_ms !== null && node.state === "restarting") notes.push({ key: "retry", text: "next try in " + span(node.retry_at_ms - now()), tint: "warn" });
  if (node.health_text) notes.push({ key: "health", text: shown(node.health_text), tint: "warn" });
  if (node.handling) notes.push({ key: "handling", text: "in " + node.handling.callback + " for " + span(node.handling.elapsed_ms) });
  if (node.lost) notes.push({ key: "lost", text: number(node.lost) + " lost", tint: "bad" });
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

function gauge() {
  const made = el("span", "gauge");
  const rail = el("i");
  rail.append(el("b"));
  made.append(rail, el("span"));
  return made;
}

function fillGauge(made, { left, restarts, period_ms }) {
  dress(made, "gauge" + (left === 0 ? " out" : left * 2 <= restarts ? " low" : ""));
  made.firstChild.firstChild.style.width = (100 * left) / restarts + "%";
  put(made.lastChild, left + "/" + restarts);
  made.title = left + " of " + restarts + " restarts left within " + span(period_ms);
}

function drawTree() {
  const filter = $("filter").value.trim().toLowerCase();
  const rows = rowsOf(filter);
  put($("shown"), rows.length > SHOWN_ROWS ? "the first " + SHOWN_ROWS + " of " + number(rows.length) + " rows"
    : filter ? number(rows.length) + (rows.length === 1 ? " row" : " rows") : "");
  const some = rows.slice(0, SHOWN_ROWS);
  if (!some.length) {
    const text = filter ? "Nothing matches." : model.ended ? "The tree ended at " + clock(model.ended) + "." : "No tree runs.";
    return draw($("rows"), [text], (item) => "empty " + item, (item) => el("p", "empty", item));
  }
  draw($("rows"), some, (row) => row.key, makeRow, fillRow);
}

// The history.

const KINDS = {
  started: ["started", "good"], start_failed: ["start failed", "bad"], ended: ["ended", ""], restarting: ["restarting", "warn"],
  given_up: ["given up", "bad"], limit_reached: ["limit reached", "bad"], gave_up: ["gave up", "bad"], ending: ["stopping", "warn"],
  shutdown_failed: ["bad stop", "bad"], health: ["health", "warn"], slow_handler: ["slow", "warn"], deadlock: ["deadlock", "bad"],
};

function makeEvent(entry) {
  const made = el("div", "event");
  const [text, tint] = KINDS[entry.kind] || [entry.kind, ""];
  const time = el("time", "", clock(entry.time));
  time.dateTime = new Date(entry.time).toISOString();
  const pill = el("span", "pill " + (entry.kind === "ended" ? tone(entry.class) : tint),
    entry.kind === "ended" ? (entry.class === "normal" ? "ended" : (entry.class || "ended").replace("_", " ")) : text);
  const path = link(entry.path, entry.pid, shown(entry.path, 200), "path");
  const rest = el("span", "text");
  const add = (value, className) => { if (value) rest.append(el("span", className, value)); };
  if (entry.pid !== null) add("#" + entry.pid, "dim");
  if (entry.reason && entry.kind !== "restarting") add(shown(entry.reason, 600), tone(entry.class));
  if (entry.text) add(shown(entry.text, 300), "");
  if (entry.place && entry.kind !== "restarting") add(plain(entry.place), "place");
  if (entry.kind === "restarting") {
    add("attempt " + entry.attempt, "");
    if (entry.delay) add("after " + span(entry.delay), "");
    if (entry.budget !== null && entry.budget !== undefined) add(entry.budget + " left in the budget", entry.budget === 0 ? "bad" : "dim");
  }
  if (entry.kind === "ended" && entry.uptime !== undefined) add("up " + span(entry.uptime), "dim");
  made.append(time, pill, path, rest);
  return made;
}

function drawHistory() {
  const filter = $("search").value.trim().toLowerCase();
  const isWanted = (entry) => (!filter || (entry.path + "\n" + (entry.reason || "")).toLowerCase().includes(filter))
    && (!$("failures").checked || tone(entry.class) === "bad" || (KINDS[entry.kind] || [])[1] === "bad");
  const some = model.history.filter(isWanted).slice(0, 300);
  if (!some.length) return draw($("events"), [0], () => "empty", () => el("p", "empty", "Nothing has happened yet."));
  draw($("events"), some, (entry) => entry.id, makeEvent);
}

// One process.

const detail = { pid: null, value: null, gone: false };

function wanted() {
  const part = new URLSearchParams(location.hash.split("?")[1] || "");
  const path = part.get("path");
  const pid = part.has("pid") ? Number(part.get("pid")) : null;
  const node = model.byPid.get(pid) || model.nodes.get(path) || model.nodes.get(path + "\n" + pid) || null;
  return { path, pid: node && node.pid !== null ? node.pid : pid, node };
}

async function fetchDetail() {
  const { pid, node } = wanted();
  if (screenOf() !== "process" || pid === null) return;
  try {
    const answer = await fetch(new URL("process/" + pid, base));
    detail.gone = !answer.ok;
    detail.value = answer.ok ? await answer.json() : null;
    detail.pid = pid;
    if (node === wanted().node) drawProcess();
  } catch { /* The connection is shown as lost already. */ }
}

function pairs(list) {
  const made = el("dl");
  for (const [name, value] of list) {
    if (value === null || value === undefined || value === "") continue;
    const dd = el("dd");
    if (Array.isArray(value)) {
      if (!value.length) continue;
      value.forEach((pid) => {
        const node = model.byPid.get(pid);
        dd.append(link(node ? node.path : null, pid, (node ? idText(node) + " " : "") + "#" + pid));
      });
    } else if (value instanceof Node) dd.append(value);
    else dd.textContent = value;
    made.append(el("dt", "", name), dd);
  }
  return made;
}

function panel(title, ...content) {
  const made = el("div", "panel");
  made.append(el("h2", "", title), ...content);
  return made;
}

function drawProcess() {
  const { path, pid, node } = wanted();
  const box = $("detail");
  if (!node && pid === null) {
    box.signature = null;
    return box.replaceChildren(el("p", "empty", "Choose a process in the tree or in the history."));
  }
  const value = detail.pid === pid ? detail.value : null;
  const signature = JSON.stringify([node && { ...node, children: node.children.length }, value, Math.floor(Date.now() / 1000), path, pid]);
  if (box.signature === signature) return;
  box.signature = signature;
  const focused = box.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  box.replaceChildren(...processParts(path, pid, node, value));
  if (focused) for (const a of box.querySelectorAll("a")) if (a.getAttribute("href") === focused) { a.focus(); break; }
}

function processParts(path, pid, node, value) {
  const title = el("div", "title");
  title.append(el("strong", "", shown(node ? node.path : (value && (value.path || value.label)) || path || "a process", 400)));
  if (pid !== null) title.append(el("span", "dim", "#" + pid));
  const [state, tint] = node ? stateOf(node) : [value ? "running" : "ended", ""];
  title.append(el("span", "pill " + tint, state));
  if (node && node.budget) { const made = gauge(); fillGauge(made, node.budget); title.append(made); }
  const columns = el("div", "columns");
  const handling = value && value.handling;
  columns.append(panel("Now", pairs([
    ["does", value ? shown(value.doing) : null],
    ["up", node && node.started_ms !== null ? span(now() - node.started_ms) : null],
    ["health", value ? value.health + (value.health_text ? ": " + shown(value.health_text) : "") : null],
    ["next try", node && node.retry_at_ms !== null && node.state === "restarting" ? "in " + span(node.retry_at_ms - now()) : null],
    ["mailbox", value ? (value.queued === null ? "not counted" : number(value.queued) + " queued") + (value.oldest_ms ? ", oldest " + span(value.oldest_ms) : "") : null],
    ["lost", value && value.lost ? number(value.lost) + " messages" : null],
    ["handles", handling ? handling.callback + " for " + span(handling.elapsed_ms) : null],
    ["handled", value && value.handled !== null ? number(value.handled) : null],
    ["stop", value && value.stop_requested ? "requested" : null],
  ])));
  if (value) {
    columns.append(panel("Relations", pairs([
      ["names", value.names.map((name) => shown(name, 100)).join(", ")],
      ["groups", value.groups.map((name) => shown(name, 100)).join(", ")],
      ["label", value.label === null ? null : shown(value.label, 120)],
      ["ancestors", value.ancestors],
      ["parent", value.parent === null ? null : [value.parent]],
      ["links", value.links],
      ["monitors", value.monitors],
      ["monitored by", value.monitored_by],
      ["traps exits", value.trap_exit ? "yes" : "no"],
    ])));
  } else if (detail.gone && detail.pid === pid) columns.append(panel("Relations", el("p", "dim", "The process has ended.")));
  const runs = el("div");
  const ended = node ? [...node.history].reverse() : [];
  for (const run of ended) {
    const item = el("div", "item");
    const left = el("span");
    left.append(el("span", tone(run.class), shown(run.reason, 600)));
    if (run.place) left.append(" ", el("span", "place", plain(run.place)));
    const took = run.started_ms === null || run.started_ms === undefined ? "" : ", up " + span(run.ended_ms - run.started_ms);
    item.append(left, el("span", "dim num", (run.pid !== null ? "#" + run.pid + " " : "") + clock(run.ended_ms) + took));
    runs.append(item);
  }
  if (!ended.length) runs.append(el("p", "dim", "No incarnation has ended."));
  columns.append(panel("Past incarnations" + (node && node.restarts ? ", " + number(node.restarts) + " restarts" : ""), runs));
  return [title, columns];
}

// Pressure.

function items(box, list, empty) {
  if (!list.length) return draw(box, [empty], (text) => "empty" + text, (text) => el("p", "dim", text));
  draw(box, list, (item) => item.key, (item) => {
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

function drawPressure() {
  const counters = model.counters;
  if (counters) {
    const { ended } = counters;
    const cards = [
      ["spawned", number(counters.spawned), "spawned" + (model.rates ? ", " + model.rates.spawned.toFixed(1) + " per second" : "")],
      ["crashes", number(ended.error + ended.panic), "errors and panics", ended.error + ended.panic > 0],
      ["killed", number(ended.killed), "killed"],
      ["refused", number(counters.refused), "messages refused", counters.refused > 0],
      ["dropped", number(counters.dropped), "messages dropped", counters.dropped > 0],
      ["unhandled", number(counters.unhandled), "messages unhandled", counters.unhandled > 0],
      ["timed out", number(counters.timed_out), "calls timed out", counters.timed_out > 0],
    ];
    draw($("cards"), cards, (card) => card[0], () => { const made = el("div", "card"); made.append(el("b"), el("span")); return made; },
      (made, [, value, text, bad]) => { put(made.firstChild, value); dress(made.firstChild, bad ? "warn" : ""); put(made.lastChild, text); });
  }
  const nodes = [...model.nodes.values()];
  const item = (node, value, tint) => ({ key: node.key, path: node.path, pid: node.pid, text: shown(node.path, 200), value, tint });
  const full = nodes.filter((node) => node.queued > 0 || node.lost > 0)
    .sort((a, b) => (b.oldest_ms || 0) - (a.oldest_ms || 0) || (b.queued || 0) - (a.queued || 0)).slice(0, 20);
  items($("mailboxes"), full.map((node) => item(node, number(node.queued || 0) + " queued" + (node.oldest_ms ? ", oldest " + span(node.oldest_ms) : "")
    + (node.lost ? ", " + number(node.lost) + " lost" : ""), node.lost ? "bad" : "")), "All mailboxes that are counted are empty.");
  const busy = nodes.filter((node) => node.handling).sort((a, b) => b.handling.elapsed_ms - a.handling.elapsed_ms).slice(0, 20);
  items($("handlers"), busy.map((node) => item(node, node.handling.callback + " for " + span(node.handling.elapsed_ms),
    node.handling.elapsed_ms > 1000 ? "warn" : "")), "None, or mailboxes are not tracked.");
  items($("slow"), model.trouble.slice(0, 20).map((one, at) => ({ key: one.time + " " + at + one.path, path: one.path, pid: one.pid,
    text: shown(one.path, 200), value: shown(one.text, 120) + "  " + clock(one.time), tint: "warn" })), "None has been reported.");
  const often = counters ? counters.children.filter((child) => child.restarts || child.give_ups)
    .sort((a, b) => b.restarts - a.restarts).slice(0, 20) : [];
  // All children below a dynamic supervisor are one row, which leads to the supervisor.
  items($("restarts"), often.map((child) => ({ key: child.path, path: child.path.replace(/\/\*$/, ""), pid: null, text: shown(child.path, 200),
    value: number(child.restarts) + (child.restarts === 1 ? " restart" : " restarts") + (child.give_ups ? ", gave up " + number(child.give_ups) : ""),
    tint: child.give_ups ? "bad" : "" })), "No child has been restarted.");
}

// Stopping.

function drawStopping() {
  const stops = [...model.nodes.values()].filter((node) => node.ending_since_ms !== null && node.ending_since_ms !== undefined
    || (node.state === "stopping" && !(model.nodes.get(node.above) || {}).ending_since_ms));
  const roots = stops.filter((node) => !stops.includes(model.nodes.get(node.above)));
  const box = $("stops");
  if (!roots.length) {
    const text = model.ended && !model.nodes.size ? "The tree ended at " + clock(model.ended) + "." : "No process is stopping.";
    return draw(box, [text], (item) => "empty" + item, (item) => el("p", "empty", item));
  }
  draw(box, roots, (node) => node.key, () => {
    const made = el("div", "panel stop");
    made.append(el("h2"), el("div"));
    return made;
  }, (made, node) => {
    const alive = [];
    const visit = (at) => { [...at.children].reverse().forEach((key) => { const child = model.nodes.get(key); if (child) visit(child); }); if (isAlive(at)) alive.push(at); };
    visit(node);
    const since = node.ending_since_ms || node.stopping_since;
    put(made.firstChild, shown(node.path, 200) + " is stopping" + (since ? " for " + span(now() - since) : "")
      + ": " + number(alive.length) + (alive.length === 1 ? " process is" : " processes are") + " alive, the next to stop first");
    const waits = (at) => at.holds || at.state === "stopping" || [...model.nodes.values()].some((sup) => sup.step && sup.step.doing === "stopping" && sup.step.child === at.path);
    items(made.lastChild, alive.slice(0, 200).map((at) => ({
      key: at.key, path: at.path, pid: at.pid, text: shown(at.path, 200), tint: waits(at) ? "warn" : "dim",
      value: waits(at) ? (at.holds ? "holds the stop up" : "stopping") + (at.stopping_since ? " for " + span(now() - at.stopping_since) : "") : "alive",
    })), "All have ended.");
  });
}

// ---- The page --------------------------------------------------------------------------------

const screens = { tree: drawTree, history: drawHistory, process: drawProcess, pressure: drawPressure, stopping: drawStopping };
const screenOf = () => { const name = location.hash.slice(1).split("?")[0]; return Object.hasOwn(screens, name) ? name : "tree"; };

function render() {
  const screen = screenOf();
  screens[screen]();
  let processes = 0, unwell = 0, restarts = 0;
  for (const node of model.nodes.values()) {
    if (isAlive(node)) processes += 1;
    if (node.folded) processes += Math.max(0, node.folded.children - node.children.length);
    if (badness(node) >= 4) unwell += 1;
    restarts += node.restarts;
  }
  put($("summary"), number(processes) + " processes · " + number(restarts) + " restarts · " + (unwell ? number(unwell) + " unwell" : "all well"));
}

function route() {
  const screen = screenOf();
  for (const name of Object.keys(screens)) $("screen-" + name).hidden = name !== screen;
  for (const a of document.querySelectorAll("nav a")) {
    const isCurrent = a.dataset.screen === screen;
    if (isCurrent) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
    // The tab of the process remembers which one it showed.
    if (isCurrent && screen === "process") a.href = location.hash;
  }
  scrollTo(0, 0);
  document.title = screen[0].toUpperCase() + screen.slice(1) + " · regrow observer";
  render();
  fetchDetail();
}

let dirty = true;
function connect() {
  const source = new EventSource(new URL("events", base));
  source.onopen = () => { put($("link"), "live"); dress($("link"), "live"); };
  source.onerror = () => {
    put($("link"), "disconnected");
    dress($("link"), "lost");
    source.close();
    setTimeout(connect, 1500);
  };
  source.onmessage = (event) => {
    const item = JSON.parse(event.data);
    model.offset = item.time_ms - Date.now();
    if (item.type === "picture") applyPicture(item);
    else if (item.type === "change") applyChange(item);
    else if (item.type === "sample") applySample(item);
    dirty = true;
  };
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  try { localStorage.setItem("regrow-theme", name); } catch { /* The theme lasts as long as the page. */ }
}

function nextTheme() {
  const isDark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(isDark ? "light" : "dark");
}

function move(by) {
  const rows = [...document.querySelectorAll("#rows a[data-row]")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))].focus();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest("input");
  if (field) {
    if (event.key === "Escape") { field.value = ""; field.blur(); render(); }
    if (event.key === "ArrowDown" && field.id === "filter") { event.preventDefault(); move(0); }
    return;
  }
  const row = event.target.closest("#rows .row");
  const actions = {
    "/": () => { const input = document.querySelector("section:not([hidden]) input[type=search]"); if (input) input.focus(); },
    t: nextTheme,
    ArrowDown: screenOf() === "tree" && (() => move(1)), ArrowUp: screenOf() === "tree" && (() => move(-1)),
    j: () => move(1), k: () => move(-1),
    ArrowLeft: row && row.key && (() => toggle(row.key, true)), ArrowRight: row && row.key && (() => toggle(row.key, false)),
  };
  Object.keys(screens).forEach((name, at) => { actions[at + 1] = () => { location.hash = document.querySelector("[data-screen=" + name + "]").getAttribute("href"); }; });
  if (Object.hasOwn(actions, event.key) && actions[event.key]) { event.preventDefault(); actions[event.key](); }
});

for (const id of ["filter", "search", "failures"]) $(id).addEventListener("input", render);
$("theme").addEventListener("click", nextTheme);
addEventListener("hashchange", route);
try { const saved = localStorage.getItem("regrow-theme"); if (saved === "light" || saved === "dark") setTheme(saved); } catch { /* none was saved */ }

route();
connect();
let ticks = 0;
setInterval(() => {
  ticks += 1;
  if (document.hidden) return;
  if (dirty || ticks % 4 === 0) { dirty = false; render(); }
  if (ticks % 4 === 0) fetchDetail();
}, 250);
