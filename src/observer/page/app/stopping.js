// The screen *Stopping*: which processes a stop still waits for, and when each of them is killed.
"use strict";

import { $, draw, drawEmpty, dress, el, link, put } from "./draw.js";
import { aboveOf, childrenOf, isAlive, model } from "./model.js";
import { clock, counted, now, shown, span } from "./text.js";

const SHOWN = 200;

/** The topmost processes that stop. */
function rootsOf() {
  const stops = new Set();
  for (const node of model.nodes.values()) if (node.ending_since_ms || node.state === "stopping") stops.add(node);
  const isBelow = (node) => {
    for (let at = aboveOf(node); at; at = aboveOf(at)) if (stops.has(at)) return true;
    return false;
  };
  return [...stops].filter((node) => !isBelow(node));
}

/** The processes below and with this one that are alive, the next to stop first. */
function aliveBelow(root) {
  const alive = [];
  const visit = (node) => {
    [...childrenOf(node)].reverse().forEach(visit);
    if (isAlive(node)) alive.push(node);
  };
  visit(root);
  return alive;
}

/** For each child that its supervisor is stopping, the step of the supervisor. */
function stepsOf(nodes) {
  const steps = new Map();
  for (const node of nodes) if (node.step && node.step.doing === "stopping") steps.set(node.step.child, node.step);
  return steps;
}

function itemOf(node, steps) {
  const step = steps.get(node.path);
  const isWaitedFor = Boolean(step) || node.holds || node.state === "stopping";
  if (!isWaitedFor) return { node, value: "alive", tint: "dim", deadline: null };
  const since = node.stopping_since || (step && step.since_ms) || null;
  const deadline = node.deadline_ms || (step && step.deadline_ms) || null;
  // A supervisor with a fixed list stops one child at a time.
  const above = aboveOf(node);
  const isOnly = above && above.ending_since_ms && above.strategy !== "dynamic";
  const what = step || node.holds || isOnly ? "holds the stop up" : "stopping";
  return { node, value: what + (since ? " for " + span(now() - since) : ""), tint: "warn", deadline, since };
}

function makeItem({ node }) {
  const made = el("div", "item deadline");
  const rail = el("i");
  rail.append(el("b"));
  const left = el("span", "gauge");
  left.append(rail, el("span"));
  made.append(link(node.path, node.pid, shown(node.path, 200)), el("span", "num"), left);
  return made;
}

function fillItem(made, { value, tint, deadline, since }) {
  const [, text, left] = made.children;
  put(text, value);
  dress(text, "num " + tint);
  left.hidden = !deadline;
  if (!deadline) return;
  const rest = Math.max(0, deadline - now());
  const whole = since ? Math.max(1, deadline - since) : 10000;
  dress(left, "gauge" + (rest === 0 ? " out" : rest * 3 < whole ? " low" : ""));
  left.firstChild.firstChild.style.width = Math.min(100, (100 * rest) / whole) + "%";
  put(left.lastChild, rest ? "killed in " + span(rest) : "is killed");
}

export function drawStopping() {
  const roots = rootsOf();
  if (!roots.length) {
    return drawEmpty($("stops"), model.ended && !model.nodes.size ? "The tree ended at " + clock(model.ended) + "." : "No process is stopping.");
  }
  draw($("stops"), roots, (node) => node.key, () => {
    const made = el("div", "panel stop");
    made.append(el("h2"), el("div"), el("p", "dim"));
    return made;
  }, (made, node) => {
    const alive = aliveBelow(node);
    const steps = stepsOf([...alive, aboveOf(node)].filter(Boolean));
    const since = node.ending_since_ms || node.stopping_since;
    put(made.firstChild, shown(node.path, 200) + " is stopping" + (since ? " for " + span(now() - since) : "") + ": "
      + counted(alive.length, "process is", "processes are") + " alive, the next to stop first");
    const items = alive.slice(0, SHOWN).map((at) => itemOf(at, steps));
    draw(made.children[1], items, (item) => item.node.key + item.node.pid, makeItem, fillItem);
    put(made.lastChild, alive.length > SHOWN ? counted(alive.length - SHOWN, "more is", "more are") + " not listed." : "");
  });
}
