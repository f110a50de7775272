//! Events that occur without a command: workers that crash after a delay, and delayed restarts.

use super::model::{Model, State};
use super::plan::{End, ROOT};
use super::queue::Retry;

/// An event that is due at some time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timer {
    pub(crate) at: u64,
    due: Due,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A worker crashes, if this is still its last start.
    Crash { id: u32, nth: usize },
    /// A child is started again, if it still waits for this retry.
    Retry { sup: u32, id: u32, ticket: u64, retry: Retry },
}

impl Model {
    pub(crate) fn set_timer(&mut self, after: u64, due: Due) {
        let at = self.now + after;
        self.timers.push(Timer { at, due });
        self.soonest = Some(self.soonest.map_or(at, |first| first.min(at)));
    }

    /// Returns the time of the next due event.
    pub(crate) fn next_due(&mut self) -> Option<u64> {
        let all = std::mem::take(&mut self.timers);
        self.timers = all.into_iter().filter(|timer| self.is_due(timer.due)).collect();
        self.timers.iter().map(|timer| timer.at).min()
    }

    /// Returns the number of milliseconds until the retry with this ticket, if the retry is
    /// delayed.
    pub(crate) fn waits_for(&self, with: u64) -> Option<u64> {
        let is_due = |due| match due {
            Due::Retry { ticket, retry, .. } => ticket == with && retry == Retry::Delayed,
            Due::Crash { .. } => false,
        };
        let retry = |timer: &&Timer| is_due(timer.due);
        self.timers.iter().find(retry).map(|timer| timer.at.saturating_sub(self.now))
    }

    /// Returns the workers that will crash by themselves, and the times.
    pub(crate) fn crashes(&self) -> Vec<(u32, u64)> {
        let crash = |timer: &Timer| match timer.due {
            Due::Crash { id, .. } if self.is_due(timer.due) => Some((id, timer.at)),
            Due::Crash { .. } | Due::Retry { .. } => None,
        };
        self.timers.iter().filter_map(crash).collect()
    }

    fn is_due(&self, due: Due) -> bool {
        match due {
            Due::Crash { id, nth } => {
                self.alive.contains(&id) && self.starts.get(&id) == Some(&nth)
            }
            Due::Retry { sup, id, ticket, .. } => self.root.as_ref().is_some_and(|root| {
                let child = root.find(sup).and_then(|tree| Some(&tree.children[tree.at(id)?]));
                child.is_some_and(|child| child.waits(ticket))
            }),
        }
    }

    /// Applies all events that are due before this time.
    pub(crate) fn run_to(&mut self, now: u64) {
        while let Some(at) = self.next_due().filter(|at| *at < now) {
            let first = |timer: &Timer| timer.at == at;
            let Some(next) = self.timers.iter().position(first) else { break };
            let due = self.timers.swap_remove(next).due;
            self.undecided |= at <= self.busy;
            self.now = at;
            self.during(|model| model.happens(due));
        }
        self.now = self.now.max(now);
    }

    /// Runs an operation. If a timer is due before the operation is over, the order of the two is
    /// undecided.
    pub(crate) fn during<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        self.soonest = self.next_due();
        let outcome = act(self);
        self.busy = self.now;
        self.undecided |= self.soonest.is_some_and(|at| at <= self.busy);
        outcome
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::Crash { id, .. } => self.die(&[(id, End::Crash)], &[id]),
            Due::Retry { sup, id, ticket, retry } => {
                self.with(sup, |model, tree| ((), model.retried(tree, id, ticket, retry)));
            }
        }
    }

    /// Returns the time at which the last command and the ends of orphans are over.
    pub(crate) fn rests_at(&self) -> u64 {
        self.now.max(self.falling)
    }

    /// Returns whether everything is over before this time, and nothing is due at this time.
    pub(crate) fn rests_before(&mut self, now: u64) -> bool {
        self.busy.max(self.falling) < now && self.now == now && self.next_due() != Some(now)
    }
}

impl super::model::Tree {
    fn find(&self, number: u32) -> Option<&Self> {
        if self.number == number {
            return Some(self);
        }
        debug_assert_ne!(number, ROOT);
        self.children.iter().find_map(|child| match &child.state {
            State::Running(Some(inner)) => inner.find(number),
            _ => None,
        })
    }
}
