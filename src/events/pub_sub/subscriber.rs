//! A subscriber of any type: what a delivery of an event to it returns, and the counts of its lost
//! events.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::Pid;

/// A subscriber of a topic, as [`PubSub::subscribers`](crate::PubSub::subscribers) lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscriber {
    /// The process: the server, or the process that made the stream. `None` for a stream that was
    /// made outside of processes.
    pub pid: Option<Pid>,
    /// How many events the subscriber has missed.
    pub missed: u64,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivered {
    Accepted,
    Lost,
    /// The event was lost, and the subscription ends.
    Unsubscribed,
}

/// A subscriber of any type.
pub(super) trait Deliver<T>: Send + Sync {
    /// Delivers an event, and does not wait.
    fn deliver(&self, event: T) -> Delivered;

    /// Ends a stream after its queued events.
    fn close(&self) {}

    fn info(&self) -> Subscriber;
}

/// The numbers of lost events of a subscriber.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Since the last event that was accepted.
    gap: AtomicU64,
    total: AtomicU64,
}

impl Losses {
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Takes the number of events that were lost since the last one that was accepted.
    pub(super) fn take_gap(&self) -> u64 {
        // The load is cheaper than the exchange, and there is a gap only seldom.
        if self.gap.load(Ordering::Relaxed) == 0 { 0 } else { self.gap.swap(0, Ordering::Relaxed) }
    }

    /// Counts a lost event. `missed` is the number of events lost before it, which it would have
    /// reported.
    pub(super) fn lose(&self, missed: u64) {
        self.gap.fetch_add(missed + 1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
    }
}
