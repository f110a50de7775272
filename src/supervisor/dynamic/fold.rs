//! The children of a dynamic supervisor in a picture: their counts, and the worst of them.
//!
//! A picture lists a bounded number of children. The supervisor itself reads its children, at most
//! [`PART`] for one request. So a picture of more children sends several requests, and the
//! supervisor serves other requests in between. A read takes about 0.2 µs for a child.
//!
//! **Steps** for more than [`PART`] children
//! 1. The first answer has the pids of all children, and the number *s* of the last change.
//! 2. Each further answer has a part of these children as they are then, and its own number.
//!
//! **Invariant.** A supervisor keeps a child by the pid of its last incarnation, and each change of
//! a child has this pid. The picture includes two kinds of changes: for each pid of step 1, the
//! changes up to the number of the answer with this pid; for every other pid, the changes up to
//! *s*. A child that is restarted between the answers gets a new pid. No answer has the new pid, so
//! the start with the new pid follows the picture as a change.
//!
//! | between step 1 and the answer about the child … | the picture shows … |
//! |---|---|
//! | the child ends for good | it among the ended children; no change of it follows |
//! | the child is restarted | nothing of it; the start of its next process follows |
//! | the child begins to wait for its restart | it as restarting; its start follows |
//! | another child starts | nothing of it; its start follows |
//! | another child starts and ends | nothing of it; its start and its end follow |
//!
//! Changes of a child after the answer about the child follow the picture.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::base::{Pid, SharedStr};
use crate::observe::Health;
use crate::process::AnyProcess;
use crate::restart::RestartBudget;
use crate::supervisor::PublishedChild;
use crate::supervisor::dynamic::{Child, State};
use crate::supervisor::ended_children::EndedChildren;

/// The numbers of the children of a dynamic supervisor, in a [`PictureNode`](crate::PictureNode).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FoldedCounts {
    /// All children that the supervisor knows.
    pub children: usize,
    /// The children that run, and are not being stopped.
    pub running: usize,
    /// The children that wait for a restart, or are being restarted.
    pub restarting: usize,
    /// The children that are being stopped.
    pub stopping: usize,
    /// The children that were given up.
    pub given_up: usize,
    /// The running children whose health is not ready.
    pub unhealthy: usize,
}

/// How many children a dynamic supervisor reads for one answer.
pub(crate) const PART: usize = 1024;

/// The request of a picture to a dynamic supervisor.
#[derive(Debug)]
pub(crate) struct FoldRequest {
    /// The number of listed children.
    pub(crate) most: usize,
    /// Only children with this id are listed.
    pub(crate) only: Option<SharedStr>,
    /// The pids of the first answer and the number of a part of them; `None` in the first request.
    pub(crate) part: Option<(Arc<Vec<Pid>>, usize)>,
}

/// The answer of a dynamic supervisor.
#[derive(Debug)]
pub(crate) struct FoldAnswer {
    pub(crate) counts: FoldedCounts,
    /// The pids of all children, in no order, if there are too many children for one answer. Such
    /// an answer has no other information about the children.
    pub(crate) in_parts: Vec<Pid>,
    /// The worst children first.
    pub(crate) worst: Vec<FoldedChild>,
    /// The pids of the part that no longer belong to a known child.
    pub(crate) gone: Vec<Pid>,
    /// The last children that were forgotten; empty in an answer without `gone` about a part.
    pub(crate) ended: EndedChildren<PublishedChild>,
    pub(crate) budget: Option<RestartBudget>,
    /// The number of the last change that this answer includes.
    pub(crate) last_change: u64,
}

/// A listed child.
#[derive(Debug)]
pub(crate) struct FoldedChild {
    pub(crate) child: PublishedChild,
    pub(crate) process: Option<Arc<dyn AnyProcess>>,
    pub(crate) rank: Rank,
    pub(crate) is_stopping: bool,
}

/// The order of listed children: the worst first, and the oldest first of equals.
pub(crate) type Rank = (Reverse<Badness>, Pid);

/// How bad a child is. The greatest is listed first: the state and health, then the number of queued
/// items, then the restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Badness {
    severity: u8,
    queued: usize,
    restarts: u32,
}

const RESTARTING: u8 = 4;
const GIVEN_UP: u8 = 5;

impl FoldRequest {
    /// Returns the pids of the requested children; `None` in the first request.
    pub(super) fn pids(&self) -> Option<&[Pid]> {
        self.part.as_ref().and_then(|(pids, part)| pids.chunks(PART).nth(*part))
    }

    /// Whether this child may be listed.
    pub(super) fn lists(&self, child: &Child) -> bool {
        self.only.as_ref().is_none_or(|id| child.id == *id)
    }
}

impl FoldedChild {
    pub(super) fn new(child: &Child, rank: Rank) -> Self {
        let is_stopping = matches!(child.state, State::Stopping(_));
        let process = child.process().cloned();
        FoldedChild { child: child.shown(rank.1), process, rank, is_stopping }
    }
}

impl FoldedCounts {
    /// Counts a child, and returns how bad it is.
    pub(super) fn count(&mut self, child: &Child) -> Badness {
        self.children += 1;
        let (severity, queued) = match &child.state {
            State::Running(process) => {
                self.running += 1;
                let (severity, queued) = load(&**process);
                self.unhealthy += usize::from(severity > 0);
                (severity, queued)
            }
            State::Stopping(_) => {
                self.stopping += 1;
                (1, 0)
            }
            State::GivenUp(_) => {
                self.given_up += 1;
                (GIVEN_UP, 0)
            }
            State::Restarting { .. } | State::Cancelled(_) | State::Starting => {
                self.restarting += 1;
                (RESTARTING, 0)
            }
        };
        Badness { severity, queued, restarts: child.restarts() }
    }

    /// Adds the numbers of other children of the same supervisor.
    pub(crate) fn add(&mut self, others: FoldedCounts) {
        self.children += others.children;
        self.running += others.running;
        self.restarting += others.restarting;
        self.stopping += others.stopping;
        self.given_up += others.given_up;
        self.unhealthy += others.unhealthy;
    }
}

/// Returns the severity of the health of a running child, and the number of its queued items.
fn load(process: &dyn AnyProcess) -> (u8, usize) {
    process.with(|locked| {
        let severity = severity(locked.core().reported_health().as_ref());
        (severity, locked.queued_items())
    })
}

/// Returns the severity of a running child with this health.
fn severity(health: Option<&Health>) -> u8 {
    match health {
        None | Some(Health::Ready) => 0,
        Some(Health::Stopping) => 1,
        Some(Health::Degraded(_) | Health::Starting) => 2,
        Some(Health::Unready(_) | Health::Unresponsive) => 3,
    }
}

/// Leaves the worst of these children, at most `most`, and the worst first.
pub(super) fn keep_worst(children: &mut Vec<Rank>, most: usize) {
    if most < children.len() {
        children.select_nth_unstable(most);
        children.truncate(most);
    }
    children.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::{Badness, Rank, keep_worst};
    use crate::base::pid::Pid;
    use std::cmp::Reverse;

    fn worst(most: usize, offered: &[(u8, usize, u32)]) -> Vec<u64> {
        let rank = |(at, &(severity, queued, restarts)): (usize, &(u8, usize, u32))| {
            (Reverse(Badness { severity, queued, restarts }), Pid::from_raw(at as u64 + 1))
        };
        let mut ranks: Vec<Rank> = offered.iter().enumerate().map(rank).rev().collect();
        keep_worst(&mut ranks, most);
        ranks.into_iter().map(|(_, pid)| pid.raw()).collect()
    }

    #[test]
    fn the_worst_are_kept_and_the_oldest_of_equals() {
        let offered = [(0, 0, 0), (0, 9, 0), (0, 0, 0), (2, 0, 0), (0, 0, 7)];
        assert_eq!(worst(3, &offered), [4, 2, 5]);
        assert_eq!(worst(9, &offered), [4, 2, 5, 1, 3]);
        assert_eq!(worst(2, &[(0, 0, 0); 9]), [1, 2]);
        assert!(worst(0, &offered).is_empty() && worst(1, &[]).is_empty());
    }
}
