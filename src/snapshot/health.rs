//! The health of a whole tree.

use std::fmt;

use crate::base::path_excerpt;
use crate::base::tree_path::Path;
use crate::child::Readiness;
use crate::observe::Health;
use crate::snapshot::{Busy, NodeState, TreeNode, TreeSnapshot, numbered};

/// The health of a tree: the worst health of its nodes, and the path of the node with that health.
/// [`Health`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeHealth {
    /// The worst health of any node.
    pub health: Health,
    /// The ids from below the root down to that node, separated by `/`; empty if that node is the
    /// root, or if all nodes are ready. An empty id is `""`. If the node is more than 128 levels
    /// down, `…` stands for the ids in the middle.
    pub path: String,
    /// The activity of that node, if it is a supervisor that did not answer in time.
    pub busy: Option<Busy>,
}

impl TreeHealth {
    /// Returns whether the tree can do work: every node is ready or degraded.
    pub fn is_serving(&self) -> bool {
        self.health.is_serving()
    }
}

impl fmt::Display for TreeHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = path_excerpt(&self.path);
        match (&self.health, &self.busy, self.path.is_empty()) {
            (_, Some(busy), true) => write!(f, "{busy}"),
            (_, Some(busy), false) => write!(f, "{path} is {busy}"),
            (health, None, true) => write!(f, "{health}"),
            (Health::Degraded(_) | Health::Unready(_), None, false) => {
                write!(f, "{path}: {}", self.health)
            }
            (health, None, false) => write!(f, "{path} is {health}"),
        }
    }
}

impl TreeSnapshot {
    /// Returns the health of the whole tree, which is the worst health of its nodes.
    ///
    /// * A child that is being started or restarted counts as starting.
    /// * A supervisor that did not answer in time counts as starting, or as stopping if it stops
    ///   itself or a child. If that supervisor waits for a supervisor that did not answer either,
    ///   the lower supervisor is reported.
    /// * A child that was [given up](NodeState::GivenUp) is unready.
    /// * A child whose [readiness](crate::ChildSpec::readiness) is ignored does not count, and neither
    ///   do the nodes below it. The children of a dynamic supervisor count as a
    ///   [share](crate::DynamicSupervisor::ready_share), or not at all.
    /// * A child that its supervisor stops counts as stopping; a child in the state
    ///   [`Stopped`](NodeState::Stopped) counts as ready. A child that has just ended, and whose
    ///   supervisor has not handled the end yet, counts as ready, too.
    pub fn health(&self) -> TreeHealth {
        let nodes = numbered(&self.root);
        let mut worst = TreeHealth { health: Health::Ready, path: String::new(), busy: None };
        let mut worst_at = 0;
        let mut is_ignored = vec![false; nodes.len()];
        for (at, (parent, node)) in nodes.iter().enumerate() {
            // A parent comes before its children.
            let is_below_ignored = parent.is_some_and(|parent| is_ignored[parent]);
            is_ignored[at] = is_below_ignored || node.readiness == Readiness::Ignored;
            if is_ignored[at] {
                continue;
            }
            let health = effective_health(node);
            if health > worst.health && !waits_for_busy(node) {
                (worst.health, worst.busy) = (health, node.busy.clone());
                worst_at = at;
            }
        }
        worst.path = path(&nodes, worst_at);
        worst
    }
}

/// Returns the ids from below the root down to this node, separated by `/`.
fn path(nodes: &[(Option<usize>, &TreeNode)], at: usize) -> String {
    let parent = |at: &usize| nodes.get(*at).and_then(|(parent, _)| *parent);
    let ancestors: Vec<usize> = std::iter::successors(Some(at), parent).collect();
    let ids = ancestors.iter().rev().skip(1).filter_map(|at| nodes.get(*at));
    let mut path = Path::new();
    ids.for_each(|(_, node)| path.push(node.id.as_str()));
    path.to_string()
}

fn effective_health(node: &TreeNode) -> Health {
    match (node.state, &node.busy) {
        (NodeState::Running, _) => node.health.clone(),
        (NodeState::Stopping, _) => Health::Stopping,
        (NodeState::Busy, Some(Busy::Stopping { .. } | Busy::Ending { .. })) => Health::Stopping,
        (NodeState::Starting | NodeState::Restarting { .. } | NodeState::Busy, _) => {
            Health::Starting
        }
        (NodeState::GivenUp, _) => {
            let last = node.last_reason().map(|last| format!("given up: {last}"));
            Health::Unready(last.unwrap_or_else(|| "given up".to_owned()).into())
        }
        (NodeState::Stopped | NodeState::Ended, _) => Health::Ready,
    }
}

/// Returns whether the node waits for a supervisor below it that is busy as well.
fn waits_for_busy(node: &TreeNode) -> bool {
    let Some(child) = node.busy.as_ref().and_then(Busy::child) else { return false };
    node.children.iter().any(|node| node.id == child && node.busy.is_some())
}
