// Control: what the page may ask the program to do, if the program allows it. The page shows no
// control before the program has listed it.
"use strict";

import { base } from "./base.js";
import { $, button, draw, dress, put } from "./draw.js";
import { isAlive, latest, model, whenAnotherProgram } from "./model.js";
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
/** The states in which an action is offered for a child that does not run. */
const OFFERED = { restart: ["given_up", "stopped"], terminate: ["given_up", "restarting"] };

let allowed = [];
let asked = null; // the action that waits for its confirmation, with its child
let answer = null; // the text and the tint of the last action, with its child
let current = { node: null, path: null, pid: null }; // what the screen shows

whenAnotherProgram(() => { asked = answer = null; });

/** Asks the program for what it allows. Without an answer the page only reads. */
export async function fetchCapabilities() {
  let found = null;
  try {
    const response = await fetch(new URL("capabilities", base));
    if (response.ok) found = await response.json();
  } catch { /* The connection is shown as lost already. */ }
  allowed = found && Array.isArray(found.control) ? found.control.filter((name) => typeof name === "string") : [];
  model.logLevel = (found && found.log_level) || model.logLevel;
  drawLevel();
  show();
}

/** Sends a request. Returns what became of it, and its tint. */
async function send(request) {
  let response, text;
  try {
    response = await fetch(new URL("control", base), {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request),
    });
    text = shown((await response.text()).trim() || "status " + response.status);
  } catch {
    return { text: "not known: the program did not answer", tint: "warn" };
  }
  const { status } = response;
  if (response.ok) return { text: "done", tint: "good" };
  // Nothing was done.
  if (status < 500 || status === 503) return { text: "refused: " + text, tint: "bad" };
  if (status === 500) return { text: "failed: " + text, tint: "bad" };
  return { text: (status === 504 ? "unfinished: " : "not known: ") + text, tint: "warn" };
}

// The log level of the program.

/** Whether the program has not answered yet which level it has from now on. */
let isLevelAsked = false;

/** Shows the level, which another page or the program itself may have set. */
export function drawLevel() {
  const box = $("level");
  box.hidden = !allowed.includes("log_level");
  const select = box.querySelector("select");
  if (!select.options.length) for (const name of LEVELS) select.append(new Option(name));
  if (!isLevelAsked && model.logLevel && select.value !== model.logLevel) select.value = String(model.logLevel);
  select.onchange = async () => {
    isLevelAsked = true;
    const { text, tint } = await send({ action: "log_level", level: select.value });
    isLevelAsked = false;
    if (tint === "good") model.logLevel = select.value;
    drawLevel();
    put($("level-state"), text);
    dress($("level-state"), tint);
  };
}

// The actions on one process.

function offered(node) {
  const isOffered = (name) => isAlive(node) || (OFFERED[name] || []).includes(node.state);
  return Object.keys(ACTIONS).filter((name) => allowed.includes(name) && isOffered(name));
}

/** Whether this question or answer is about the child that is shown, also after its restart. */
const isOf = (one) => Boolean(one) && (one.isByPid || current.path === null
  ? one.pid !== null && latest(one.pid) === latest(current.pid) : one.path === current.path);

/** Shows the controls of this node, and the answer to the last action on it, if there are any. */
export function drawControl(shownNow) {
  current = shownNow;
  if (!isOf(asked)) asked = null;
  show();
}

/** The answer stays when the child has ended and offers no action. */
function show() {
  const { node } = current;
  const names = node ? offered(node) : [];
  const isAnswered = isOf(answer);
  $("control").hidden = !names.length && !isAnswered;
  if (asked && !names.includes(asked.action)) asked = null;
  draw($("actions"), asked ? [] : names, (name) => name, (name) => button(ACTIONS[name][0] + "…", () => ask(name), "action"));
  const question = $("question");
  question.hidden = !asked;
  if (asked) put(question.querySelector("span"), ACTIONS[asked.action][1]);
  put($("answer"), isAnswered ? answer.text : "");
  dress($("answer"), isAnswered ? answer.tint : "");
}

/** Asks for a confirmation. It holds for the process that is shown now. */
function ask(action) {
  const { key, path, pid, supervisor } = current.node;
  asked = { action, isByPid: key.includes("\n"), path, pid, supervisor };
  const yes = $("confirm");
  put(yes, ACTIONS[action][0] + (pid === null ? "" : " #" + pid));
  yes.onclick = confirmed;
  $("cancel").onclick = cancel;
  show();
  // Not the button that acts: a key that is held or pressed twice confirms nothing.
  $("cancel").focus();
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
  const { action, path, pid, supervisor, isByPid } = asked;
  const child = { path, pid, isByPid };
  asked = null;
  answer = { ...child, text: action + ": sent", tint: "dim" };
  show();
  focusOn(action);
  const { text, tint } = await send({ action, path, pid, supervisor });
  answer = { ...child, text: action + ": " + text, tint };
  show();
}
