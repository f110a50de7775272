//! How a whole tree is doing.

use std::fmt;

use crate::health::Health;
use crate::snapshot::busy::Busy;
use crate::snapshot::{NodeState, TreeNode, TreeSnapshot};

/// How a tree is doing: as its worst child, and which one that is. [`Health`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeHealth {
    /// The worst there is.
    pub health: Health,
    /// The ids from below the root down to the child that is so, separated by `/`; empty if
    /// it is the root, or if all is well.
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
        match (&self.health, &self.busy, self.path.as_str()) {
            (_, Some(busy), "") => write!(f, "{busy}"),
            (_, Some(busy), path) => write!(f, "{path} is {busy}"),
            (health, None, "") => write!(f, "{health}"),
            (Health::Degraded(why), None, path) => write!(f, "{path}: {why}"),
            (health, None, path) => write!(f, "{path} is {health}"),
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
        let mut worst = TreeHealth { health: Health::Ready, path: String::new(), busy: None };
        look(&self.root, "", &mut worst);
        worst
    }
}

fn look(node: &TreeNode, path: &str, worst: &mut TreeHealth) {
    let health = match (node.state, &node.busy) {
        (NodeState::Running, _) => node.health.clone(),
        (NodeState::Stopping, _) => Health::Stopping,
        (NodeState::Busy, Some(Busy::Stopping { .. } | Busy::Ending { .. })) => Health::Stopping,
        (NodeState::Starting | NodeState::Restarting { .. } | NodeState::Busy, _) => {
            Health::Starting
        }
        (NodeState::Stopped | NodeState::Ended, _) => Health::Ready,
    };
    if health > worst.health && !waits_for_busy(node) {
        *worst = TreeHealth { health, path: path.to_owned(), busy: node.busy.clone() };
    }
    for child in &node.children {
        let below = if path.is_empty() { child.id.clone() } else { format!("{path}/{}", child.id) };
        look(child, &below, worst);
    }
}

/// Whether it is busy with a supervisor below it that is busy itself.
fn waits_for_busy(node: &TreeNode) -> bool {
    let Some(child) = node.busy.as_ref().and_then(Busy::child) else { return false };
    node.children.iter().any(|below| below.id == child && below.busy.is_some())
}
