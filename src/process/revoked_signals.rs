//! Signals that are taken back by an unlink, a demonitor or a task that was joined.
//!
//! To take a signal back is to take its ticket: the reader passes over a signal without one. A
//! process that never receives would keep all of these signals, and what their reasons hold. So
//! they are removed from the inbox as well: at once while the inbox is short, and several at a time
//! where it is long, since each search reads the whole inbox under the lock. The longer the inbox
//! is, the more are left for one search: about a sixteenth of it. So each signal costs a look at
//! some sixteen items, and not at all of them.
//!
//! Signals that the reader has moved out of the inbox before are left to the reader.

use crate::base::random::Random;
use crate::message::received::Envelope;
use crate::process::{Locked, Unread};

/// An inbox of up to this many items is searched for each signal that is taken back.
const SHORT: usize = 64;

/// A longer one is searched for this many at once.
const SEVERAL: u8 = 64;

/// For each time that it holds so many items, one more signal is counted as one.
const LONG: usize = 1024;

impl Locked {
    /// Notes that so many queued signals have lost their tickets. Returns signals without a ticket,
    /// to be dropped after unlock, since their reasons may run a user's destructors.
    #[must_use = "what is dropped runs a user's code, and not under the lock"]
    pub(crate) fn take_back(&mut self, signals: usize) -> Option<Box<dyn Unread>> {
        if signals == 0 {
            return None;
        }
        if let Some(counts) = self.core.counts() {
            counts.depth = counts.depth.saturating_sub(signals);
        }
        let queued = self.mail.queued();
        let more = u8::try_from(counted_as(signals, queued)).unwrap_or(u8::MAX);
        self.core.taken_back = self.core.taken_back.saturating_add(more);
        if queued > SHORT && self.core.taken_back < SEVERAL {
            return None;
        }
        self.core.taken_back = 0;
        let mut passed = self.core.counts().map_or(0, |counts| counts.passed);
        let relations = self.core.relations.as_deref();
        let goes = |envelope: &Envelope| {
            let Some(ticket) = envelope.ticket else { return false };
            !relations.is_some_and(|relations| relations.holds(ticket.get(), &envelope.received))
        };
        let gone = self.mail.take_out(&goes, &mut passed);
        if let Some(counts) = self.core.counts() {
            counts.passed = passed;
        }
        gone
    }
}

/// How much the count of a process grows by so many signals. The count is a byte, of which every
/// process has one; where a signal is less than one of it, it is one by chance.
fn counted_as(signals: usize, queued: usize) -> usize {
    let each = queued / LONG + 1;
    let (whole, rest) = (signals / each, signals % each);
    whole + usize::from(rest > 0 && Random::fresh().below(each) < rest)
}

#[cfg(test)]
mod tests {
    use super::{LONG, counted_as};

    #[test]
    fn signals_count_for_less_in_a_longer_inbox() {
        assert_eq!((counted_as(1, 0), counted_as(7, LONG - 1)), (1, 7));
        assert_eq!(counted_as(8, LONG), 4);
        let one_by_one: usize = (0..10_000).map(|_| counted_as(1, 9 * LONG)).sum();
        assert!((800..1_200).contains(&one_by_one), "{one_by_one}");
        let by_fifteen: usize = (0..10_000).map(|_| counted_as(15, 9 * LONG)).sum();
        assert!((14_500..15_500).contains(&by_fifteen), "{by_fifteen}");
    }
}
