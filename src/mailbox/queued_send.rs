//! A place in the line of those who wait for room in a full mailbox.
//!
//! What happens when the process ends, or the place is given up, between any two steps:
//!
//! 1. Under the lock: the mailbox is full, and the item joins the line. Nobody is to be
//!    woken yet; the first poll looks.
//! 2. A poll, under the lock: the item is in the line no more, then it was let in; or the
//!    process is ending, then the item is taken back; or neither, and the waker is left
//!    with those of who waits for the end.
//! 3. The reader takes a message and lets the first of the line in, under the lock, then
//!    wakes it. A place that is given up now has nothing to pass on: its item is in.
//! 4. A place that is given up, under the lock: its item leaves the line, and is dropped
//!    after unlock. Whoever stood behind it has moved up by that.
//! 5. Teardown makes the process *closing*, under the lock: a poll from here on takes its
//!    item back. One that came before has left its waker, and is woken with all others who
//!    wait for the end. Nobody lets an item in any more, and none is dropped: each stays
//!    until its place fetches it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::mailbox::inbox::{Item, Mail};
use crate::mailbox::record::Process;
use crate::process::{Stage, State};

/// One item in the line. Resolves when it was let in, or with the item when the process is
/// ending. Dropped before, it takes its item along.
pub(crate) struct QueuedSend<M: Item> {
    process: Arc<Process<M>>,
    number: u64,
}

impl<M: Item> QueuedSend<M> {
    /// Of what was [sent to the line](crate::mailbox::record::Sent::InSendQueue) under this number.
    pub(crate) fn new(process: Arc<Process<M>>, number: u64) -> Self {
        QueuedSend { process, number }
    }

    pub(crate) fn process(&self) -> &Arc<Process<M>> {
        &self.process
    }

    /// Leaves the line because the time is up, which is counted; `None` if the item was let
    /// in just before.
    pub(crate) fn cancel(&self) -> Option<M> {
        let mut state = self.process.state.lock();
        let (item, waker) = self.take_back(&mut state);
        if let (Some(_), Some(counts)) = (&item, state.core.counts()) {
            counts.dropped += 1;
            self.process.kernel.count_dropped();
        }
        drop(state);
        drop(waker);
        item
    }

    /// The item, if it is still in the line, and the waker left there: both to be dropped
    /// after unlock.
    fn take_back(&self, state: &mut State<Mail<M>>) -> (Option<M>, Option<Waker>) {
        let waker =
            state.core.relations().and_then(|relations| relations.waiters.remove(&self.number));
        (state.mail.send_queue.remove(self.number), waker)
    }
}

impl<M: Item> Future for QueuedSend<M> {
    type Output = Result<(), M>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let mut state = self.process.state.lock();
        if !state.mail.send_queue.contains(self.number) {
            return Poll::Ready(Ok(()));
        }
        if state.core.stage == Stage::Live {
            let old = state.core.relations_mut().waiters.insert(self.number, waker);
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        let (item, old) = self.take_back(&mut state);
        drop(state);
        drop(old);
        Poll::Ready(item.map_or(Ok(()), Err))
    }
}

impl<M: Item> Drop for QueuedSend<M> {
    fn drop(&mut self) {
        let mut state = self.process.state.lock();
        let left = self.take_back(&mut state);
        drop(state);
        drop(left);
    }
}
