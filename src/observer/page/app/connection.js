// The connection: items of the observation, applied one after the other.
"use strict";

import { base } from "./base.js";
import { applyChange, applyPicture, applySample } from "./changes.js";
import { fetchCapabilities } from "./control.js";
import { $, dress, put } from "./draw.js";
import { drawSoon } from "./refresh.js";
import { clockOffset } from "./text.js";

const RETRY_MS = 1000;

/** The items that have arrived, and whether they are being applied. */
let queue = [];
let isApplying = false;

async function applyAll() {
  if (isApplying) return;
  isApplying = true;
  try {
    for (let data = queue.shift(); data !== undefined; data = queue.shift()) {
      const item = JSON.parse(data);
      clockOffset.ms = item.time_ms - Date.now();
      if (item.type === "picture") await applyPicture(item);
      else if (item.type === "change") applyChange(item);
      else if (item.type === "sample") applySample(item);
      drawSoon();
    }
  } finally {
    isApplying = false;
  }
}

function show(text, state) {
  put($("link"), text);
  dress($("link"), state);
}

/** Connects, and connects again whenever the connection is lost. */
export function connect() {
  const source = new EventSource(new URL("events", base));
  source.onopen = () => {
    show("live", "live");
    fetchCapabilities();
  };
  source.onerror = () => {
    show("disconnected", "lost");
    source.close();
    queue = [];
    setTimeout(connect, RETRY_MS);
  };
  source.onmessage = (event) => {
    queue.push(event.data);
    applyAll();
  };
}
