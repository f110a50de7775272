//! The decision of a reader whose inbox is empty: whether to yield once before it waits.
//!
//! When many senders send at the same time, a reader that waits as soon as its inbox is empty is
//! woken for each item. A reader that yields first finds the items of several senders at once. Each
//! yield costs a poll, so a reader yields only while yields pay. A yield pays if the reader finds
//! more than one item after it.

use std::sync::atomic::{AtomicU16, Ordering};

/// A reader for which yields do not pay still yields before every 64th wait, to find out whether
/// yields pay now.
const TRIAL_EVERY: u16 = 64;

/// The last yield found more than one item.
const PAYS: u16 = 1;
/// The reader has yielded and has not checked its inbox since.
const HAS_YIELDED: u16 = 2;
/// The reader satisfies the condition of an announced wait, see `mailbox::idle_wait`.
const MAY_ANNOUNCE: u16 = 4;
/// One wait. The upper byte is the number of waits, modulo 256.
const WAIT: u16 = 1 << 8;

/// The facts that decide whether to yield: the result of the last yield, and the number of waits.
///
/// Only the reader of the mailbox reads and writes them, so no change is an exchange. They are in the
/// record because they fill bytes there that no other field uses. No model has them, since no other
/// thread sees them.
#[derive(Default)]
pub(crate) struct Spin(AtomicU16);

/// Whether a reader with these facts yields before its next wait.
#[inline]
fn is_due(facts: u16) -> bool {
    facts & PAYS != 0 || (facts.wrapping_add(WAIT) >> 8).is_multiple_of(TRIAL_EVERY)
}

impl Spin {
    #[inline]
    fn facts(&self) -> u16 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    fn set(&self, facts: u16) {
        self.0.store(facts, Ordering::Relaxed);
    }

    /// Allows announced waits, see `mailbox::idle_wait`. The caller guarantees that the reader
    /// satisfies invariant 3 there.
    pub(crate) fn allow_announcing(&self) {
        self.set(self.facts() | MAY_ANNOUNCE);
    }

    /// Whether the reader may announce its next wait, and does not yield before it.
    #[inline]
    pub(crate) fn may_announce(&self) -> bool {
        let facts = self.facts();
        facts & MAY_ANNOUNCE != 0 && !is_due(facts)
    }

    /// Counts a wait that the reader has announced.
    #[inline]
    pub(crate) fn count_wait(&self) {
        self.set(self.facts().wrapping_add(WAIT));
    }

    /// Records the number of items that the reader found in the inbox.
    #[inline]
    pub(crate) fn found(&self, items: usize) {
        let facts = self.facts();
        if facts & HAS_YIELDED != 0 {
            let pays = if items > 1 { PAYS } else { 0 };
            self.set(facts & !(HAS_YIELDED | PAYS) | pays);
        }
    }

    /// Records that the inbox is empty. Returns whether the reader yields; otherwise it waits. The
    /// yield before a wait counts, and the wait after it does not.
    #[inline]
    pub(crate) fn found_nothing(&self) -> bool {
        let facts = self.facts();
        if facts & HAS_YIELDED != 0 {
            self.set(facts & !(HAS_YIELDED | PAYS));
            return false;
        }
        let yields = is_due(facts);
        let has_yielded = if yields { HAS_YIELDED } else { 0 };
        self.set(facts.wrapping_add(WAIT) | has_yielded);
        yields
    }
}

#[cfg(test)]
mod tests {
    use super::{PAYS, Spin, TRIAL_EVERY};

    #[test]
    fn a_reader_yields_once_in_64_waits_while_yields_do_not_pay() {
        let spin = Spin::default();
        for round in 0..3 {
            let yields = (1..=TRIAL_EVERY).filter(|_| spin.found_nothing()).count();
            assert_eq!(yields, 1, "in round {round}");
            assert!(!spin.found_nothing(), "the wait after the yield");
        }
    }

    #[test]
    fn a_reader_yields_before_each_wait_until_a_yield_finds_one_item_only() {
        let spin = Spin::default();
        spin.set(PAYS);
        for items in [2, 3] {
            assert!(spin.found_nothing());
            spin.found(items);
        }
        assert!(spin.found_nothing());
        spin.found(1);
        assert!(!spin.found_nothing());
    }
}
