//! The last events of processes that are in no history, for an observation that begins later.
//!
//! A history has the starts and the ends of a child. The other events that say how a child fares are
//! kept here: changes of its health, slow handlers, refused calls, stops that went wrong, and that it
//! was given up. They are rare, so a child that only starts, runs and ends costs nothing.
//!
//! **Where they are.** Those of a live process are in its own record, under its own lock. When it
//! closes, they move to [`EndedEvents`], under the same lock, so an event that is kept later follows
//! them. The supervisor puts them into the history of its child as well, so they stay as long as the
//! incarnation is in the history.
//!
//! **Bounds.** [`KEPT`] events of a process, and in [`EndedEvents`] those of [`PROCESSES`] processes
//! that have ended. The memory for the events of a process grows with their number.
//!
//! **Invariants**
//! 1. Lock order: the lock of a shard may be taken under the lock of a process. Under it no other lock
//!    is taken.
//! 2. No event is dropped under a lock. It may contain the reason of an exit, whose `Drop` may be code
//!    of a user.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::random::MapHasher;
use crate::base::{Pid, PlainMutex};
use crate::observe::change::ChangeKind;

/// The number of events that are kept of a process.
pub(crate) const KEPT: usize = 16;

/// The number of ended processes whose events are kept.
const PROCESSES: usize = 4096;

/// The number of locks for the events of ended processes.
const SHARDS: usize = 16;

/// An event of a process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PastEvent {
    pub(crate) at: Instant,
    pub(crate) kind: ChangeKind,
}

/// The last events of one process, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct PastEvents(VecDeque<PastEvent>);

/// The last events of processes that have ended.
#[derive(Debug, Default)]
pub(crate) struct EndedEvents([PlainMutex<Shard>; SHARDS]);

#[derive(Debug, Default)]
struct Shard {
    of: HashMap<Pid, Arc<PastEvents>, MapHasher>,
    /// The processes in the order in which they make room.
    order: VecDeque<Pid>,
}

/// What has no room any more. Drop it after unlock.
pub(crate) type Forgotten = (Option<PastEvent>, Option<Arc<PastEvents>>);

impl PastEvent {
    pub(crate) fn now(kind: ChangeKind) -> Self {
        PastEvent { at: Instant::now(), kind }
    }
}

impl PastEvents {
    /// Adds an event. Returns the event that has no room any more, which the caller drops after
    /// unlock.
    #[must_use = "dropping the event runs a user's code"]
    pub(crate) fn push(&mut self, event: PastEvent) -> Option<PastEvent> {
        let forgotten = if self.0.len() == KEPT { self.0.pop_front() } else { None };
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(self.0.len().max(1));
        }
        self.0.push_back(event);
        forgotten
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PastEvent> {
        self.0.iter()
    }
}

impl EndedEvents {
    fn shard(&self, pid: Pid) -> &PlainMutex<Shard> {
        &self.0[usize::try_from(pid.raw() % SHARDS as u64).unwrap_or(0)]
    }

    /// Keeps the events of a process that closes.
    #[must_use = "dropping the events runs a user's code"]
    pub(crate) fn keep(&self, pid: Pid, events: Arc<PastEvents>) -> Option<Arc<PastEvents>> {
        let mut shard = self.shard(pid).lock();
        // Before that, no event of the process was kept here: each was kept in its record.
        match shard.of.insert(pid, events) {
            Some(before) => Some(before),
            None => shard.note(pid),
        }
    }

    /// Keeps an event of a process that has closed.
    #[must_use = "dropping the events runs a user's code"]
    pub(crate) fn push(&self, pid: Pid, event: PastEvent) -> Forgotten {
        let mut shard = self.shard(pid).lock();
        let is_new = !shard.of.contains_key(&pid);
        let forgotten = Arc::make_mut(shard.of.entry(pid).or_default()).push(event);
        (forgotten, if is_new { shard.note(pid) } else { None })
    }

    /// Returns the events of a process that has closed.
    pub(crate) fn of(&self, pid: Pid) -> Option<Arc<PastEvents>> {
        self.shard(pid).lock().of.get(&pid).cloned()
    }
}

impl Shard {
    /// Notes a new process. Returns the events of the oldest one, if there are too many.
    fn note(&mut self, pid: Pid) -> Option<Arc<PastEvents>> {
        self.order.push_back(pid);
        if self.order.len() <= PROCESSES / SHARDS {
            return None;
        }
        self.of.remove(&self.order.pop_front()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{EndedEvents, KEPT, PROCESSES, PastEvent, PastEvents};
    use crate::base::pid::Pid;
    use crate::observe::change::ChangeKind;

    fn event(attempt: u32) -> PastEvent {
        PastEvent::now(ChangeKind::Starting { attempt })
    }

    fn attempts(events: &PastEvents) -> Vec<u32> {
        let attempt = |event: &PastEvent| match &event.kind {
            ChangeKind::Starting { attempt } => *attempt,
            other => panic!("{other:?}"),
        };
        events.iter().map(attempt).collect()
    }

    #[test]
    fn the_last_events_of_a_process_are_kept_and_their_memory_grows_with_them() {
        let mut events = PastEvents::default();
        for (attempt, capacity) in [(0, 1), (1, 2), (2, 4), (3, 4), (4, 8)] {
            drop(events.push(event(attempt)));
            assert_eq!(events.0.capacity(), capacity);
        }
        (5..40).for_each(|attempt| drop(events.push(event(attempt))));
        assert_eq!(attempts(&events), (24..40).collect::<Vec<_>>());
        assert_eq!(events.0.capacity(), KEPT);
    }

    #[test]
    fn an_event_after_the_end_follows_those_before_it() {
        let (ended, pid) = (EndedEvents::default(), Pid::from_raw(7));
        let mut events = PastEvents::default();
        drop(events.push(event(1)));
        assert!(ended.keep(pid, Arc::new(events)).is_none());
        let held = ended.of(pid).expect("it is kept");
        drop(ended.push(pid, event(2)));
        assert_eq!(ended.of(pid).map(|events| attempts(&events)), Some(vec![1, 2]));
        // What a reader holds does not change.
        assert_eq!(attempts(&held), [1]);
    }

    #[test]
    fn the_ended_processes_are_bounded_and_the_oldest_make_room() {
        let ended = EndedEvents::default();
        let most = PROCESSES as u64;
        (1..=most + 100).for_each(|pid| drop(ended.push(Pid::from_raw(pid), event(1))));
        let kept = |pid: &u64| ended.of(Pid::from_raw(*pid)).is_some();
        assert!(!(1..=100).any(|pid| kept(&pid)));
        assert_eq!((1..=most + 100).filter(kept).count(), PROCESSES);
    }
}
