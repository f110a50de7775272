//! What each kind of change does to the model.

use crate::model::fields::Fields;
use crate::model::history::{Entry, is_recorded};
use crate::model::node::{At, Mailbox, Node, Run};
use crate::model::{Model, TROUBLE};

/// How many past incarnations of a child are kept. A picture has the same limit.
const RUNS: usize = 8;

/// How many children of a dynamic supervisor are kept. A picture has the same limit.
const LISTED: usize = 100;

/// Applies a change.
pub(super) fn apply(model: &mut Model, change: Fields, time_ms: u64) {
    let kind = change.str("change").unwrap_or_default();
    let creates = ["added", "starting", "started"].contains(&kind);
    let at = find(model, change).or_else(|| if creates { create(model, change) } else { None });
    if let Some(at) = at {
        match kind {
            "started" => started(model, at, change, time_ms),
            "ended" => ended(model, at, change, time_ms),
            "restarting" => restarting(model, at, change),
            "removed" => {
                if model.get(at).is_some_and(|node| node.state != "ended") {
                    model.remove(at);
                }
            }
            _ => {
                if let Some(node) = model.get_mut(at) {
                    set(node, kind, change, time_ms);
                }
            }
        }
    }
    if is_recorded(kind) {
        let entry = Entry::of_change(change);
        if kind == "slow_handler" || kind == "deadlock" {
            model.trouble.push_front(entry.clone());
            model.trouble.truncate(TROUBLE);
        }
        model.history.add(entry);
    }
}

/// Returns the node of a change.
fn find(model: &Model, change: Fields) -> Option<At> {
    let (path, pid) = (change.str("path")?, change.number("pid"));
    let supervisor = change.number("supervisor");
    if supervisor.is_none() {
        let by_pid = pid.and_then(|pid| model.by_pid.get(&pid).copied());
        return by_pid.or_else(|| model.find(&model.key(path, None, None)));
    }
    let with = |pid| model.find(&model.key(path, pid, supervisor));
    with(pid).or_else(|| change.number("previous").and_then(|previous| with(Some(previous))))
}

/// Adds the node of a change. Adds no node if the model does not contain the supervisor of the
/// node. Below a dynamic supervisor, adds no node if the model contains [`LISTED`] children
/// already.
fn create(model: &mut Model, change: Fields) -> Option<At> {
    let supervisor = change.number("supervisor");
    let above = supervisor.and_then(|pid| model.with_pid(pid));
    let is_listed = match above {
        Some(above) => !above.is_dynamic() || above.children.len() < LISTED,
        None => supervisor.is_none(),
    };
    let path = change.text("path");
    is_listed.then(|| {
        model.insert(Node {
            id: last_id(&path),
            path,
            pid: change.number("pid"),
            supervisor,
            is_supervisor: change.str("kind") == Some("supervisor"),
            state: "stopped".to_owned(),
            ..Node::default()
        })
    })
}

/// Applies a change that affects only this node.
fn set(node: &mut Node, kind: &str, change: Fields, time_ms: u64) {
    match kind {
        "added" => node.is_supervisor |= change.str("kind") == Some("supervisor"),
        "starting" => {
            "starting".clone_into(&mut node.state);
            node.retry_at_ms = None;
        }
        "waiting" => {
            "restarting".clone_into(&mut node.state);
            node.retry_at_ms = change.number("retry_in_ms").map(|ms| time_ms.saturating_add(ms));
        }
        "stopped" | "given_up" => kind.clone_into(&mut node.state),
        "ending" => {
            node.ending_since_ms = Some(time_ms);
            node.deadline_ms = change.number("deadline_ms").or(node.deadline_ms);
        }
        "stopping" => {
            "stopping".clone_into(&mut node.state);
            node.stopping_since_ms = Some(time_ms);
            node.deadline_ms = change.number("deadline_ms").or(node.deadline_ms);
        }
        "holds_stop" => {
            node.holds = true;
            node.stopping_since_ms.get_or_insert(time_ms);
        }
        "health" => {
            node.health = change.text("health");
            node.health_text = change.some_text("health_text");
        }
        _ => {}
    }
}

fn started(model: &mut Model, mut at: At, change: Fields, time_ms: u64) {
    let pid = change.number("pid");
    let Some(old) = model.get(at) else { return };
    // Below a dynamic supervisor the pid is a part of the key.
    if model.key_of(old) != model.key(&old.path, pid, old.supervisor) {
        let node = Node { pid, children: Vec::new(), ..old.clone() };
        model.remove(at);
        at = model.insert(node);
    }
    model.set_pid(at, pid);
    let Some(node) = model.get_mut(at) else { return };
    if let Some(kind) = change.str("kind") {
        node.is_supervisor = kind == "supervisor";
    }
    "running".clone_into(&mut node.state);
    node.health = change.text("health");
    node.health_text = change.some_text("health_text");
    node.started_ms = Some(time_ms);
    node.mailbox = Mailbox { lost: node.mailbox.lost, ..Mailbox::default() };
    at_rest(node);
}

/// Clears the times of a stop and of a retry, because neither is under way any more.
fn at_rest(node: &mut Node) {
    node.retry_at_ms = None;
    node.ending_since_ms = None;
    node.stopping_since_ms = None;
    node.deadline_ms = None;
    node.holds = false;
}

fn ended(model: &mut Model, at: At, change: Fields, time_ms: u64) {
    let Some(node) = model.get(at) else { return };
    for child in node.children.clone() {
        model.remove(child);
    }
    let is_root = change.number("supervisor").is_none();
    let for_good = change.is("for_good");
    let Some(node) = model.get_mut(at) else { return };
    node.history.push(Run {
        pid: change.number("pid"),
        started_ms: change.number("uptime_ms").map(|uptime| time_ms.saturating_sub(uptime)),
        ended_ms: time_ms,
        reason: change.text("reason"),
        class: change.text("class"),
        place: change.some_text("place"),
        delay_ms: None,
        has_backtrace: change.is("backtrace"),
    });
    let surplus = node.history.len().saturating_sub(RUNS);
    node.history.drain(..surplus);
    if for_good { "ended" } else { "stopped" }.clone_into(&mut node.state);
    node.started_ms = None;
    node.mailbox = Mailbox { lost: node.mailbox.lost, ..Mailbox::default() };
    at_rest(node);
    let key = model.get(at).map(|node| model.key_of(node));
    if key.is_some_and(|key| key.pid.is_none()) {
        model.set_pid(at, None);
    }
    if is_root {
        model.ended_ms = Some(time_ms);
        if !for_good {
            model.remove(at);
        }
    }
}

fn restarting(model: &mut Model, at: At, change: Fields) {
    if let Some(node) = model.get_mut(at) {
        "restarting".clone_into(&mut node.state);
        node.restarts += 1;
    }
    let above = change.number("supervisor").and_then(|pid| model.with_pid_mut(pid));
    if let (Some(budget), Some(left)) =
        (above.and_then(|above| above.budget.as_mut()), change.number("budget_left"))
    {
        budget.left = left;
    }
}

/// Returns the last id of a path, not escaped.
fn last_id(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    if last == "\"\"" {
        return String::new();
    }
    let (mut bytes, mut rest) = (Vec::new(), last.as_bytes());
    while let Some((&byte, more)) = rest.split_first() {
        let code = (byte == b'%').then(|| more.get(..2)).flatten();
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &more[2..];
            }
            None => {
                bytes.push(byte);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
