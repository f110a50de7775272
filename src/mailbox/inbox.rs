//! The inbox, what is left in it at the end of its process, and the part of the locked state that
//! depends on the type of the items.

use std::any::Any;
use std::collections::VecDeque;
use std::task::Waker;

use tokio::time::Instant;

use crate::base::user_panics::ignore_panic;
pub(crate) use crate::mailbox::item::Item;
use crate::mailbox::send_queue::SendQueue;
use crate::message::MessageKind;
use crate::message::received::{Envelope, Received};
use crate::process::{AnyMail, Core, Entry, IfFull, Relations, Stage, State, Unread};

/// A buffer with more slots than this is shrunk or freed when it holds few items.
pub(crate) const KEPT_SLOTS: usize = 64;

/// The items that were sent to a process and not yet taken by its reader.
pub(crate) struct Mail<M> {
    pub(crate) inbox: VecDeque<M>,
    /// Items that wait for room in the inbox. Empty while there is room.
    pub(crate) send_queue: SendQueue<M>,
}

impl<M: Item> AnyMail for Mail<M> {
    fn put_envelope(&mut self, envelope: Envelope, tracked: bool) {
        self.push_wrapped(envelope, M::from_envelope, tracked);
    }

    fn is_handled(&self) -> bool {
        M::HANDLED
    }

    fn oldest_queued(&self) -> Option<Instant> {
        self.inbox.front()?.stamp()
    }

    fn queued(&self) -> usize {
        self.inbox.len()
    }

    fn refused_by_stop(&self) -> Vec<u64> {
        self.send_queue.numbers_of(Item::is_refused_by_stop)
    }

    fn take_queue(&mut self) -> Option<Box<dyn Unread>> {
        if self.inbox.capacity() == 0 {
            return None;
        }
        unread(std::mem::take(&mut self.inbox))
    }

    fn take_out(
        &mut self,
        goes: &dyn Fn(&Envelope) -> bool,
        passed: &mut usize,
    ) -> Option<Box<dyn Unread>> {
        let mut gone = VecDeque::new();
        let before = *passed;
        for at in 0..self.inbox.len() {
            let Some(item) = self.inbox.pop_front() else { break };
            if item.envelope().is_some_and(goes) {
                *passed -= usize::from(at < before);
                gone.push_back(item);
            } else {
                self.inbox.push_back(item);
            }
        }
        if self.inbox.capacity() > KEPT_SLOTS.max(2 * self.inbox.len()) {
            let mut fitting = VecDeque::with_capacity(self.inbox.len());
            fitting.append(&mut self.inbox);
            self.inbox = fitting;
        }
        unread(gone)
    }
}

/// Items that were taken out of an inbox unread.
pub(crate) struct Leftover<M>(pub(crate) VecDeque<M>);

fn unread<M: Item>(items: VecDeque<M>) -> Option<Box<dyn Unread>> {
    if items.is_empty() { None } else { Some(Box::new(Leftover(items))) }
}

impl<M: Item> Unread for Leftover<M> {
    fn close_streams(&mut self) {
        for at in 0..self.0.len() {
            if let Some(envelope) = self.0.get_mut(at).and_then(Item::envelope_mut) {
                close_stream(envelope);
            }
        }
    }

    fn describe(&self, each: &mut dyn FnMut(MessageKind, &'static str)) {
        for at in 0..self.0.len() {
            if let Some((kind, of)) = self.0.get(at).and_then(Item::left_description) {
                each(kind, of);
            }
        }
    }

    /// Takes out the calls, casts, messages and streams. The other items belong to the process that has
    /// ended: its signals, its timers, and requests to itself.
    fn take_kept(&mut self) -> Option<Box<dyn Unread>> {
        let mut kept = VecDeque::new();
        for _ in 0..self.0.len() {
            let Some(item) = self.0.pop_front() else { break };
            match item.description().is_some() {
                true => kept.push_back(item),
                false => self.0.push_back(item),
            }
        }
        unread(kept)
    }

    fn put_back(&mut self, kept: Box<dyn Unread>) {
        if let Ok(mut kept) = kept.into_any().downcast::<Leftover<M>>() {
            kept.0.append(&mut self.0);
            std::mem::swap(&mut kept.0, &mut self.0);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

fn close_stream(envelope: &mut Envelope) {
    if let Received::Stream(stream) = &mut envelope.received {
        ignore_panic(|| stream.close());
    }
}

/// Drops the items one by one. If a destructor panics, the next items are dropped nevertheless.
pub(crate) fn drop_queue<M>(items: &mut VecDeque<M>) {
    while let Some(item) = items.pop_front() {
        ignore_panic(|| drop(item));
    }
}

impl<M> Drop for Leftover<M> {
    fn drop(&mut self) {
        drop_queue(&mut self.0);
    }
}

// The rare searches go by index: the adapters of an iterator would be compiled for each type of items.
impl<M: Item> Mail<M> {
    /// The first position from `start` on whose item `pick` selects.
    fn first_from(&self, start: usize, pick: &mut dyn FnMut(&M) -> bool) -> Option<usize> {
        let mut at = start;
        while let Some(item) = self.inbox.get(at) {
            if pick(item) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    /// Appends the item that `wrap` makes of `value` to the inbox.
    #[inline]
    pub(crate) fn push_wrapped<T>(&mut self, value: T, wrap: impl FnOnce(T) -> M, tracked: bool) {
        let inbox = &mut self.inbox;
        if inbox.len() == inbox.capacity() {
            make_room(inbox);
        }
        // This check lets the compiler omit the code that would drop the item if there were no
        // room.
        assert!(inbox.len() < inbox.capacity(), "room was just made");
        if tracked {
            inbox.push_back(wrap(value).stamped());
        } else {
            inbox.push_back(wrap(value));
        }
    }
}

/// Operations on the locked state, most of them for counted mailboxes. In a counted mailbox, every
/// item that counts as queued lies in the inbox, except for items that a selective receive has
/// moved to the reader. A suspended server searches the inbox in place, without moving items to the
/// reader.
impl<M: Item> State<Mail<M>> {
    pub(crate) fn new(relations: Option<Box<Relations>>) -> Self {
        State {
            core: Core::new(relations),
            mail: Mail { inbox: VecDeque::new(), send_queue: SendQueue::new() },
        }
    }

    /// Decides what happens to an item that is being sent. Counts this item if the decision loses
    /// it.
    pub(crate) fn decide_entry(&mut self, item: &M, if_full: IfFull) -> Entry {
        let Some(counts) = self.core.counts().filter(|_| item.is_user()) else {
            return Entry::Queue;
        };
        let entry = counts.entry(if_full);
        if matches!(entry, Entry::Drop | Entry::Lose) {
            counts.dropped += 1;
        }
        entry
    }

    pub(crate) fn queue(&mut self, item: M) {
        let user = item.is_user();
        if let Some(counts) = self.core.counts() {
            counts.count_in(user);
        }
        self.push(item);
        self.core.notify();
    }

    /// Takes out the oldest message, and counts it as dropped. There is none if the reader has taken
    /// all messages out of the inbox, and has not handled them.
    pub(crate) fn evict_oldest(&mut self) -> Option<M> {
        let oldest = self.mail.first_from(0, &mut |item: &M| item.is_user())?;
        if let Some(counts) = self.core.counts() {
            counts.count_out(true);
            counts.dropped += 1;
            counts.passed -= usize::from(oldest < counts.passed);
        }
        self.mail.inbox.remove(oldest)
    }

    /// Takes the first item that `pick` selects among the items that were not searched before.
    pub(crate) fn take_next_match(&mut self, pick: &mut dyn FnMut(&M) -> bool) -> Option<M> {
        let counts = self.core.counts()?;
        let found = self.mail.first_from(counts.passed, pick);
        counts.passed = found.unwrap_or(self.mail.inbox.len());
        self.mail.inbox.remove(counts.passed)
    }

    /// Counts out an item that was taken from a counted mailbox. If there is room now, which there is
    /// not if a [kept queue](crate::mailbox::take_over) has filled it beyond its bound, moves the
    /// first item of the send queue to the inbox; while a server stops, only a call. Returns the
    /// waker of the sender of that item, to be woken after unlock.
    pub(crate) fn count_out(&mut self, user: bool) -> Option<Waker> {
        let counts = self.core.counts()?;
        counts.count_out(user);
        let is_full = counts.users >= counts.capacity;
        if !user || is_full || self.core.stage != Stage::Live {
            return None;
        }
        let (number, item) = match self.core.is_stopping() {
            false => self.mail.send_queue.pop(),
            true => self.mail.send_queue.pop_first(|item| !item.is_refused_by_stop()),
        }?;
        self.queue(item);
        self.core.relations()?.waiters.remove(&number)
    }

    /// Appends an item to the inbox, with the current time if handlers are tracked.
    pub(crate) fn push(&mut self, item: M) {
        self.mail.push_wrapped(item, |item| item, self.core.tracked);
    }
}

/// Makes room for one more item. The first buffer has one slot: most processes that are notified of
/// the end of another process never hold a second item.
#[cold]
#[inline(never)]
fn make_room<M>(inbox: &mut VecDeque<M>) {
    if inbox.capacity() == 0 {
        inbox.reserve_exact(1);
    } else {
        inbox.reserve(1);
    }
}
