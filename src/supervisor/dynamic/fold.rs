//! The children of a dynamic supervisor in a picture: their counts, and the worst of them.
//!
//! A picture lists a bounded number of children, however many there are. The supervisor itself reads
//! them, at most [`PART`] between two events: a supervisor with very many children is asked for one
//! part after the other, and serves other requests in between. A read takes about 0.2 µs for a child.
//!
//! **Steps** for more than [`PART`] children
//! 1. The first answer has the pids of all children, and the number *s* of the last change.
//! 2. Each further answer has the children of a part of these pids, as they are then, and its number.
//!
//! **Guarantee.** A change of a child of step 1 is in the answer up to the number of the part of that
//! child, and a change of any other child up to *s*: no other child is in an answer.
//!
//! | between step 1 and the part of the child … | the picture shows … |
//! |---|---|
//! | the child ends for good | it among the ended children; no change of it follows |
//! | the child is restarted | nothing of it; the start of its successor follows, whose pid is in no part |
//! | the child waits for its restart | it as restarting; its start follows |
//! | another child starts | nothing of it; its start follows |
//! | another child starts and ends | nothing of it; both follow |

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::base::{Pid, SharedStr, ignore_panic};
use crate::observe::Health;
use crate::process::AnyProcess;
use crate::restart::RestartBudget;
use crate::supervisor::PublishedChild;
use crate::supervisor::dynamic::{Child, State};
use crate::supervisor::ended_children::{EndedChild, EndedChildren};

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

/// The children that a picture asks for.
#[derive(Debug)]
pub(crate) struct FoldRequest {
    /// The number of listed children.
    pub(crate) most: usize,
    /// Only children with this id are listed, and one at least.
    pub(crate) only: Option<SharedStr>,
    /// The children of one part; `None` in the first request.
    pub(crate) part: Option<Vec<Pid>>,
}

/// The answer of a dynamic supervisor, or several answers together.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) counts: FoldedCounts,
    /// The children that are to be asked for in parts, in no order.
    pub(crate) rest: Vec<Pid>,
    /// The children of the parts that the supervisor does not know any more by these pids.
    pub(crate) gone: Vec<Pid>,
    /// The number of the last change of each child whose part was read later than the first answer.
    pub(crate) later: Vec<(Pid, u64)>,
    /// The worst children first.
    pub(crate) worst: Vec<FoldedChild>,
    /// The last children that were forgotten.
    pub(crate) ended: EndedChildren<PublishedChild>,
    pub(crate) budget: Option<RestartBudget>,
    /// The number of the last change that this answer includes.
    pub(crate) last_change: u64,
}

/// A listed child.
#[derive(Debug)]
pub(crate) struct FoldedChild {
    pub(crate) child: PublishedChild,
    pub(crate) pid: Pid,
    pub(crate) process: Option<Arc<dyn AnyProcess>>,
    pub(super) badness: Badness,
    pub(crate) is_stopping: bool,
}

impl FoldRequest {
    /// The number of children that are listed.
    pub(crate) fn listed(&self) -> usize {
        self.most.max(usize::from(self.only.is_some()))
    }
}

impl Fold {
    /// Returns an answer about no child yet, of which `ended` have been forgotten.
    pub(super) fn new(
        ended: EndedChildren<PublishedChild>,
        budget: Option<RestartBudget>,
        last_change: u64,
    ) -> Self {
        let (counts, rest, gone) = (FoldedCounts::default(), Vec::new(), Vec::new());
        let (later, worst) = (Vec::new(), Vec::new());
        Fold { counts, rest, gone, later, worst, ended, budget, last_change }
    }

    /// Counts a child, and returns how bad it is; `None` for a child that is not known any more.
    pub(super) fn count(&mut self, pid: Pid, child: Option<&Child>) -> Option<Badness> {
        let Some(child) = child else {
            self.gone.push(pid);
            return None;
        };
        let counts = &mut self.counts;
        counts.children += 1;
        let (severity, queued) = match &child.state {
            State::Running(process) => {
                counts.running += 1;
                let (severity, queued) = load(&**process);
                counts.unhealthy += usize::from(severity > 0);
                (severity, queued)
            }
            State::Stopping(_) => {
                counts.stopping += 1;
                (1, 0)
            }
            State::GivenUp(_) => {
                counts.given_up += 1;
                (GIVEN_UP, 0)
            }
            State::Restarting { .. } | State::Cancelled(_) | State::Starting => {
                counts.restarting += 1;
                (RESTARTING, 0)
            }
        };
        Some(Badness { severity, queued, restarts: child.restarts() })
    }

    /// Adds the answer about a part of the children.
    pub(crate) fn add(&mut self, part: &[Pid], answer: Fold) {
        let (all, counts) = (&mut self.counts, answer.counts);
        all.children += counts.children;
        all.running += counts.running;
        all.restarting += counts.restarting;
        all.stopping += counts.stopping;
        all.given_up += counts.given_up;
        all.unhealthy += counts.unhealthy;
        if answer.last_change > self.last_change {
            self.later.extend(part.iter().map(|pid| (*pid, answer.last_change)));
        }
        let of_part = |ended: &EndedChild<PublishedChild>| {
            let pid = ended.child.history.last().and_then(|last| last.pid);
            pid.is_some_and(|pid| answer.gone.contains(&pid))
        };
        for ended in answer.ended.last(usize::MAX, of_part) {
            let forgotten = self.ended.push(ended.clone());
            ignore_panic(|| drop(forgotten));
        }
        self.worst.extend(answer.worst);
        self.gone.extend(answer.gone);
    }

    /// Leaves the worst children, of those that all answers list.
    pub(crate) fn limit(&mut self, listed: usize) {
        let key = |child: &FoldedChild| (Reverse(child.badness), child.pid);
        self.worst.sort_by_key(key);
        self.worst.truncate(listed);
    }
}

/// Returns the severity of the health of a running child, and the number of its queued items.
fn load(process: &dyn AnyProcess) -> (u8, usize) {
    process.with(|locked| {
        let severity = severity(locked.core().reported_health().as_ref());
        (severity, locked.queued_items())
    })
}

/// How bad a child is. The greatest is listed first: the state and health, then the number of queued
/// items, then the restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Badness {
    pub(super) severity: u8,
    pub(super) queued: usize,
    pub(super) restarts: u32,
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

const RESTARTING: u8 = 4;
const GIVEN_UP: u8 = 5;

/// The worst children of those that were offered, oldest first among equals.
#[derive(Debug)]
pub(super) struct Worst {
    most: usize,
    kept: BinaryHeap<Reverse<(Badness, Reverse<Pid>)>>,
}

impl Worst {
    pub(super) fn new(most: usize) -> Self {
        Worst { most, kept: BinaryHeap::new() }
    }

    pub(super) fn offer(&mut self, badness: Badness, pid: Pid) {
        let offered = Reverse((badness, Reverse(pid)));
        if self.kept.len() < self.most {
            self.kept.push(offered);
        } else if let Some(mut least) = self.kept.peek_mut()
            && offered < *least
        {
            *least = offered;
        }
    }

    /// Returns the pids, the worst first.
    pub(super) fn into_pids(self) -> impl Iterator<Item = (Badness, Pid)> {
        let sorted = self.kept.into_sorted_vec().into_iter();
        sorted.map(|Reverse((badness, Reverse(pid)))| (badness, pid))
    }
}

#[cfg(test)]
mod tests {
    use super::{Badness, Worst};
    use crate::base::pid::Pid;

    #[test]
    fn the_worst_are_kept_and_the_oldest_of_equals() {
        let mut worst = Worst::new(3);
        let bad = |severity, queued, restarts| Badness { severity, queued, restarts };
        let offered = [bad(0, 0, 0), bad(0, 9, 0), bad(0, 0, 0), bad(2, 0, 0), bad(0, 0, 7)];
        for (at, badness) in offered.into_iter().enumerate() {
            worst.offer(badness, Pid::from_raw(at as u64 + 1));
        }
        let pids = |worst: Worst| worst.into_pids().map(|(_, pid)| pid).collect::<Vec<_>>();
        assert_eq!(pids(worst), [4, 2, 5].map(Pid::from_raw));
        let mut equal = Worst::new(2);
        (1..9).for_each(|pid| equal.offer(bad(0, 0, 0), Pid::from_raw(pid)));
        assert_eq!(pids(equal), [1, 2].map(Pid::from_raw));
    }
}
