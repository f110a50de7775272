//! The list of the waits in progress, for an observation.

use crate::base::pid::Pid;
use crate::kernel::wait_graph::{Edges, Waits};

/// The maximum number of steps under one lock. A step reads an edge, or one of its waits.
const STEPS: usize = 4096;

/// Some of the waits in progress.
#[derive(Debug, Default)]
pub(crate) struct WaitList {
    /// Each waiting process, and the process that it waits for, sorted.
    pub(crate) waits: Vec<(Pid, Pid)>,
    /// The number of edges that were not read.
    pub(crate) left_out: usize,
}

impl Waits {
    /// Returns the waits of the first edges; `None` if the graph is off. Reads at most [`STEPS`]
    /// edges and waits. An edge whose answered waits use up these steps is listed.
    pub(crate) fn list(&self) -> Option<WaitList> {
        if !self.switches.detects_deadlocks() {
            return None;
        }
        let edges = self.graph.0.lock();
        let (mut list, mut looked_at, mut steps) = (WaitList::default(), 0, STEPS);
        for (edge, count) in &edges.counts {
            if steps == 0 {
                break;
            }
            (looked_at, steps) = (looked_at + 1, steps - 1);
            if edges.waits(*edge, *count, &mut steps) {
                list.waits.push(*edge);
            }
        }
        list.left_out = edges.counts.len() - looked_at;
        Some(list)
    }
}

impl Edges {
    /// Whether at least one of the `count` waits of this edge has not got its answer. A wait that
    /// has got its answer is in the graph until the waiting process has noticed the answer.
    fn waits(&self, (caller, server): (Pid, Pid), count: u32, steps: &mut usize) -> bool {
        let mut answered = 0;
        for (_, is_due) in self.due.range((caller, server, 0)..=(caller, server, u64::MAX)) {
            if *steps == 0 || is_due.0() {
                return true;
            }
            (*steps, answered) = (*steps - 1, answered + 1);
        }
        // A wait without a number ends when it is removed.
        answered < count
    }
}
