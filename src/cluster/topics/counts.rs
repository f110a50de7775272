//! What a relay has done, in numbers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::base::{SharedStr, ignore_panic};

/// What a [`TopicRelay`](crate::cluster::TopicRelay) has done since it was made, over all its restarts.
/// [`TopicRelay`](crate::cluster::TopicRelay) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RelayCounts {
    /// Messages sent to other nodes: one for each event and each relay there.
    pub sent: u64,
    /// Messages that were left out, because more than half of the
    /// [send buffer](crate::cluster::Node::send_buffer) of that node waited. Each is a
    /// [dead letter](crate::Runtime::dead_letters) with the cause
    /// [`Full`](crate::DeadLetterCause::Full).
    pub left_out: u64,
    /// Events that were published here and have no term, so that no other node got them. Each is a
    /// dead letter with the cause [`NotATerm`](crate::DeadLetterCause::NotATerm).
    pub unencodable: u64,
    /// Messages of other nodes that were published here, or whose topic has no subscribers here.
    pub received: u64,
    /// Messages of other nodes that are no events of these topics. Each is a dead letter with the cause
    /// [`Undecodable`](crate::DeadLetterCause::Undecodable).
    pub undecodable: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) left_out: AtomicU64,
    pub(super) unencodable: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) undecodable: AtomicU64,
}

impl Counts {
    pub(super) fn read(&self) -> RelayCounts {
        RelayCounts {
            sent: self.sent.load(Relaxed),
            left_out: self.left_out.load(Relaxed),
            unencodable: self.unencodable.load(Relaxed),
            received: self.received.load(Relaxed),
            undecodable: self.undecodable.load(Relaxed),
        }
    }
}

/// Counts a fault, and logs the 1st, the 2nd, the 4th, the 8th and so on: a node or a publisher that
/// sends nothing else must not fill the log.
pub(super) fn count_fault(
    counter: &AtomicU64,
    topics: &SharedStr,
    fault: &'static str,
    why: &dyn fmt::Display,
) {
    let count = counter.fetch_add(1, Relaxed) + 1;
    if count.is_power_of_two() {
        ignore_panic(|| tracing::warn!(target: "regrow::cluster", %topics, %why, count, "{fault}"));
    }
}
