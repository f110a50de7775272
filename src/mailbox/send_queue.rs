//! The queue of items that wait for room in a full mailbox.
//!
//! The queue holds the items themselves, not only their senders. The step that takes an item out of
//! the inbox also moves the first item of this queue to the inbox, under the same lock.
//!
//! **Invariants**
//! 1. The queue is empty while the inbox has room, so no send overtakes a send that waits.
//! 2. A waiting send that is polled late, or never again, delays no other send.

use std::collections::VecDeque;

/// Waiting items, oldest first, each with the number of its
/// [`QueuedSend`](crate::mailbox::queued_send::QueuedSend).
#[derive(Debug)]
#[expect(
    clippy::box_collection,
    reason = "one word instead of four in a mailbox where no sender ever waited"
)]
pub(crate) struct SendQueue<M>(Option<Box<VecDeque<(u64, M)>>>);

impl<M> SendQueue<M> {
    pub(crate) const fn new() -> Self {
        SendQueue(None)
    }

    /// Appends an item. `number` is larger than all numbers in the queue.
    pub(crate) fn push(&mut self, number: u64, item: M) {
        self.0.get_or_insert_default().push_back((number, item));
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.position(number).is_some()
    }

    /// Takes out the item that has waited longest.
    pub(crate) fn pop(&mut self) -> Option<(u64, M)> {
        self.0.as_mut()?.pop_front()
    }

    /// Takes out the item that has waited longest among those for which `picks` returns true.
    pub(crate) fn pop_first(&mut self, picks: impl Fn(&M) -> bool) -> Option<(u64, M)> {
        let items = self.0.as_mut()?;
        let at = items.iter().position(|(_, item)| picks(item))?;
        items.remove(at)
    }

    /// The item with this number.
    pub(crate) fn get(&self, number: u64) -> Option<&M> {
        let at = self.position(number)?;
        self.0.as_ref()?.get(at).map(|(_, item)| item)
    }

    /// The numbers of the items for which `picks` returns true.
    pub(crate) fn numbers_of(&self, picks: impl Fn(&M) -> bool) -> Vec<u64> {
        let items = self.0.iter().flat_map(|items| items.iter());
        items.filter(|(_, item)| picks(item)).map(|(number, _)| *number).collect()
    }

    /// Takes out the item with this number.
    pub(crate) fn remove(&mut self, number: u64) -> Option<M> {
        let at = self.position(number)?;
        self.0.as_mut()?.remove(at).map(|(_, item)| item)
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.0.as_ref()?.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::SendQueue;

    #[test]
    fn a_send_queue_keeps_its_order_when_an_item_is_removed() {
        let mut send_queue = SendQueue::new();
        assert_eq!(
            (send_queue.pop(), send_queue.remove(1), send_queue.contains(1)),
            (None, None, false)
        );
        for number in [2, 3, 5, 8] {
            send_queue.push(number, number * 10);
        }
        assert_eq!((send_queue.remove(3), send_queue.remove(3)), (Some(30), None));
        assert!(send_queue.contains(5) && !send_queue.contains(3));
        let rest = std::iter::from_fn(|| send_queue.pop()).collect::<Vec<_>>();
        assert_eq!(rest, [(2, 20), (5, 50), (8, 80)]);
    }
}
