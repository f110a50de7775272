//! The line of those who wait for room in a full mailbox.
//!
//! What is to be queued waits here itself, not only its sender: whoever takes a message
//! from the mailbox lets the first of the line in, in the same step under the lock. So the
//! line is never longer than nothing while there is room, nobody gets past those who
//! wait, and a sender that is slow to wake up, or isn't polled any more, holds up no other.

use std::collections::VecDeque;

/// Items that wait, oldest first, each with the number of its [`Place`](crate::mailbox::queued_send::Place).
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "a word where nobody ever waited, instead of four")]
pub(crate) struct SendQueue<M>(Option<Box<VecDeque<(u64, M)>>>);

impl<M> SendQueue<M> {
    pub(crate) const fn new() -> Self {
        SendQueue(None)
    }

    /// Numbers grow from each call to the next.
    pub(crate) fn push(&mut self, number: u64, item: M) {
        self.0.get_or_insert_default().push_back((number, item));
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.position(number).is_some()
    }

    /// Takes out who has waited longest.
    pub(crate) fn pop(&mut self) -> Option<(u64, M)> {
        self.0.as_mut()?.pop_front()
    }

    /// Takes out whoever has this number.
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
