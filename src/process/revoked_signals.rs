//! Removes from the inbox the signals that an unlink, a demonitor or the join of a task has
//! revoked.
//!
//! A signal is revoked by the removal of its ticket, and the reader then skips that signal. But a
//! process that never receives would keep its revoked signals, and the errors in their reasons. So
//! revoked signals are removed from the inbox as well. A removal searches the whole inbox under the
//! lock. The number of revoked signals per search depends on the length of the inbox:
//!
//! * An inbox of up to [`SHORT_INBOX`] items is searched for each revoked signal.
//! * A longer inbox is searched once per [`BATCH`] revoked signals.
//! * In an inbox of [`LONG_INBOX`] items or more, a revoked signal counts as less than one. A very
//!   long inbox is searched when the number of its revoked signals is about a sixteenth of its
//!   length.
//!
//! So in an inbox of more than [`SHORT_INBOX`] items, a revoked signal costs on average no more
//! than the check of about sixteen items. A revoked signal that the reader has already moved out of
//! the inbox is not removed here: the reader skips that signal.

use crate::base::pid::Pid;
use crate::base::random::Random;
use crate::message::received::Envelope;
use crate::process::{Locked, Unread};

/// An inbox of up to this many items is searched for each revoked signal.
const SHORT_INBOX: usize = 64;

/// The count of revoked signals at which an inbox of more than [`SHORT_INBOX`] items is searched.
const BATCH: u8 = 64;

/// In an inbox of `n` times this length, `n + 1` revoked signals count as one.
const LONG_INBOX: usize = 1024;

impl Locked {
    /// Revokes the queued exits of `from` whose tickets are less than `before`.
    #[must_use = "its destructors run user code: drop it after unlock"]
    pub(crate) fn revoke_exits(&mut self, from: Pid, before: u64) -> Option<Box<dyn Unread>> {
        let relations = self.core.relations()?;
        let taken = relations.revoke_exits(from, before);
        let is_parent = relations.parent.is_some_and(|parent| parent.pid == from);
        if taken > 0 && is_parent {
            self.reopen_intake();
        }
        self.revoke_signals(taken)
    }

    /// Notes that this number of queued signals have lost their tickets. If a search of the inbox
    /// is due, removes the revoked signals and returns them. Drop them after unlock, since the drop
    /// of a reason may run a user's destructor.
    #[must_use = "its destructors run user code: drop it after unlock"]
    pub(crate) fn revoke_signals(&mut self, signals: usize) -> Option<Box<dyn Unread>> {
        if signals == 0 {
            return None;
        }
        if let Some(counts) = self.core.counts() {
            counts.depth = counts.depth.saturating_sub(signals);
        }
        let queued = self.mail.queued();
        let more = u8::try_from(counted_share(signals, queued)).unwrap_or(u8::MAX);
        self.core.revoked = self.core.revoked.saturating_add(more);
        if queued > SHORT_INBOX && self.core.revoked < BATCH {
            return None;
        }
        self.core.revoked = 0;
        let mut passed = self.core.counts().map_or(0, |counts| counts.passed);
        let relations = self.core.relations.as_deref();
        let is_revoked = |envelope: &Envelope| {
            let Some(ticket) = envelope.ticket else { return false };
            !relations.is_some_and(|relations| relations.holds(ticket.get(), &envelope.received))
        };
        let removed = self.mail.take_out(&is_revoked, &mut passed);
        if let Some(counts) = self.core.counts() {
            counts.passed = passed;
        }
        removed
    }
}

/// Returns the number that is added to the count of revoked signals. Every process has such a
/// count, so the count is only one byte and holds no fractions. A signal that counts as a fraction
/// adds one, with the probability of that fraction.
fn counted_share(signals: usize, queued: usize) -> usize {
    let each = queued / LONG_INBOX + 1;
    let (whole, rest) = (signals / each, signals % each);
    whole + usize::from(rest > 0 && Random::fresh().below(each) < rest)
}

#[cfg(test)]
mod tests {
    use super::{LONG_INBOX, counted_share};

    #[test]
    fn a_signal_counts_for_less_in_a_longer_inbox() {
        assert_eq!((counted_share(1, 0), counted_share(7, LONG_INBOX - 1)), (1, 7));
        assert_eq!(counted_share(8, LONG_INBOX), 4);
        let one_by_one: usize = (0..10_000).map(|_| counted_share(1, 9 * LONG_INBOX)).sum();
        assert!((800..1_200).contains(&one_by_one), "{one_by_one}");
        let by_fifteen: usize = (0..10_000).map(|_| counted_share(15, 9 * LONG_INBOX)).sum();
        assert!((14_500..15_500).contains(&by_fifteen), "{by_fifteen}");
    }
}
