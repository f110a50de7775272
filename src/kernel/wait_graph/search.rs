//! Following the edges, step by step.

use std::collections::HashSet;
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::base::pid::Pid;
use crate::kernel::wait_graph::Edges;

/// A search for a way back, depth first. It visits no process twice.
pub(super) struct Search {
    home: Pid,
    /// The way to where it is, and of each process on it the last edge that it has followed.
    path: Vec<(Pid, Option<Pid>)>,
    seen: HashSet<Pid, foldhash::fast::RandomState>,
}

/// How far a search has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    Unfinished,
    NoCircle,
    /// The path leads home.
    Circle,
}

impl Search {
    pub(super) fn new(home: Pid, from: Pid) -> Self {
        Search { home, path: vec![(from, None)], seen: HashSet::from_iter([from]) }
    }

    /// Goes on, by no more than so many steps.
    pub(super) fn walk(&mut self, edges: &Edges, steps: usize) -> Walk {
        for _ in 0..steps {
            let Some((at, followed)) = self.path.last_mut() else { return Walk::NoCircle };
            let after = followed.map_or(Included((*at, Pid::OUTSIDE)), |pid| Excluded((*at, pid)));
            let next = edges.range((after, Unbounded)).next().map(|(edge, _)| *edge);
            let Some((_, next)) = next.filter(|(caller, _)| caller == at) else {
                self.path.pop();
                continue;
            };
            *followed = Some(next);
            if next == self.home {
                return Walk::Circle;
            }
            if self.seen.insert(next) {
                self.path.push((next, None));
            }
        }
        Walk::Unfinished
    }

    /// Whether all edges of the way that was found are there at once.
    pub(super) fn is_still_there(&self, edges: &Edges) -> bool {
        self.circle().windows(2).all(|edge| edges.contains_key(&(edge[0], edge[1])))
    }

    /// From home along the path, and home.
    pub(super) fn circle(&self) -> Vec<Pid> {
        let path = self.path.iter().map(|(pid, _)| *pid);
        [self.home].into_iter().chain(path).chain([self.home]).collect()
    }
}
