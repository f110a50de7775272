//! What a mailbox that is measured or bounded knows of itself.

use crate::process::overflow::Overflow;

/// Exact counts of such a mailbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    /// At most this many messages and streams.
    pub(crate) capacity: usize,
    pub(crate) overflow: Overflow,
    /// Messages and streams queued.
    pub(crate) users: usize,
    /// Everything queued.
    pub(crate) depth: usize,
    /// Messages and streams that the bound has cost.
    pub(crate) dropped: u64,
    /// How many at the front of the inbox a suspended server has passed.
    pub(crate) passed: usize,
}

/// What a sender wants where there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfFull {
    /// To be told; its item is lost, and counted.
    Lose,
    /// Its item back.
    GiveBack,
    /// To wait in line.
    Wait,
    /// To wait in line where the policy says so; else as `Lose`.
    WaitOrLose,
}

/// What becomes of a user's item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Queue,
    /// The oldest goes for it, and is counted.
    Evict,
    /// It is dropped itself, and counted.
    Drop,
    /// It joins the line of those who wait for room.
    SendQueue,
    /// It is refused, and counted.
    Lose,
    GiveBack,
}

impl Counts {
    pub(crate) fn new(capacity: usize, overflow: Overflow) -> Self {
        Counts { capacity, overflow, users: 0, depth: 0, dropped: 0, passed: 0 }
    }

    /// What becomes of a user's item that comes now.
    pub(crate) fn entry(&self, if_full: IfFull) -> Entry {
        if self.users < self.capacity {
            return Entry::Queue;
        }
        match (self.overflow, if_full) {
            (Overflow::DropOldest, _) => Entry::Evict,
            (Overflow::DropNewest, _) => Entry::Drop,
            (Overflow::Reject | Overflow::Wait, IfFull::Wait) => Entry::SendQueue,
            (Overflow::Wait, IfFull::WaitOrLose) => Entry::SendQueue,
            (Overflow::Reject | Overflow::Wait, IfFull::GiveBack) => Entry::GiveBack,
            (Overflow::Reject, IfFull::Lose | IfFull::WaitOrLose) => Entry::Lose,
            (Overflow::Wait, IfFull::Lose) => Entry::Lose,
        }
    }

    pub(crate) fn count_in(&mut self, user: bool) {
        self.users += usize::from(user);
        self.depth += 1;
    }

    pub(crate) fn count_out(&mut self, user: bool) {
        self.users -= usize::from(user);
        self.depth = self.depth.saturating_sub(1);
    }

    /// The bound, if there is one: a mailbox may be counted without.
    pub(crate) fn bound(&self) -> Option<usize> {
        Some(self.capacity).filter(|&capacity| capacity != usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Entry, IfFull};
    use crate::process::overflow::Overflow;

    #[test]
    fn a_mailbox_with_room_takes_whatever_comes() {
        for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
            let counts = Counts { users: 1, ..Counts::new(2, overflow) };
            assert_eq!(counts.entry(IfFull::Lose), Entry::Queue);
        }
    }

    #[test]
    fn a_full_mailbox_does_what_its_policy_says() {
        let all = [IfFull::Lose, IfFull::GiveBack, IfFull::Wait, IfFull::WaitOrLose];
        let entries = |overflow| {
            let full = Counts { users: 2, ..Counts::new(2, overflow) };
            all.map(|if_full| full.entry(if_full))
        };
        let reject = [Entry::Lose, Entry::GiveBack, Entry::SendQueue, Entry::Lose];
        assert_eq!(entries(Overflow::Reject), reject);
        let wait = [Entry::Lose, Entry::GiveBack, Entry::SendQueue, Entry::SendQueue];
        assert_eq!(entries(Overflow::Wait), wait);
        assert_eq!(entries(Overflow::DropOldest), [Entry::Evict; 4]);
        assert_eq!(entries(Overflow::DropNewest), [Entry::Drop; 4]);
    }
}
