// Texts of numbers, times and foreign strings.
"use strict";

/** The clock of the server minus that of the browser, in milliseconds. */
export const clockOffset = { ms: 0 };
export const now = () => Date.now() + clockOffset.ms;

/** The text of a span of time. */
export function span(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 0) ms = 0;
  if (ms < 1000) return Math.round(ms) + " ms";
  const s = ms / 1000;
  if (s < 60) return (s < 10 ? s.toFixed(1) : Math.floor(s)) + " s";
  if (s < 3600) return Math.floor(s / 60) + "m " + String(Math.floor(s % 60)).padStart(2, "0") + "s";
  if (s < 86400) return Math.floor(s / 3600) + "h " + String(Math.floor((s % 3600) / 60)).padStart(2, "0") + "m";
  return Math.floor(s / 86400) + "d " + Math.floor((s % 86400) / 3600) + "h";
}

export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");
export const number = (value) => value.toLocaleString("en-US");
export const counted = (value, one, many) => number(value) + " " + (value === 1 ? one : many);

// Controls, and characters that change the direction of a text or are not visible: those that
// `regrow-top` escapes, too.
const INVISIBLE = new RegExp("[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f"
  + "\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb"
  + "\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]", "gu");
const escaped = (c) => "\\u{" + c.codePointAt(0).toString(16) + "}";

/** A foreign text on one line, with each invisible character written as an escape. */
export const plain = (text) => String(text).replace(INVISIBLE, escaped);
/** A foreign text that keeps its lines. */
export const plainLines = (text) => String(text).split("\n").map(plain).join("\n");

const cut = (text, most) => (text.length > most ? text.slice(0, most) + "…" : text);
export const shown = (text, most = 300) => cut(plain(cut(String(text), most)), most);
export const idText = (node) => (node.id === "" ? '""' : shown(node.id, 120));

/** The last id of a path, not escaped. */
export function lastId(path) {
  const last = path.slice(path.lastIndexOf("/") + 1);
  if (last === '""') return "";
  try { return decodeURIComponent(last); } catch { return last; }
}

/** The tint of a class of exit reasons. */
export const tone = (kind) => ({ error: "bad", panic: "bad", killed: "bad", no_process: "warn" })[kind] || "";
