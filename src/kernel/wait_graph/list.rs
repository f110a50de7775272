//! The list of the waits in progress, for an observation.

use crate::base::pid::Pid;
use crate::kernel::wait_graph::{Edges, Waits};

/// Some of the waits in progress.
#[derive(Debug, Default)]
pub(crate) struct WaitList {
    /// Each waiting process, and the process that it waits for, sorted.
    pub(crate) waits: Vec<(Pid, Pid)>,
    /// The number of edges that were not looked at.
    pub(crate) left_out: usize,
}

impl Waits {
    /// Returns the waits of the first `most` edges; `None` if the graph is off. Under the lock, this
    /// takes a step for each edge that is looked at.
    pub(crate) fn list(&self, most: usize) -> Option<WaitList> {
        if !self.switches.detects_deadlocks() {
            return None;
        }
        let edges = self.graph.0.lock();
        let waits = edges.counts.iter().take(most);
        let waits = waits.filter(|(edge, count)| edges.answered(**edge) < **count);
        let waits = waits.map(|(edge, _)| *edge).collect();
        Some(WaitList { waits, left_out: edges.counts.len().saturating_sub(most) })
    }
}

impl Edges {
    /// Returns how many waits of this edge have got their answer, which the waiting process has not
    /// noticed yet.
    fn answered(&self, (caller, server): (Pid, Pid)) -> u32 {
        let numbered = self.due.range((caller, server, 0)..=(caller, server, u64::MAX));
        let answered = numbered.filter(|(_, is_due)| !is_due.0());
        u32::try_from(answered.count()).unwrap_or(u32::MAX)
    }
}
