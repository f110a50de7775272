//! The decision of a reader whose inbox is empty: whether to yield once before it waits.
//!
//! When many senders send at the same time, a reader that waits as soon as its inbox is empty is
//! woken for each item. A reader that yields first finds the items of several senders at once. Each
//! yield costs a poll, so a reader yields only while yields pay. A yield pays if the reader finds
//! more than one item after it.

/// A reader for which yields do not pay still yields before every 64th wait, to find out whether
/// yields pay now.
const TRIAL_EVERY: u8 = 64;

/// The facts that decide whether to yield: the result of the last yield, and the number of waits.
#[derive(Default)]
pub(crate) struct Spin {
    /// The last yield found more than one item.
    pays: bool,
    /// The reader has yielded and has not checked its inbox since.
    has_yielded: bool,
    /// The number of waits, modulo 256.
    waits: u8,
}

impl Spin {
    /// Whether the reader yields before its next wait.
    pub(crate) fn is_due(&self) -> bool {
        self.pays || self.waits.wrapping_add(1).is_multiple_of(TRIAL_EVERY)
    }

    /// Counts a wait, or the yield before it.
    pub(crate) fn count_wait(&mut self) {
        self.waits = self.waits.wrapping_add(1);
    }

    /// Records the number of items that the reader found in the inbox.
    pub(crate) fn found(&mut self, items: usize) {
        if self.has_yielded {
            self.pays = items > 1;
        }
        self.has_yielded = false;
    }

    /// Records that the inbox is empty. Returns whether the reader yields; otherwise it waits.
    pub(crate) fn found_nothing(&mut self) -> bool {
        if self.has_yielded {
            (self.pays, self.has_yielded) = (false, false);
            return false;
        }
        self.has_yielded = self.is_due();
        self.count_wait();
        self.has_yielded
    }
}

#[cfg(test)]
mod tests {
    use super::{Spin, TRIAL_EVERY};

    #[test]
    fn a_reader_yields_once_in_64_waits_while_yields_do_not_pay() {
        let mut spin = Spin::default();
        for round in 0..3 {
            let yields = (1..=TRIAL_EVERY).filter(|_| spin.found_nothing()).count();
            assert_eq!(yields, 1, "in round {round}");
            assert!(!spin.found_nothing(), "the wait after the yield");
        }
    }

    #[test]
    fn a_reader_yields_before_each_wait_until_a_yield_finds_one_item_only() {
        let mut spin = Spin { pays: true, ..Spin::default() };
        for items in [2, 3] {
            assert!(spin.found_nothing());
            spin.found(items);
        }
        assert!(spin.found_nothing());
        spin.found(1);
        assert!(!spin.found_nothing());
    }
}
