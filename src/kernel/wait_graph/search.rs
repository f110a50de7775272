//! The search of the wait graph for a cycle. The search can be interrupted after any step.

use std::collections::HashSet;
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::base::pid::Pid;
use crate::base::random::MapHasher;
use crate::kernel::wait_graph::EdgeCounts;

/// A depth-first search for a path back to `start`. The search visits no process twice.
pub(super) struct Search {
    start: Pid,
    /// The path to the current process. Each entry is a process, and the target of its edge that
    /// was followed last.
    path: Vec<(Pid, Option<Pid>)>,
    seen: HashSet<Pid, MapHasher>,
}

/// The state of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Unfinished,
    NoCycle,
    /// The path leads back to the start.
    Cycle,
}

impl Search {
    pub(super) fn new(start: Pid, from: Pid) -> Self {
        Search { start, path: vec![(from, None)], seen: HashSet::from_iter([from]) }
    }

    /// Continues the search, by at most `steps` steps.
    pub(super) fn walk(&mut self, edges: &EdgeCounts, steps: usize) -> Progress {
        for _ in 0..steps {
            let Some((at, followed)) = self.path.last_mut() else { return Progress::NoCycle };
            let after = followed.map_or(Included((*at, Pid::OUTSIDE)), |pid| Excluded((*at, pid)));
            let next = edges.range((after, Unbounded)).next().map(|(edge, _)| *edge);
            let Some((_, next)) = next.filter(|(caller, _)| caller == at) else {
                self.path.pop();
                continue;
            };
            *followed = Some(next);
            if next == self.start {
                return Progress::Cycle;
            }
            if self.seen.insert(next) {
                self.path.push((next, None));
            }
        }
        Progress::Unfinished
    }

    /// Whether all edges of the found cycle are in the graph.
    pub(super) fn is_current(&self, edges: &EdgeCounts) -> bool {
        self.cycle().windows(2).all(|edge| edges.contains_key(&(edge[0], edge[1])))
    }

    /// The start, the path, and the start again.
    pub(super) fn cycle(&self) -> Vec<Pid> {
        let path = self.path.iter().map(|(pid, _)| *pid);
        [self.start].into_iter().chain(path).chain([self.start]).collect()
    }
}
