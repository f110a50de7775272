//! The last events of processes that are in no history, for an observation that begins later.
//!
//! A history has the starts and the ends of a child. The other events that say how a child fares are
//! kept here: changes of its health, slow handlers, refused calls, stops that went wrong, and that it
//! was given up. They are rare, so a child that only starts, runs and ends costs nothing.
//!
//! **Bounds.** [`KEPT`] events of a process, and those of [`PROCESSES`] processes. The memory for the
//! events of a process grows with their number.
//!
//! **Invariants**
//! 1. Lock order: this lock may be taken under the lock of a cell or of a process. Under this lock no
//!    other lock is taken.
//! 2. No event is dropped under a lock. It may contain the reason of an exit, whose `Drop` may be code
//!    of a user.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use crate::base::random::MapHasher;
use crate::base::{Pid, PlainMutex};
use crate::observe::change::ChangeKind;

/// The number of events that are kept of a process.
pub(crate) const KEPT: usize = 16;

/// The number of processes whose events are kept.
const PROCESSES: usize = 4096;

/// How many processes a trim looks at.
const LOOKED_AT: usize = 64;

/// An event of a process.
#[derive(Debug, Clone)]
pub(crate) struct PastEvent {
    pub(crate) at: Instant,
    pub(crate) kind: ChangeKind,
}

/// The last events of processes.
#[derive(Debug, Default)]
pub(crate) struct PastEvents(PlainMutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    of: HashMap<Pid, VecDeque<PastEvent>, MapHasher>,
    /// The processes in the order in which the events of one that has ended make room, the first one
    /// first.
    order: VecDeque<Pid>,
}

impl PastEvents {
    /// Keeps an event. Returns the event that has no room any more, which the caller drops after
    /// unlock. [`trim`](Self::trim) follows.
    #[must_use = "dropping the event runs a user's code"]
    pub(crate) fn push(&self, pid: Pid, kind: ChangeKind) -> Option<PastEvent> {
        let event = PastEvent { at: Instant::now(), kind };
        let kept = &mut *self.0.lock();
        let of = kept.of.entry(pid).or_insert_with(|| {
            kept.order.push_back(pid);
            VecDeque::new()
        });
        let forgotten = if of.len() == KEPT { of.pop_front() } else { None };
        if of.len() == of.capacity() {
            of.reserve_exact(of.len().max(1));
        }
        of.push_back(event);
        forgotten
    }

    /// Makes room, if there are too many processes: forgets the events of the first process that has
    /// ended or, if the next [`LOOKED_AT`] ones live, those of the last of these. Call this without
    /// a lock.
    pub(crate) fn trim(&self, is_alive: impl Fn(Pid) -> bool) {
        for looked_at in 1.. {
            let first = {
                let mut kept = self.0.lock();
                if kept.order.len() <= PROCESSES {
                    return;
                }
                kept.order.pop_front()
            };
            let Some(first) = first else { return };
            if looked_at < LOOKED_AT && is_alive(first) {
                self.0.lock().order.push_back(first);
            } else {
                let forgotten = self.0.lock().of.remove(&first);
                drop(forgotten);
                return;
            }
        }
    }

    /// Returns the events of a process, oldest first.
    pub(crate) fn of(&self, pid: Pid) -> Vec<PastEvent> {
        self.0.lock().of.get(&pid).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, PROCESSES, PastEvents};
    use crate::base::pid::Pid;
    use crate::observe::change::ChangeKind;

    fn attempts(events: &PastEvents, pid: u64) -> Vec<u32> {
        let of = events.of(Pid::from_raw(pid)).into_iter();
        let attempt = |kind| match kind {
            ChangeKind::Starting { attempt } => attempt,
            other => panic!("{other:?}"),
        };
        of.map(|event| attempt(event.kind)).collect()
    }

    fn push(events: &PastEvents, pid: u64, attempt: u32) {
        drop(events.push(Pid::from_raw(pid), ChangeKind::Starting { attempt }));
    }

    #[test]
    fn the_last_events_of_a_process_are_kept_and_their_memory_grows_with_them() {
        let events = PastEvents::default();
        assert!(attempts(&events, 7).is_empty());
        for (attempt, capacity) in [(0, 1), (1, 2), (2, 4), (3, 4), (4, 8)] {
            push(&events, 7, attempt);
            assert_eq!(events.0.lock().of[&Pid::from_raw(7)].capacity(), capacity);
        }
        (5..40).for_each(|attempt| push(&events, 7, attempt));
        assert_eq!(attempts(&events, 7), (24..40).collect::<Vec<_>>());
        assert_eq!(events.0.lock().of[&Pid::from_raw(7)].capacity(), KEPT);
    }

    #[test]
    fn the_processes_are_bounded_and_those_that_have_ended_make_room() {
        let events = PastEvents::default();
        let most = PROCESSES as u64;
        // All processes live, except every hundredth one.
        let is_alive = |pid: Pid| !pid.raw().is_multiple_of(100);
        for pid in 1..=most + 10 {
            push(&events, pid, 1);
            events.trim(is_alive);
        }
        let kept = |pid| !attempts(&events, pid).is_empty();
        assert_eq!((1..=most + 10).filter(|pid| kept(*pid)).count(), PROCESSES);
        let forgotten: Vec<u64> = (1..=most + 10).filter(|pid| !kept(*pid)).collect();
        assert_eq!(
            forgotten.iter().filter(|pid| !pid.is_multiple_of(100)).count(),
            5,
            "{forgotten:?}"
        );
        // If all live, room is made all the same.
        for pid in most + 11..most + 500 {
            push(&events, pid, 1);
            events.trim(|_| true);
        }
        let kept = events.0.lock();
        assert_eq!((kept.of.len(), kept.order.len()), (PROCESSES, PROCESSES));
    }
}
