// When the screen is drawn: at most four times in a second, and less often if drawing takes long.
"use strict";

const INTERVAL = 250;
/** A drawing that took `t` is followed by a rest of `REST * t`. */
const REST = 8;

let drawScreen = () => {};
let isDirty = true;
let restUntil = 0;
let timer = null;

export const drawWith = (draw) => { drawScreen = draw; };

/** Draws the screen now, because the user has done something. */
export function drawNow() {
  isDirty = false;
  const begun = performance.now();
  drawScreen();
  const took = performance.now() - begun;
  restUntil = begun + Math.max(INTERVAL, took * REST);
}

/** Draws the screen at the next occasion, because something has changed. */
export function drawSoon() {
  isDirty = true;
  if (timer !== null || document.hidden) return;
  timer = setTimeout(() => { timer = null; if (isDirty && !document.hidden) drawNow(); }, Math.max(0, restUntil - performance.now()));
}
