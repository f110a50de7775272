//! A snapshot as JSON.
//!
//! The JSON is a flat list of nodes, since many parsers refuse JSON that is nested more than 128
//! levels deep. All times are in milliseconds. A moment is written as the time between it and the
//! snapshot.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use tokio::time::Instant;

use crate::base::one_line::needs_escape;
use crate::exit::ExitReason;
use crate::observe::{Health, MachineStatus, StateChange};
use crate::snapshot::{Busy, NodeKind, NodeState, TreeNode, TreeSnapshot, numbered};
use crate::supervisor::{Incarnation, RestartBudget};

impl TreeSnapshot {
    /// Returns the tree as JSON: an object with `nodes`, a flat list of all nodes. A supervisor
    /// comes before its children, and children of one supervisor are in start order. `node` is the
    /// number of the node in the list, and `parent` the number of its supervisor; the root has
    /// number 0 and the `parent` null. Since the list is flat, a parser that refuses JSON nested
    /// deeper than 128 levels can read a tree of any depth.
    ///
    /// A node has `id`, `kind` (`worker` or `supervisor`), `state` (`running`, `starting`,
    /// `restarting`, `stopping`, `ended`, `stopped`, `given_up` or `busy`), `restarts`, `names`, `health`,
    /// `mailbox_depth` (null where it is not [counted](TreeNode::depth)), `history` and `more`.
    /// `pid`, `up_ms` and `retry_in_ms` are null where they do not apply. A supervisor also has
    /// `strategy` and `budget`. Times are in milliseconds. Texts are complete. Control characters
    /// and `<` in texts are escaped, as in `\u001b`, so that a terminal or a page that shows the
    /// JSON does not interpret them.
    ///
    /// A [state machine](crate::StateMachine) also has `machine`, an object with `state`, `since_ms`,
    /// `postponed`, `changes` (their number) and `recent`, a list of objects with `from`, `to`, `event`
    /// and `ago_ms`, oldest first.
    ///
    /// For a supervisor that did not answer in time, and that is shown with its last published
    /// state, `last_known` is true and `busy` is an object with `with` (`init`, `starting`,
    /// `stopping`, `ending` or `unanswered`), `child` and `elapsed_ms`, as in [`Busy`]. For all
    /// other nodes `last_known` is false and `busy` is null.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let json: serde_json::Value = serde_json::from_str(&tree.tree().await?.to_json())?;
    /// let [app, job] = &json["nodes"].as_array().unwrap()[..] else { panic!("{json}") };
    /// assert_eq!((&app["id"], &app["strategy"]), (&"app".into(), &"one_for_one".into()));
    /// assert_eq!((&job["id"], &job["state"]), (&"job".into(), &"running".into()));
    /// assert_eq!(job["parent"], app["node"]);
    /// assert!(job["mailbox_depth"].is_null()); // this runtime doesn't count it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn to_json(&self) -> String {
        // The values are strings and numbers under fixed keys, so the serialization can't fail.
        escape_controls(&serde_json::to_string_pretty(self).unwrap_or_default())
    }
}

impl Serialize for TreeSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("TreeSnapshot", 1)?;
        out.serialize_field("nodes", &Nodes(self))?;
        out.end()
    }
}

/// All nodes, each supervisor before its children.
struct Nodes<'a>(&'a TreeSnapshot);

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Nodes(TreeSnapshot { root, taken, .. }) = self;
        let node = |(number, (parent, node))| Node { number, parent, node, taken: *taken };
        serializer.collect_seq(numbered(root).into_iter().enumerate().map(node))
    }
}

/// Escapes control characters and `<`. These occur only inside strings, so the value of the JSON
/// stays the same.
pub(crate) fn escape_controls(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    // Most of the text is copied in long pieces.
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'<';
    loop {
        let plain = rest.bytes().position(|byte| !is_plain(&byte)).unwrap_or(rest.len());
        let (copied, other) = rest.split_at(plain);
        text.push_str(copied);
        let mut chars = other.chars();
        let Some(c) = chars.next() else { return text };
        rest = chars.as_str();
        if c == '<' || (c != '\n' && needs_escape(c)) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
}

/// The state of a machine, and the moment of the snapshot.
struct MachineJson<'a> {
    status: &'a MachineStatus,
    taken: Instant,
}

impl Serialize for MachineJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let MachineJson { status, taken } = self;
        let recent = status.past(*taken).map(|(ago, change)| ChangeJson { ago, change });
        let mut out = serializer.serialize_struct("MachineStatus", 5)?;
        out.serialize_field("state", status.state)?;
        let since = taken.saturating_duration_since(status.since);
        out.serialize_field("since_ms", &millis(since))?;
        out.serialize_field("postponed", &status.postponed)?;
        out.serialize_field("changes", &status.changes)?;
        out.serialize_field("recent", &recent.collect::<Vec<_>>())?;
        out.end()
    }
}

/// A change of state, and the time since then.
struct ChangeJson<'a> {
    ago: Duration,
    change: &'a StateChange,
}

impl Serialize for ChangeJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ChangeJson { ago, change } = self;
        let mut out = serializer.serialize_struct("StateChange", 4)?;
        out.serialize_field("from", change.from)?;
        out.serialize_field("to", change.to)?;
        out.serialize_field("event", change.event)?;
        out.serialize_field("ago_ms", &millis(*ago))?;
        out.end()
    }
}

/// A node with its number, the number of its supervisor, and the moment of the snapshot.
struct Node<'a> {
    number: usize,
    parent: Option<usize>,
    node: &'a TreeNode,
    taken: Instant,
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Node { number, parent, node, taken } = self;
        let past = |incarnation| PastIncarnation { incarnation, taken: *taken };
        let mut out = serializer.serialize_struct("TreeNode", 19)?;
        out.serialize_field("node", number)?;
        out.serialize_field("parent", parent)?;
        out.serialize_field("id", &node.id)?;
        out.serialize_field("kind", kind(node))?;
        strategy::<S>(&mut out, node)?;
        out.serialize_field("state", state(node))?;
        out.serialize_field("last_known", &node.busy.is_some())?;
        out.serialize_field("busy", &node.busy.as_ref().map(BusyJson))?;
        out.serialize_field("pid", &node.pid.map(|pid| pid.raw()))?;
        out.serialize_field("names", &node.names)?;
        out.serialize_field("up_ms", &node.up.map(millis))?;
        out.serialize_field("retry_in_ms", &retry_in(node).map(millis))?;
        out.serialize_field("restarts", &node.restarts)?;
        out.serialize_field("health", &health(&node.health))?;
        let machine = |status| MachineJson { status, taken: *taken };
        match node.machine.as_deref().map(machine) {
            Some(machine) => out.serialize_field("machine", &machine)?,
            None => out.skip_field("machine")?,
        }
        out.serialize_field("mailbox_depth", &node.depth())?;
        out.serialize_field("history", &node.history.iter().map(past).collect::<Vec<_>>())?;
        out.serialize_field("more", &node.more)?;
        out.end()
    }
}

fn strategy<S: Serializer>(out: &mut S::SerializeStruct, node: &TreeNode) -> Result<(), S::Error> {
    let NodeKind::Supervisor { strategy, budget } = &node.kind else { return Ok(()) };
    out.serialize_field("strategy", strategy)?;
    out.serialize_field("budget", &budget.map(BudgetJson))
}

/// The `busy` object of a supervisor.
struct BusyJson<'a>(&'a Busy);

impl Serialize for BusyJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let BusyJson(busy) = self;
        let with = match busy {
            Busy::Init { .. } => "init",
            Busy::Starting { .. } => "starting",
            Busy::Stopping { .. } => "stopping",
            Busy::Ending { .. } => "ending",
            Busy::Unanswered => "unanswered",
        };
        let mut out = serializer.serialize_struct("Busy", 3)?;
        out.serialize_field("with", with)?;
        out.serialize_field("child", &busy.child())?;
        out.serialize_field("elapsed_ms", &busy.elapsed().map(millis))?;
        out.end()
    }
}

struct BudgetJson(RestartBudget);

impl Serialize for BudgetJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let BudgetJson(budget) = self;
        let mut out = serializer.serialize_struct("RestartBudget", 3)?;
        out.serialize_field("left", &budget.left)?;
        out.serialize_field("restarts", &budget.restarts)?;
        out.serialize_field("period_ms", &millis(budget.period))?;
        out.end()
    }
}

/// An incarnation that has ended, with the moment of the snapshot.
struct PastIncarnation<'a> {
    incarnation: &'a Incarnation,
    taken: Instant,
}

impl Serialize for PastIncarnation<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let PastIncarnation { incarnation, taken } = self;
        let ago = |at: Instant| millis(taken.saturating_duration_since(at));
        let mut out = serializer.serialize_struct("Incarnation", 6)?;
        out.serialize_field("pid", &incarnation.pid.map(|pid| pid.raw()))?;
        out.serialize_field("started_ms_ago", &ago(incarnation.started))?;
        out.serialize_field("ended_ms_ago", &ago(incarnation.ended))?;
        out.serialize_field("reason", &reason(&incarnation.reason))?;
        out.serialize_field("attempt", &incarnation.attempt)?;
        out.serialize_field("delay_ms", &millis(incarnation.delay))?;
        out.end()
    }
}

/// Returns the health with the complete reason. The `Display` of a health cuts a long reason.
fn health(health: &Health) -> Cow<'_, str> {
    match health {
        Health::Degraded(why) | Health::Unready(why) => why.as_str().into(),
        health => health.to_string().into(),
    }
}

/// Returns the reason with all causes of its error, and with its line breaks.
pub(crate) fn reason(reason: &ExitReason) -> String {
    match reason {
        ExitReason::ShutdownWith(detail) => format!("shutdown: {}", detail.text()),
        reason => reason.with_causes(),
    }
}

fn kind(node: &TreeNode) -> &'static str {
    match node.kind {
        NodeKind::Worker => "worker",
        NodeKind::Supervisor { .. } => "supervisor",
    }
}

fn state(node: &TreeNode) -> &'static str {
    match node.state {
        NodeState::Running => "running",
        NodeState::Starting => "starting",
        NodeState::Restarting { .. } => "restarting",
        NodeState::Stopping => "stopping",
        NodeState::Ended => "ended",
        NodeState::Stopped => "stopped",
        NodeState::GivenUp => "given_up",
        NodeState::Busy => "busy",
    }
}

fn retry_in(node: &TreeNode) -> Option<Duration> {
    match node.state {
        NodeState::Restarting { retry_in } => retry_in,
        _ => None,
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
