// Control: what the page may ask the program to do, if the program allows it. The page shows no
// control before the program has listed it.
"use strict";

import { base } from "./base.js";
import { $, button, draw, dress, put } from "./draw.js";
import { isAlive } from "./model.js";
import { shown } from "./text.js";

const LEVELS = ["off", "error", "warn", "info", "debug"];

/** For each action its name, and what it does, as the user is asked to confirm it. */
const ACTIONS = {
  restart: ["Restart", "Stop it in order, and start it again?"],
  terminate: ["Terminate", "Stop it in order, and leave it stopped?"],
  kill: ["Kill", "End it at once? Its restart type decides what follows."],
  suspend: ["Suspend", "Let it handle no message until it is resumed?"],
  resume: ["Resume", "Let it handle messages again?"],
};
/** Actions that concern a process, and not a child that does not run. */
const LIVE = new Set(["terminate", "kill", "suspend", "resume"]);

let allowed = [];
let asked = null; // the action that waits for its confirmation
let answer = null; // { key, text, tint } of the last action
let current = null; // the node whose controls are shown

/** Asks the program for what it allows. Without an answer the page only reads. */
export async function fetchCapabilities() {
  let found = null;
  try {
    const response = await fetch(new URL("capabilities", base));
    if (response.ok) found = await response.json();
  } catch { /* The connection is shown as lost already. */ }
  allowed = found && Array.isArray(found.control) ? found.control.filter((name) => typeof name === "string") : [];
  drawLevel(found && found.log_level);
  show();
}

/** Sends a request. Returns why it was refused, or `null`. */
async function send(request) {
  try {
    const response = await fetch(new URL("control", base), {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request),
    });
    if (response.ok) return null;
    return (await response.text()).trim() || "status " + response.status;
  } catch {
    return "the program did not answer";
  }
}

// The log level of the program.

function drawLevel(level) {
  const box = $("level");
  box.hidden = !allowed.includes("log_level");
  const select = box.querySelector("select");
  if (!select.options.length) for (const name of LEVELS) select.append(new Option(name));
  if (level) select.value = select.dataset.level = String(level);
  select.onchange = async () => {
    const refused = await send({ action: "log_level", level: select.value });
    if (refused) select.value = select.dataset.level;
    else select.dataset.level = select.value;
    put($("level-state"), refused ? "refused: " + shown(refused, 120) : "done");
    dress($("level-state"), refused ? "bad" : "good");
  };
}

// The actions on one process.

const offered = (node) => Object.keys(ACTIONS).filter((name) => allowed.includes(name) && (isAlive(node) || !LIVE.has(name)));

/** Shows the controls of this node; none if there is no such child, or no control. */
export function drawControl(node) {
  if (!current || !node || current.key !== node.key) asked = null;
  current = node;
  show();
}

function show() {
  const box = $("control");
  const names = current && current.state !== "ended" ? offered(current) : [];
  box.hidden = !names.length;
  if (box.hidden) return;
  if (asked && !names.includes(asked.action)) asked = null;
  draw($("actions"), asked ? [] : names, (name) => name, (name) => button(ACTIONS[name][0] + "…", () => ask(name), "action"));
  const question = $("question");
  question.hidden = !asked;
  if (asked) put(question.querySelector("span"), ACTIONS[asked.action][1]);
  const isOf = answer && answer.key === current.key;
  put($("answer"), isOf ? answer.text : "");
  dress($("answer"), isOf ? answer.tint : "");
}

/** Asks for a confirmation. It holds for the process that is shown now. */
function ask(action) {
  const { key, path, pid, supervisor } = current;
  asked = { action, key, path, pid, supervisor };
  const yes = $("confirm");
  put(yes, ACTIONS[action][0] + (pid === null ? "" : " #" + pid));
  yes.onclick = confirmed;
  $("cancel").onclick = cancel;
  show();
  yes.focus();
}

/** Takes a question back. Returns whether there was one. */
export function cancel() {
  if (!asked) return false;
  const { action } = asked;
  asked = null;
  show();
  focusOn(action);
  return true;
}

function focusOn(action) {
  const made = $("actions").drawn.get(action);
  if (made) made.focus();
}

async function confirmed() {
  const { action, key, path, pid, supervisor } = asked;
  asked = null;
  answer = { key, text: action + ": sent", tint: "dim" };
  show();
  focusOn(action);
  const refused = await send({ action, path, pid, supervisor });
  answer = { key, text: action + (refused ? " refused: " + shown(refused, 300) : ": done"), tint: refused ? "bad" : "good" };
  show();
}
