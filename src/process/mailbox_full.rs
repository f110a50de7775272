//! What happens to an item that is sent while the mailbox is full.

use crate::process::mailbox_counts::Counts;
use crate::process::overflow_policy::Overflow;

/// The choice of a sender for an item that is sent while the mailbox is full. The choice has no
/// effect under [`Overflow::DropOldest`] and [`Overflow::DropNewest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfFull {
    /// The item is lost and counted, and the sender gets an error.
    Lose,
    /// The sender gets the item back.
    GiveBack,
    /// The item joins the send queue.
    Wait,
    /// The item joins the send queue if the policy is [`Overflow::Wait`]; otherwise it is lost, as
    /// with `Lose`.
    WaitOrLose,
}

/// The decision about a user's item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Queue,
    /// The oldest user's item is dropped and counted, and the new item is queued.
    Evict,
    /// The item is dropped and counted, and the send succeeds.
    Drop,
    /// The item joins the send queue, where it waits for room.
    SendQueue,
    /// The item is refused and counted.
    Lose,
    GiveBack,
}

impl Counts {
    /// Decides what happens to a user's item that is sent now.
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
}

#[cfg(test)]
mod tests {
    use super::{Entry, IfFull};
    use crate::process::Counts;
    use crate::process::overflow_policy::Overflow;

    #[test]
    fn a_mailbox_with_room_queues_every_item() {
        for overflow in [Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest] {
            let counts = Counts { users: 1, ..Counts::new(2, overflow) };
            assert_eq!(counts.entry(IfFull::Lose), Entry::Queue);
        }
    }

    #[test]
    fn a_full_mailbox_follows_its_policy() {
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
