//! The receiving side of a process.
//!
//! The reader exchanges its own empty buffer for the inbox with all items, and takes the items from
//! its buffer. So the reader locks the process once for each batch. The reader takes the items of a
//! counted mailbox one by one, each in the step that counts the item out. So while a counted
//! mailbox is full, the items that fill it lie in the inbox, where they can be evicted.
//!
//! **Invariants**
//! 1. No item is handed out while an exit is pending.
//! 2. A ticketed item is handed out, or shown to a predicate, only while the process holds its
//!    ticket.
//! 3. A receive that is dropped has taken no item.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::coop;
use tokio::time::Instant;

use crate::base::sync::MutexGuard;
use crate::base::user_panics::wake;
use crate::mailbox::idle_wait::refill_or_wait;
use crate::mailbox::inbox::{Item, Mail, drop_queue};
use crate::mailbox::record::Process;
use crate::message::Metadata;
use crate::process::State;

const FOUND: &str = "a poll has just found an item";

/// The reader's end of a mailbox.
pub(crate) struct Mailbox<M: Item> {
    pub(crate) process: Arc<Process<M>>,
    /// Items that were moved out of the inbox and not yet handed out. These items are older than
    /// all items of the inbox.
    pub(crate) local: VecDeque<M>,
}

impl<M: Item> Mailbox<M> {
    pub(crate) fn new(process: Arc<Process<M>>) -> Self {
        Mailbox { process, local: VecDeque::new() }
    }

    /// Waits until there is an item, which [`take`](Self::take) then hands out. Receiving has these
    /// two steps because an item that is returned in a `Poll` would be copied at each level of
    /// nested polls. With two steps the item is moved once.
    #[inline]
    pub(crate) fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.local.is_empty() && self.process.head.announced_wait.start() {
            return Poll::Pending;
        }
        self.poll_inbox(cx)
    }

    /// Waits as [`poll_some`](Self::poll_some) does, without an announced wait.
    fn poll_inbox(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            // Invariant 1.
            if self.process.is_exit_pending() {
                return Poll::Pending;
            }
            if let Some(item) = self.local.front() {
                if self.admit(item) {
                    budget.made_progress();
                    return Poll::Ready(());
                }
                self.local.pop_front();
                continue;
            }
            if self.process.is_counted() && self.take_counted() {
                budget.made_progress();
                return Poll::Ready(());
            }
            if !self.refill_or_wait(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Returns the item that [`take`](Self::take) will take.
    pub(crate) fn first(&self) -> &M {
        self.local.front().expect(FOUND)
    }

    /// Whether the item that would be handed out next matches. Takes nothing and waits for nothing.
    pub(crate) fn is_first(&self, matches: impl FnOnce(&M) -> bool) -> bool {
        match self.local.front() {
            Some(item) => matches(item),
            None => self.process.state.lock().mail.inbox.front().is_some_and(matches),
        }
    }

    /// Takes the item that [`poll_some`](Self::poll_some) has found.
    #[inline]
    pub(crate) fn take(&mut self) -> M {
        self.local.pop_front().expect(FOUND)
    }

    /// Takes the metadata of the item that [`take`](Self::take) will take.
    #[inline]
    pub(crate) fn take_metadata(&mut self) -> Metadata {
        self.local
            .front_mut()
            .and_then(Item::envelope_mut)
            .map_or_else(Metadata::default, |envelope| std::mem::take(&mut envelope.metadata))
    }

    /// Returns the time when the next item was queued, if that item was moved out of the inbox and
    /// is stamped.
    pub(crate) fn next_queued(&self) -> Option<Instant> {
        self.local.front()?.stamp()
    }

    /// Searches from `cursor` on for an item for which `matches` returns true, and waits while
    /// there is none. Moves `cursor` to that item, which [`take_at`](Self::take_at) then hands out.
    /// The items before `cursor` stay queued.
    pub(crate) fn poll_match(
        &mut self,
        cx: &mut Context<'_>,
        cursor: &mut usize,
        matches: &mut impl FnMut(&M) -> bool,
    ) -> Poll<()> {
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            if self.process.is_exit_pending() {
                return Poll::Pending;
            }
            while let Some(item) = self.local.get(*cursor) {
                if !self.is_revoked(item) && !matches(item) {
                    *cursor += 1;
                } else if self.admit(item) {
                    budget.made_progress();
                    return Poll::Ready(());
                } else {
                    self.local.remove(*cursor);
                }
            }
            if self.process.is_counted() && self.move_one() {
                continue;
            }
            if !self.refill_or_wait(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Takes the item that [`poll_match`](Self::poll_match) has found.
    pub(crate) fn take_at(&mut self, cursor: usize) -> M {
        self.local.remove(cursor).expect(FOUND)
    }

    /// Checks the inbox: see [`refill_or_wait`].
    fn refill_or_wait(&mut self, cx: &Context<'_>) -> bool {
        refill_or_wait(&self.process, &mut self.local, cx)
    }

    /// Makes the next poll check the inbox even if the reader has announced its wait.
    pub(crate) fn withdraw_announced_wait(&self) {
        self.process.head.announced_wait.withdraw();
    }

    /// Moves one item out of the inbox for a selective receive. The item counts as queued until it
    /// is admitted. Returns false if the inbox is empty.
    fn move_one(&mut self) -> bool {
        let mut state = self.process.state.lock();
        let (found, item) = (state.mail.inbox.len(), state.mail.inbox.pop_front());
        drop(state);
        self.local.extend(item);
        self.process.head.spin.found(found);
        found > 0
    }

    /// Moves one item out of the inbox and counts it out. Returns false if the inbox has no item
    /// that may be handed out.
    fn take_counted(&mut self) -> bool {
        loop {
            let mut state = self.process.state.lock();
            let found = state.mail.inbox.len();
            let Some(item) = state.mail.inbox.pop_front() else { return false };
            let admitted = count_out(state, &item);
            self.process.head.spin.found(found);
            if admitted {
                self.local.push_back(item);
                return true;
            }
        }
    }

    /// Whether the item is a signal whose ticket the process no longer holds (invariant 2).
    fn is_revoked(&self, item: &M) -> bool {
        let Some(envelope) = item.envelope() else { return false };
        let Some(ticket) = envelope.ticket else { return false };
        let state = self.process.state.lock();
        let relations = state.core.relations.as_ref();
        !relations.is_some_and(|relations| relations.holds(ticket.get(), &envelope.received))
    }

    /// Redeems the ticket of an item, if it has one, and counts the item out of a counted mailbox.
    /// Returns whether the item may be handed out (invariant 2).
    #[inline]
    fn admit(&self, item: &M) -> bool {
        let ticketed = item.envelope().is_some_and(|envelope| envelope.ticket.is_some());
        if !ticketed && !self.process.is_counted() {
            return true;
        }
        count_out(self.process.state.lock(), item)
    }
}

/// Redeems the ticket of an item, if it has one, and counts the item out of a counted mailbox. Then
/// unlocks the process, and wakes the sender whose item was moved to the inbox. Returns whether the
/// item may be handed out.
pub(crate) fn count_out<M: Item>(mut state: MutexGuard<'_, State<Mail<M>>>, item: &M) -> bool {
    let envelope = item.envelope();
    let ticket = envelope.and_then(|envelope| Some((envelope.ticket?, &envelope.received)));
    let admitted = match (ticket, &mut state.core.relations) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some((ticket, signal)), Some(relations)) => relations.redeem(ticket.get(), signal),
    };
    let waker = if admitted { state.count_out(item.is_user()) } else { None };
    drop(state);
    wake(waker);
    admitted
}

/// The items that the reader has taken out of the inbox and not handed out are left unhandled. If the
/// process keeps its queue, they are part of it.
impl<M: Item> Drop for Mailbox<M> {
    fn drop(&mut self) {
        if self.local.is_empty() {
            return;
        }
        if self.process.head.keeps_queue && self.process.give_back(&mut self.local) {
            return;
        }
        let mut items = self.local.iter().filter_map(Item::left_description);
        self.process.kernel.note_unhandled(&*self.process, &mut items);
        drop_queue(&mut self.local);
    }
}
