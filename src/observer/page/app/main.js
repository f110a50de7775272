// The page of the observer. It follows an observation (picture, changes, samples) and draws one of
// five screens, each of which is a file. `model.js` says what is known, `changes.js` how it changes.
//
// Ids, names and reasons come from anywhere: they reach the document only as `textContent` and as
// encoded parts of fragments.
"use strict";

import { connect } from "./connection.js";
import { drawLevel } from "./control.js";
import { $, put } from "./draw.js";
import { drawHistory } from "./history.js";
import { listen } from "./keyboard.js";
import { badness, expire, isAlive, model } from "./model.js";
import { drawPressure } from "./pressure.js";
import { drawProcess, fetchDetail } from "./process.js";
import { drawNow, drawSoon, drawWith } from "./refresh.js";
import { drawStopping } from "./stopping.js";
import { counted, now, number } from "./text.js";
import { nextTheme, restoreTheme } from "./theme.js";
import { drawTree } from "./tree.js";

const screens = { tree: drawTree, history: drawHistory, process: drawProcess, pressure: drawPressure, stopping: drawStopping };

function currentScreen() {
  const name = location.hash.slice(1).split("?")[0];
  return Object.hasOwn(screens, name) ? name : "tree";
}

/** The sum of all nodes is not drawn more often than this, because there may be very many. */
const SUMMARY_MS = 500;
let summed = 0;

function drawSummary() {
  if (performance.now() - summed < SUMMARY_MS) return;
  summed = performance.now();
  let processes = 0, unwell = 0, restarts = 0;
  for (const node of model.nodes.values()) {
    if (isAlive(node)) processes += 1;
    if (node.folded) processes += Math.max(0, node.folded.children - node.children.size);
    if (badness(node) >= 4) unwell += 1;
    restarts += node.restarts;
  }
  put($("summary"), counted(processes, "process", "processes") + " · " + counted(restarts, "restart", "restarts") + " · " + (unwell ? number(unwell) + " unwell" : "all well"));
}

function route() {
  const screen = currentScreen();
  for (const name of Object.keys(screens)) $("screen-" + name).hidden = name !== screen;
  for (const a of document.querySelectorAll("nav a")) {
    const isCurrent = a.dataset.screen === screen;
    if (isCurrent) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
    // The tab of the process remembers which one it showed.
    if (isCurrent && screen === "process") a.href = location.hash;
  }
  scrollTo(0, 0);
  document.title = screen[0].toUpperCase() + screen.slice(1) + " · regrow observer";
  drawNow();
  fetchDetail();
}

drawWith(() => { screens[currentScreen()](); drawSummary(); drawLevel(); });
for (const id of ["filter", "search", "failures"]) $(id).addEventListener("input", drawSoon);
$("theme").addEventListener("click", nextTheme);
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", drawSoon);
listen(Object.keys(screens));
restoreTheme();
route();
connect();
setInterval(() => {
  if (document.hidden) return;
  expire(now());
  drawSoon();
  fetchDetail();
}, 1000);
