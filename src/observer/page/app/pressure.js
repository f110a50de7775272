// The screen *Pressure*: what is full, slow, lost or waited for.
"use strict";

import { $, draw, drawEmpty, drawItems, dress, el, link, put } from "./draw.js";
import { model } from "./model.js";
import { clock, counted, lastId, number, shown, span } from "./text.js";
import { chainsOf } from "./waits.js";

const SHOWN = 20;

function drawCards(counters) {
  const { ended } = counters;
  const perSecond = (value) => (value ? ", " + value.toFixed(1) + " per second" : "");
  const rates = model.rates || {};
  const cards = [
    [counters.spawned, "spawned" + perSecond(rates.spawned)],
    [ended.error + ended.panic, "errors and panics", true],
    [ended.killed, "killed"],
    [counters.refused, "messages refused", true],
    [counters.dropped, "messages dropped", true],
    [counters.unhandled, "messages unhandled", true],
    [counters.timed_out, "calls timed out" + perSecond(rates.timed_out), true],
  ];
  draw($("cards"), cards, (card) => cards.indexOf(card), () => {
    const made = el("div", "card");
    made.append(el("b"), el("span"));
    return made;
  }, (made, [value, text, isBad]) => {
    put(made.firstChild, number(value));
    dress(made.firstChild, isBad && value > 0 ? "warn" : "");
    put(made.lastChild, text);
  });
}

/** The first nodes in this order. Of many nodes this is cheaper than to sort all. */
function top(isListed, order) {
  const listed = [];
  for (const node of model.nodes.values()) if (isListed(node)) listed.push(node);
  return listed.sort(order).slice(0, SHOWN);
}

const item = (node, value, tint) => ({ key: node.key, path: node.path, pid: node.pid, text: shown(node.path, 200), value, tint });

function mailboxItem(node) {
  const parts = [number(node.queued || 0) + " queued"];
  if (node.oldest_ms) parts.push("oldest " + span(node.oldest_ms));
  if (node.lost) parts.push(number(node.lost) + " lost");
  return item(node, parts.join(", "), node.lost ? "bad" : "");
}

function restartItem(child) {
  const value = counted(child.restarts, "restart", "restarts") + (child.give_ups ? ", gave up " + number(child.give_ups) : "");
  // All children below a dynamic supervisor are one row, which leads to the supervisor.
  return { key: child.path, path: child.path.replace(/\/\*$/, ""), pid: null, text: shown(child.path, 200), value, tint: child.give_ups ? "bad" : "" };
}

export function drawPressure() {
  const { counters } = model;
  if (counters) drawCards(counters);
  const full = top((node) => node.queued > 0 || node.lost > 0, (a, b) => (b.oldest_ms || 0) - (a.oldest_ms || 0) || (b.queued || 0) - (a.queued || 0));
  drawItems($("mailboxes"), full.map(mailboxItem), "All mailboxes that are counted are empty.");
  const busy = top((node) => node.handling, (a, b) => b.handling.elapsed_ms - a.handling.elapsed_ms);
  const busyItem = (node) => item(node, node.handling.callback + " for " + span(node.handling.elapsed_ms), node.handling.elapsed_ms > 1000 ? "warn" : "");
  drawItems($("handlers"), busy.map(busyItem), "None, or mailboxes are not tracked.");
  const trouble = model.trouble.slice(0, SHOWN).map((one, at) => ({
    key: one.time + " " + at + one.path, path: one.path, pid: one.pid, text: shown(one.path, 200),
    value: shown(one.text, 120) + "  " + clock(one.time), tint: one.kind === "deadlock" ? "bad" : "warn",
  }));
  drawItems($("slow"), trouble, "None has been reported.");
  const often = counters ? counters.children.filter((child) => child.restarts || child.give_ups)
    .sort((a, b) => b.restarts - a.restarts).slice(0, SHOWN) : [];
  drawItems($("restarts"), often.map(restartItem), "No child has been restarted.");
  drawWaits();
}

const nameOf = (at) => (at.path ? shown(lastId(at.path), 80) + " " : "") + "#" + at.pid;

function drawWaits() {
  const box = $("waits");
  const chains = chainsOf(model.waits);
  if (!chains.length) {
    return drawEmpty(box, model.waitsKnown ? "No server waits for another one." : "Not known: the program does not detect deadlocks.", "dim");
  }
  const keyOf = (chain) => chain.isCycle + " " + chain.links.map((at) => at.pid).join(" ");
  draw(box, chains, keyOf, (chain) => {
    const made = el("div", "chain");
    if (chain.isCycle) made.append(el("span", "pill bad", "cycle"));
    chain.links.forEach((at, index) => {
      if (index) made.append(el("span", "dim", "waits for"));
      const to = link(at.path, at.pid, nameOf(at));
      to.title = at.path ? shown(at.path, 200) : "";
      made.append(to);
    });
    return made;
  });
  put($("waits-more"), model.waitsLeftOut ? number(model.waitsLeftOut) + " more are not listed." : "");
}
