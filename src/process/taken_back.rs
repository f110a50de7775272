//! Signals that are taken back by an unlink, a demonitor or a task that was joined.
//!
//! To take a signal back is to take its ticket: the reader passes over a signal without one. A
//! process that never receives would keep all of these signals, and what their reasons hold. So
//! they are removed from the inbox as well: at once while the inbox is short, and several at a time
//! where it is long, since each search reads the whole inbox under the lock.
//!
//! Signals that the reader has moved out of the inbox before are left to the reader.

use crate::message::Envelope;
use crate::process::{Locked, Unread};

/// An inbox of up to this many items is searched for each signal that is taken back.
const SHORT: usize = 64;

/// A longer one is searched for this many at once.
const SEVERAL: u8 = 64;

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
        let more = u8::try_from(signals).unwrap_or(u8::MAX);
        self.core.taken_back = self.core.taken_back.saturating_add(more);
        if self.mail.queued() > SHORT && self.core.taken_back < SEVERAL {
            return None;
        }
        self.core.taken_back = 0;
        let mut passed = self.core.counts().map_or(0, |counts| counts.passed);
        let ties = self.core.ties.as_deref();
        let goes = |envelope: &Envelope| {
            let Some(ticket) = envelope.ticket else { return false };
            !ties.is_some_and(|ties| ties.holds(ticket.get(), &envelope.received))
        };
        let gone = self.mail.take_out(&goes, &mut passed);
        if let Some(counts) = self.core.counts() {
            counts.passed = passed;
        }
        gone
    }
}
