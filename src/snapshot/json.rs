//! A snapshot as JSON. Times are milliseconds, moments are told by how long ago they were.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use tokio::time::Instant;

use crate::snapshot::busy::Busy;
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot};
use crate::supervisor::Incarnation;

impl TreeSnapshot {
    /// The tree as JSON. A node has `id`, `kind` (`worker` or `supervisor`), `state`
    /// (`running`, `starting`, `restarting`, `stopping`, `ended`, `stopped` or `busy`),
    /// `restarts`, `names`, `health`, `mailbox_depth`, `history`, `children` and `more`, and where
    /// they apply `pid`, `up_ms`, `retry_in_ms`, `strategy` and `budget`. Times are milliseconds.
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
    /// assert_eq!(json["strategy"], "one_for_one");
    /// assert_eq!(json["children"][0]["id"], "job");
    /// assert_eq!(json["children"][0]["state"], "running");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn to_json(&self) -> String {
        // Strings and numbers under fixed keys: nothing in it can fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Serialize for TreeSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Node { node: &self.root, taken: self.taken }.serialize(serializer)
    }
}

/// A node, and when it was looked at.
struct Node<'a> {
    node: &'a TreeNode,
    taken: Instant,
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Node { node, taken } = self;
        let below = |node| Node { node, taken: *taken };
        let story = |incarnation| Story { incarnation, taken: *taken };
        let mut out = serializer.serialize_struct("TreeNode", 17)?;
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
        out.serialize_field("health", &node.health.to_string())?;
        out.serialize_field("mailbox_depth", &node.mailbox_depth)?;
        out.serialize_field("history", &node.history.iter().map(story).collect::<Vec<_>>())?;
        out.serialize_field("children", &node.children.iter().map(below).collect::<Vec<_>>())?;
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
        out.serialize_field("reason", &incarnation.reason.with_causes())?;
        out.serialize_field("attempt", &incarnation.attempt)?;
        out.serialize_field("delay_ms", &millis(incarnation.delay))?;
        out.end()
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
