//! How a whole tree is doing.

use std::fmt;

use crate::base::one_line::path_excerpt;
use crate::base::tree_path::Path;
use crate::observe::health::Health;
use crate::snapshot::busy::Busy;
use crate::snapshot::nodes::numbered;
use crate::snapshot::{NodeState, TreeNode, TreeSnapshot};

/// How a tree is doing: as its worst child, and which one that is. [`Health`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeHealth {
    /// The worst there is.
    pub health: Health,
    /// The ids from below the root down to the child that is so, separated by `/`; empty if
    /// it is the root, or if all is well. An empty id is `""`; of a child more than 128 levels down
    /// the ids in the middle are left out, and `…` stands for them.
    pub path: String,
    /// If it is a supervisor that did not answer in time: what it is busy with.
    pub busy: Option<Busy>,
}

impl TreeHealth {
    /// Whether work may be sent its way: everybody is ready or degraded.
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
            (Health::Degraded(_), None, false) => write!(f, "{path}: {}", self.health),
            (health, None, false) => write!(f, "{path} is {health}"),
        }
    }
}

impl TreeSnapshot {
    /// How the whole tree is doing: as badly as its worst child says. A child that is being
    /// started or restarted counts as starting, and so does a supervisor that did not answer
    /// in time, or as stopping if it stops a child: of several that wait for each other the
    /// lowest is told. A child counts for nothing that is stopped for good, or has just ended
    /// with its supervisor yet to decide what comes of that.
    pub fn health(&self) -> TreeHealth {
        let nodes = numbered(&self.root);
        let mut worst = TreeHealth { health: Health::Ready, path: String::new(), busy: None };
        let mut worst_at = 0;
        for (at, (_, node)) in nodes.iter().enumerate() {
            let health = counts_as(node);
            if health > worst.health && !waits_for_busy(node) {
                (worst.health, worst.busy) = (health, node.busy.clone());
                worst_at = at;
            }
        }
        worst.path = path(&nodes, worst_at);
        worst
    }
}

/// The ids from below the root down to this node.
fn path(nodes: &[(Option<usize>, &TreeNode)], at: usize) -> String {
    let above = |at: &usize| nodes.get(*at).and_then(|(above, _)| *above);
    let line: Vec<usize> = std::iter::successors(Some(at), above).collect();
    let ids = line.iter().rev().skip(1).filter_map(|at| nodes.get(*at));
    let mut path = Path::new();
    ids.for_each(|(_, node)| path.push(node.id.as_str()));
    path.to_string()
}

fn counts_as(node: &TreeNode) -> Health {
    match (node.state, &node.busy) {
        (NodeState::Running, _) => node.health.clone(),
        (NodeState::Stopping, _) => Health::Stopping,
        (NodeState::Busy, Some(Busy::Stopping { .. } | Busy::Ending { .. })) => Health::Stopping,
        (NodeState::Starting | NodeState::Restarting { .. } | NodeState::Busy, _) => {
            Health::Starting
        }
        (NodeState::Stopped | NodeState::Ended, _) => Health::Ready,
    }
}

/// Whether it is busy with a supervisor below it that is busy itself.
fn waits_for_busy(node: &TreeNode) -> bool {
    let Some(child) = node.busy.as_ref().and_then(Busy::child) else { return false };
    node.children.iter().any(|below| below.id == child && below.busy.is_some())
}
