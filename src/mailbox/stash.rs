//! The stash of a process: items that it has received, put aside, and takes back later.
//!
//! **Guarantees**
//! 1. Each item that was put aside is in exactly one place: in the stash, in front of the queue after
//!    it was taken back, or counted as [unhandled](crate::kernel::unhandled) at the end.
//! 2. Items are taken back in the order in which they were put aside, and are received before all
//!    items that are queued.
//! 3. A call whose caller no longer waits is dropped when it is taken back, if its stash knows the
//!    caller.
//!
//! **Invariants**
//! 1. An item of the stash counts in the depth of a counted mailbox, and not towards the bound of the
//!    mailbox. So a stash that is full of waiting messages does not refuse the message that ends the
//!    wait. The stash has a bound of its own.
//! 2. An item that was taken back counts towards the bound again, and no policy drops it: it is in
//!    the buffer of the reader, where no sender evicts items.
//! 3. Only the process itself puts items aside and takes them back. So no item is added to or removed
//!    from a stash while the stash is searched, and a stash has no lock.
//!
//! **The other side ends between two steps**
//!
//! | | the item is in the stash | the item was taken back |
//! |---|---|---|
//! | its sender ends | nothing changes | nothing changes |
//! | the caller stops waiting | guarantee 3 | the handler receives the call, as any queued call |
//! | the process ends, in whatever way | counted as unhandled; a call is resolved with the reason | the same |
//! | the process is asked to stop | stays, unless a handler takes it back before the request is taken | handled before the request |
//! | the process is suspended | stays | stays queued |
//! | a process that [keeps its queue](crate::kernel::kept_queues) ends | goes to the successor, in front of the queue | the same |

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::mailbox::inbox::{Item, drop_queue};
use crate::mailbox::receive::Mailbox;
use crate::mailbox::record::Process;

/// A weak reference to the state that a caller shares with the reply in its call. When the caller
/// has stopped waiting, that state has only one owner.
pub(crate) type CallerWaits = Weak<dyn Send + Sync>;

/// The items that one process has put aside.
pub(crate) struct Stash<M: Item> {
    process: Arc<Process<M>>,
    items: VecDeque<Stashed<M>>,
    /// The number of items that have room. `None`: as many as in the mailbox.
    capacity: Option<usize>,
}

struct Stashed<M> {
    item: M,
    /// The caller of a call, if it is known.
    caller: Option<CallerWaits>,
}

impl<M> Stashed<M> {
    fn is_given_up(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.strong_count() < 2)
    }
}

impl<M: Item> Stash<M> {
    pub(crate) fn new(process: Arc<Process<M>>) -> Self {
        Stash { process, items: VecDeque::new(), capacity: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = Some(capacity);
    }

    /// The number of items that the stash holds at most.
    pub(crate) fn capacity(&self) -> usize {
        let of_mailbox = || self.process.with_counts(|counts| counts.capacity);
        self.capacity.or_else(of_mailbox).unwrap_or(usize::MAX)
    }

    /// Returns the bound, if the stash is full.
    pub(crate) fn full_at(&self) -> Option<usize> {
        let capacity = self.capacity();
        (self.items.len() >= capacity).then_some(capacity)
    }

    /// Puts an item aside. Call this only if the stash has room.
    pub(crate) fn push(&mut self, item: M, caller: Option<CallerWaits>) {
        self.items.push_back(Stashed { item, caller });
        self.count(1, 0);
    }

    /// Takes back up to `limit` items, and puts them in front of the queue, in order. Drops the
    /// calls that it finds on the way and whose callers have stopped waiting. Returns the number of
    /// items that it has put in front of the queue.
    pub(crate) fn take_back(&mut self, limit: usize, mailbox: &mut Mailbox<M>) -> usize {
        let (mut back, mut given_up) = (VecDeque::new(), VecDeque::new());
        while back.len() < limit {
            let Some(stashed) = self.items.pop_front() else { break };
            match stashed.is_given_up() {
                true => given_up.push_back(stashed.item),
                false => back.push_back(stashed.item),
            }
        }
        let taken = back.len();
        let users = back.iter().filter(|item| item.is_user()).count();
        self.count(-isize::try_from(given_up.len()).unwrap_or(0), users);
        while let Some(item) = back.pop_back() {
            mailbox.local.push_front(item);
        }
        mailbox.withdraw_announced_wait();
        if self.items.is_empty() {
            self.items = VecDeque::new();
        }
        // The calls are values of the user, and are dropped last.
        drop_queue(&mut given_up);
        taken
    }

    /// Changes the counts of a counted mailbox. Invariants 1 and 2.
    fn count(&self, depth: isize, users: usize) {
        if !self.process.is_counted() {
            return;
        }
        if let Some(counts) = self.process.state.lock().core.counts() {
            counts.depth = counts.depth.saturating_add_signed(depth);
            counts.users += users;
        }
    }
}

/// Counts the remaining items as unhandled. If the process keeps its queue, the items become part
/// of that queue instead.
impl<M: Item> Drop for Stash<M> {
    fn drop(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let mut items: VecDeque<M> = self.items.drain(..).map(|stashed| stashed.item).collect();
        if self.process.head.keeps_queue && self.process.give_back(&mut items) {
            return;
        }
        let mut left = items.iter().filter_map(Item::left_description);
        self.process.kernel.note_unhandled(&*self.process, &mut left);
        drop_queue(&mut items);
    }
}
