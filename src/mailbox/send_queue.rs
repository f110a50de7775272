//! The queue of items that wait for room in a full mailbox.
//!
//! The queue holds the items themselves, not only their senders. The step that takes an item out of
//! the inbox also moves the first item of this queue to the inbox, under the same lock.
//!
//! **Invariants**
//! 1. The queue is empty while the inbox has room, so no send overtakes a send that waits.
//! 2. A waiting send that is polled late, or never again, delays no other send.

use std::collections::VecDeque;

/// Waiting items, oldest first.
#[derive(Debug)]
pub(crate) struct SendQueue<M>(
    /// One word in a mailbox where no sender ever waited.
    Option<Box<Waiting<M>>>,
);

/// Two queues of the same length. A queue of pairs would be one more collection type to compile for
/// each type of item.
#[derive(Debug)]
struct Waiting<M> {
    /// The number of the [`QueuedSend`](crate::mailbox::queued_send::QueuedSend) of each item, in
    /// ascending order.
    numbers: VecDeque<u64>,
    items: VecDeque<M>,
}

impl<M> SendQueue<M> {
    pub(crate) const fn new() -> Self {
        SendQueue(None)
    }

    /// Appends an item. `number` is larger than all numbers in the queue.
    pub(crate) fn push(&mut self, number: u64, item: M) {
        let empty = || Box::new(Waiting { numbers: VecDeque::new(), items: VecDeque::new() });
        let waiting = self.0.get_or_insert_with(empty);
        waiting.numbers.push_back(number);
        waiting.items.push_back(item);
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.position(number).is_some()
    }

    /// Takes out the item that has waited longest.
    pub(crate) fn pop(&mut self) -> Option<(u64, M)> {
        let waiting = self.0.as_mut()?;
        Some((waiting.numbers.pop_front()?, waiting.items.pop_front()?))
    }

    /// Takes out the item that has waited longest among those for which `picks` returns true.
    pub(crate) fn pop_first(&mut self, picks: impl Fn(&M) -> bool) -> Option<(u64, M)> {
        let waiting = self.0.as_mut()?;
        let mut at = 0;
        while !picks(waiting.items.get(at)?) {
            at += 1;
        }
        Some((waiting.numbers.remove(at)?, waiting.items.remove(at)?))
    }

    /// The item with this number.
    pub(crate) fn get(&self, number: u64) -> Option<&M> {
        let at = self.position(number)?;
        self.0.as_ref()?.items.get(at)
    }

    /// The numbers of the items for which `picks` returns true.
    pub(crate) fn numbers_of(&self, picks: impl Fn(&M) -> bool) -> Vec<u64> {
        let mut numbers = Vec::new();
        if let Some(waiting) = &self.0 {
            for (at, number) in waiting.numbers.iter().enumerate() {
                if waiting.items.get(at).is_some_and(&picks) {
                    numbers.push(*number);
                }
            }
        }
        numbers
    }

    /// Takes out the item with this number.
    pub(crate) fn remove(&mut self, number: u64) -> Option<M> {
        let at = self.position(number)?;
        let waiting = self.0.as_mut()?;
        waiting.numbers.remove(at);
        waiting.items.remove(at)
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.0.as_ref()?.numbers.binary_search(&number).ok()
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
