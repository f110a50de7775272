//! The tree of a chaos run, as an invariant sees it between two polls of processes.

use std::cell::OnceCell;
use std::fmt;
use std::time::Duration;

use crate::base::Pid;
use crate::runtime::Runtime;
use crate::snapshot::survey::Survey;
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot};

/// The tree of a run of [`chaos`](crate::testing::chaos()) between two polls of processes, for the
/// invariants of a [`ChaosPlan`](crate::testing::ChaosPlan).
///
/// All functions look at the tree as it is at this step, and wait for no process.
pub struct ChaosTree {
    runtime: Runtime,
    root: Pid,
    elapsed: Duration,
    snapshot: OnceCell<TreeSnapshot>,
}

impl ChaosTree {
    pub(super) fn new(runtime: &Runtime, root: Pid, elapsed: Duration) -> Self {
        ChaosTree { runtime: runtime.clone(), root, elapsed, snapshot: OnceCell::new() }
    }

    /// The runtime of the run, for names, groups and counts.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The time since the tree has started, by the paused clock.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The snapshot of the tree at this step. It is taken at the first call. A supervisor is shown
    /// with its published state, and is [busy](NodeState::Busy) while it starts or stops a child.
    pub fn snapshot(&self) -> &TreeSnapshot {
        self.snapshot.get_or_init(|| Survey::without_questions(&self.runtime, self.root).tree())
    }

    /// Finds a child by its path: the ids from below the root, separated by `/`.
    pub fn find(&self, path: &str) -> Option<&TreeNode> {
        self.snapshot().find(path)
    }

    /// Whether the whole tree serves: every child runs and is ready or degraded. A child that has
    /// stopped and is not to be restarted does not count.
    pub fn is_up(&self) -> bool {
        self.snapshot().nodes().into_iter().all(|node| match node.state {
            NodeState::Running => node.health.is_serving(),
            NodeState::Stopped => true,
            _ => false,
        })
    }

    /// All children that have a process, in the order of the tree, with their paths. The path of a
    /// child whose id an earlier sibling has too ends with its number among them, as in `job[2]`.
    pub(super) fn running(&self) -> Vec<RunningChild> {
        let mut found = Vec::new();
        let mut next = vec![(String::new(), &self.snapshot().root)];
        while let Some((path, node)) = next.pop() {
            let Some(supervisor) = node.pid else { continue };
            let mut below = Vec::new();
            for (at, child) in node.children.iter().enumerate() {
                let same = node.children[..at].iter().filter(|other| other.id == child.id).count();
                let id = match same {
                    0 => child.id.clone(),
                    earlier => format!("{}[{}]", child.id, earlier + 1),
                };
                let path = if path.is_empty() { id } else { format!("{path}/{id}") };
                if let (Some(pid), true) = (child.pid, child.state != NodeState::Ended) {
                    let is_worker = matches!(child.kind, NodeKind::Worker);
                    let id = child.id.clone();
                    found.push(RunningChild { path: path.clone(), pid, supervisor, id, is_worker });
                }
                below.push((path, child));
            }
            next.extend(below.into_iter().rev());
        }
        found
    }
}

/// A child that has a process.
pub(super) struct RunningChild {
    pub(super) path: String,
    pub(super) pid: Pid,
    pub(super) supervisor: Pid,
    pub(super) id: String,
    pub(super) is_worker: bool,
}

impl fmt::Debug for ChaosTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChaosTree")
            .field("elapsed", &self.elapsed)
            .field("snapshot", self.snapshot())
            .finish_non_exhaustive()
    }
}
