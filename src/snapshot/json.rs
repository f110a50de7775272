//! A snapshot as JSON: a flat list of nodes, since many parsers refuse JSON that is nested more than
//! 128 levels deep. Times are milliseconds; a moment is given as how long ago it was.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use tokio::time::Instant;

use crate::base::one_line::needs_escape;
use crate::exit::reason::ExitReason;
use crate::observe::health::Health;
use crate::snapshot::busy::Busy;
use crate::snapshot::nodes::numbered;
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot};
use crate::supervisor::Incarnation;

impl TreeSnapshot {
    /// The tree as JSON: an object whose `nodes` is a flat list of all nodes, each after the one
    /// above it, those right below one node in start order. `node` is a node's number in the list,
    /// and `parent` that of the supervisor above it; the root is 0, and its `parent` null. So a
    /// parser that refuses what is nested deeper than 128 levels reads a tree of any depth.
    ///
    /// A node has `id`, `kind` (`worker` or `supervisor`), `state` (`running`, `starting`,
    /// `restarting`, `stopping`, `ended`, `stopped` or `busy`), `restarts`, `names`, `health`,
    /// `mailbox_depth` (null where it is not [counted](TreeNode::depth)), `history` and `more`, and
    /// where they apply `pid`, `up_ms`, `retry_in_ms`, `strategy` and `budget`. Times are
    /// milliseconds. Texts are whole. Controls in them, and `<`, are written as `\u001b`, so a
    /// terminal or a page that shows the JSON obeys nothing in it.
    ///
    /// Of a supervisor that did not answer in time, and is shown as it last published itself,
    /// `last_known` is true, and `busy` is an object: `with` (`init`, `starting`, `stopping`,
    /// `ending` or `unanswered`), `child` and `elapsed_ms`, as [`Busy`] has them. Of all others
    /// `last_known` is false, and `busy` is null.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
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
    /// # }).unwrap();
    /// ```
    pub fn to_json(&self) -> String {
        // Strings and numbers under fixed keys: nothing in it can fail.
        shown(&serde_json::to_string_pretty(self).unwrap_or_default())
    }
}

impl Serialize for TreeSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("TreeSnapshot", 1)?;
        out.serialize_field("nodes", &Nodes(self))?;
        out.end()
    }
}

/// All nodes, each after the one above it.
struct Nodes<'a>(&'a TreeSnapshot);

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Nodes(TreeSnapshot { root, taken, .. }) = self;
        let nodes = numbered(root).into_iter().enumerate();
        serializer.collect_seq(nodes.map(|(number, (parent, node))| Node {
            number,
            parent,
            node,
            taken: *taken,
        }))
    }
}

/// The same JSON for a terminal or a page. What is escaped stands in strings only.
fn shown(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '<' || (c != '\n' && needs_escape(c)) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// A node, its number and that of the one above it, and when it was looked at.
struct Node<'a> {
    number: usize,
    parent: Option<usize>,
    node: &'a TreeNode,
    taken: Instant,
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Node { number, parent, node, taken } = self;
        let story = |incarnation| Story { incarnation, taken: *taken };
        let mut out = serializer.serialize_struct("TreeNode", 18)?;
        out.serialize_field("node", number)?;
        out.serialize_field("parent", parent)?;
        out.serialize_field("id", &node.id)?;
        out.serialize_field("kind", kind(node))?;
        strategy::<S>(&mut out, node)?;
        out.serialize_field("state", state(node))?;
        out.serialize_field("last_known", &node.busy.is_some())?;
        out.serialize_field("busy", &node.busy.as_ref().map(With))?;
        out.serialize_field("pid", &node.pid.map(|pid| pid.raw()))?;
        out.serialize_field("names", &node.names)?;
        out.serialize_field("up_ms", &node.up.map(millis))?;
        out.serialize_field("retry_in_ms", &retry_in(node).map(millis))?;
        out.serialize_field("restarts", &node.restarts)?;
        out.serialize_field("health", &health(&node.health))?;
        out.serialize_field("mailbox_depth", &node.depth())?;
        out.serialize_field("history", &node.history.iter().map(story).collect::<Vec<_>>())?;
        out.serialize_field("more", &node.more)?;
        out.end()
    }
}

fn strategy<S: Serializer>(out: &mut S::SerializeStruct, node: &TreeNode) -> Result<(), S::Error> {
    let NodeKind::Supervisor { strategy, budget } = &node.kind else { return Ok(()) };
    out.serialize_field("strategy", strategy)?;
    let budget = budget.map(|budget| Budget {
        left: budget.left,
        restarts: budget.restarts,
        period_ms: millis(budget.period),
    });
    out.serialize_field("budget", &budget)
}

/// What a supervisor is busy with.
struct With<'a>(&'a Busy);

impl Serialize for With<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let With(busy) = self;
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

struct Budget {
    left: u32,
    restarts: u32,
    period_ms: u64,
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("RestartBudget", 3)?;
        out.serialize_field("left", &self.left)?;
        out.serialize_field("restarts", &self.restarts)?;
        out.serialize_field("period_ms", &self.period_ms)?;
        out.end()
    }
}

/// An incarnation that is over.
struct Story<'a> {
    incarnation: &'a Incarnation,
    taken: Instant,
}

impl Serialize for Story<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Story { incarnation, taken } = self;
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

/// All of it, where its display is cut.
fn health(health: &Health) -> Cow<'_, str> {
    match health {
        Health::Degraded(why) => why.as_str().into(),
        health => health.to_string().into(),
    }
}

/// As its display with the causes of an error, and as it was said: lines are lines.
fn reason(reason: &ExitReason) -> String {
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
        NodeState::Busy => "busy",
    }
}

fn retry_in(node: &TreeNode) -> Option<Duration> {
    match node.state {
        NodeState::Restarting { retry_in } => retry_in,
        _ => None,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
