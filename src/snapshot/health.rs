//! How a whole tree is doing.

use std::fmt;

use crate::health::Health;
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
}

impl TreeHealth {
    /// Whether work may be sent its way: everybody is ready or degraded.
    pub fn is_serving(&self) -> bool {
        self.health.is_serving()
    }
}

impl fmt::Display for TreeHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.health, self.path.as_str()) {
            (health, "") => write!(f, "{health}"),
            (Health::Degraded(why), path) => write!(f, "{path}: {why}"),
            (health, path) => write!(f, "{path} is {health}"),
        }
    }
}

impl TreeSnapshot {
    /// How the whole tree is doing: as badly as its worst child says. A child that is being
    /// restarted, and a supervisor that is busy, count as starting; one that is stopped for
    /// good counts for nothing.
    pub fn health(&self) -> TreeHealth {
        let mut worst = TreeHealth { health: Health::Ready, path: String::new() };
        look(&self.root, "", &mut worst);
        worst
    }
}

fn look(node: &TreeNode, path: &str, worst: &mut TreeHealth) {
    let health = match node.state {
        NodeState::Running => node.health.clone(),
        NodeState::Restarting { .. } | NodeState::Busy => Health::Starting,
        NodeState::Stopped => Health::Ready,
    };
    if health > worst.health {
        *worst = TreeHealth { health, path: path.to_owned() };
    }
    for child in &node.children {
        let below = if path.is_empty() { child.id.clone() } else { format!("{path}/{}", child.id) };
        look(child, &below, worst);
    }
}
