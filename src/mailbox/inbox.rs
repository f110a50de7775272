//! The items of a mailbox: the trait of an item, the inbox, and the part of the locked state that
//! depends on the item's type.

use std::collections::VecDeque;
use std::task::Waker;

use tokio::time::Instant;

use crate::base::user_panics::ignore_panic;
use crate::mailbox::send_queue::SendQueue;
use crate::message::MessageKind;
use crate::message::received::{Envelope, Received};
use crate::process::{AnyMail, Core, Entry, IfFull, Relations, Stage, State, Unread};

/// A buffer with more slots than this is shrunk or freed when it holds few items.
pub(crate) const KEPT_SLOTS: usize = 64;

/// One item of a mailbox. The item of a plain process is an [`Envelope`]. The item of a server is
/// a closed enum, so that its calls and casts move by value.
pub(crate) trait Item: Send + 'static {
    fn from_envelope(envelope: Envelope) -> Self;

    /// The envelope, if the item is or contains one.
    fn envelope(&self) -> Option<&Envelope>;

    /// Does the same as [`envelope`](Self::envelope), but returns a mutable reference.
    fn envelope_mut(&mut self) -> Option<&mut Envelope>;

    /// Whether the item counts towards the bound of the mailbox. Messages, streams, calls and casts
    /// count, except for exempt casts. Signals, timers, and requests to stop, suspend or inspect a
    /// server do not count.
    fn is_user(&self) -> bool;

    /// The kind and the type of a message, also of an exempt cast. `None` for signals, timers, and
    /// requests to stop, suspend or inspect a server.
    fn description(&self) -> Option<(MessageKind, &'static str)>;

    /// The [description](Self::description) of a message that is lost if it is left in the mailbox at
    /// the end of the process.
    fn left_description(&self) -> Option<(MessageKind, &'static str)> {
        self.description()
    }

    /// Whether a server refuses the item while it stops: a message, a stream, or a cast that is not
    /// exempt.
    fn is_refused_by_stop(&self) -> bool {
        let is_call = || matches!(self.description(), Some((MessageKind::Call, _)));
        self.is_user() && !is_call()
    }

    /// Returns the item for the expiry of a timer that the process itself set, or `None` if
    /// processes with these items have no such timers.
    fn from_tick(_timer: u64) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Whether the reader has handlers, which can be tracked.
    const HANDLED: bool = false;

    /// Adds the current time to the item, if items of this type are tracked.
    fn stamped(self) -> Self
    where
        Self: Sized,
    {
        self
    }

    /// Returns the time that [`stamped`](Self::stamped) has added.
    fn stamp(&self) -> Option<Instant> {
        None
    }
}

impl Item for Envelope {
    fn from_envelope(envelope: Envelope) -> Self {
        envelope
    }

    fn envelope(&self) -> Option<&Envelope> {
        Some(self)
    }

    fn envelope_mut(&mut self) -> Option<&mut Envelope> {
        Some(self)
    }

    fn is_user(&self) -> bool {
        self.received.is_user()
    }

    fn description(&self) -> Option<(MessageKind, &'static str)> {
        self.received.description()
    }
}

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
struct Leftover<M>(VecDeque<M>);

fn unread<M: Item>(items: VecDeque<M>) -> Option<Box<dyn Unread>> {
    if items.is_empty() { None } else { Some(Box::new(Leftover(items))) }
}

impl<M: Item> Unread for Leftover<M> {
    fn close_streams(&mut self) {
        for envelope in self.0.iter_mut().filter_map(Item::envelope_mut) {
            if let Received::Stream(stream) = &mut envelope.received {
                ignore_panic(|| stream.close());
            }
        }
    }

    fn describe(&self, each: &mut dyn FnMut(MessageKind, &'static str)) {
        self.0.iter().filter_map(Item::left_description).for_each(|(kind, of)| each(kind, of));
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

impl<M: Item> Mail<M> {
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
            core: Core { relations, ..Core::default() },
            mail: Mail { inbox: VecDeque::new(), send_queue: SendQueue::new() },
        }
    }

    /// Decides what happens to an item that is being sent. Counts the item that the decision loses:
    /// this one or an older one.
    pub(crate) fn decide_entry(&mut self, item: &M, if_full: IfFull) -> Entry {
        let Some(counts) = self.core.counts().filter(|_| item.is_user()) else {
            return Entry::Queue;
        };
        let entry = counts.entry(if_full);
        if matches!(entry, Entry::Evict | Entry::Drop | Entry::Lose) {
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

    pub(crate) fn evict_oldest(&mut self) -> Option<M> {
        let oldest = self.mail.inbox.iter().position(Item::is_user)?;
        if let Some(counts) = self.core.counts() {
            counts.count_out(true);
            counts.passed -= usize::from(oldest < counts.passed);
        }
        self.mail.inbox.remove(oldest)
    }

    /// Takes the first item that `pick` selects among the items that were not searched before.
    pub(crate) fn take_next_match(&mut self, pick: &mut impl FnMut(&M) -> bool) -> Option<M> {
        let counts = self.core.counts()?;
        let found = self.mail.inbox.range(counts.passed..).position(pick);
        counts.passed = found.map_or(self.mail.inbox.len(), |at| counts.passed + at);
        self.mail.inbox.remove(counts.passed)
    }

    /// Counts out an item that was taken from a counted mailbox. If this makes room, moves the
    /// first item of the send queue to the inbox; while a server stops, only a call. Returns the
    /// waker of the sender of that item, to be woken after unlock.
    pub(crate) fn count_out(&mut self, user: bool) -> Option<Waker> {
        let counts = self.core.counts()?;
        counts.count_out(user);
        if !user || self.core.stage != Stage::Live {
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
        self.push_wrapped(item, |item| item);
    }

    /// Does the same as [`push`](Self::push), for the item that `wrap` makes of `value`.
    #[inline]
    pub(crate) fn push_wrapped<T>(&mut self, value: T, wrap: impl FnOnce(T) -> M) {
        self.mail.push_wrapped(value, wrap, self.core.tracked);
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
