//! A send that waits for room in a full mailbox.
//!
//! # Guarantees
//!
//! The item of a queued send enters the inbox or returns to its sender, exactly once. If a send is
//! dropped while its item waits, the item is dropped as well. Items enter the inbox in the order in
//! which they were sent.
//!
//! # Steps
//!
//! Each step runs under the lock of the process:
//!
//! 1. **Send.** The mailbox is full, and the item enters the [send
//!    queue](crate::mailbox::send_queue). No waker is registered before the first poll.
//! 2. **Poll.** If the item is no longer in the send queue, it was moved to the inbox. Otherwise,
//!    if the process is ending, or is a server that stops and refuses the item, the poll takes the
//!    item back. Otherwise, the poll registers its waker, which step 3, step 5 or step 6 wakes.
//! 3. **Receive.** The reader takes an item and moves the first item of the send queue to the
//!    inbox. The reader wakes the sender of that item after unlock.
//! 4. **Cancel.** The item leaves the send queue, and is dropped after unlock.
//! 5. **Stop.** A server is asked to stop. The step that queues the request wakes the sends whose
//!    items it refuses from now on.
//! 6. **Teardown.** The process becomes *closing*. When the end of the process is announced, the
//!    teardown wakes all registered wakers.
//!
//! # Invariants
//!
//! 1. If a send is cancelled after step 3, its item stays in the inbox, so no room becomes free for
//!    the next send.
//! 2. The removal of an item in step 4 leaves no gap in the send queue: the items behind it move
//!    up.
//! 3. From step 6 on, no item moves from the send queue to the inbox, and no item of the send queue
//!    is dropped by the teardown. Each item stays in the send queue until its own send takes it
//!    back. A send that was polled before step 6 has registered a waker, which step 6 wakes. A send
//!    that is first polled after step 6 takes its item back in that poll. From step 5 on, the same
//!    holds for the items that the server refuses, with step 5 in place of step 6.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::sync::MutexGuard;
use crate::mailbox::inbox::{Item, Mail};
use crate::mailbox::record::Process;
use crate::process::{Stage, State};

/// A future that waits until its item has entered the inbox. If the process ends before that, the
/// future resolves with the item. If the future is dropped before that, the item is dropped as
/// well.
pub(crate) struct QueuedSend<M: Item> {
    process: Arc<Process<M>>,
    number: u64,
}

impl<M: Item> QueuedSend<M> {
    /// Creates the send of the item that entered the send queue [under this
    /// number](crate::mailbox::record::Sent::InSendQueue).
    pub(crate) fn new(process: Arc<Process<M>>, number: u64) -> Self {
        QueuedSend { process, number }
    }

    pub(crate) fn process(&self) -> &Arc<Process<M>> {
        &self.process
    }

    /// Takes the item back, to return it to the sender. Returns `None` if the item has already
    /// entered the inbox.
    pub(crate) fn withdraw(&self) -> Option<M> {
        self.take_back(self.process.state.lock())
    }

    /// Takes the item back because the time is up, and counts it as dropped. Returns `None` if the
    /// item has already entered the inbox.
    pub(crate) fn cancel(&self) -> Option<M> {
        let mut state = self.process.state.lock();
        if state.mail.send_queue.contains(self.number)
            && let Some(counts) = state.core.counts()
        {
            counts.dropped += 1;
            self.process.kernel.count_refused();
        }
        self.take_back(state)
    }

    /// Takes the item out of the send queue, if it is still there, and removes the registered
    /// waker. Then unlocks the process, since neither item nor waker may be dropped under the lock.
    fn take_back(&self, mut state: MutexGuard<'_, State<Mail<M>>>) -> Option<M> {
        let waker = state.core.relations().and_then(|own| own.waiters.remove(&self.number));
        let item = state.mail.send_queue.remove(self.number);
        drop(state);
        drop(waker);
        item
    }
}

impl<M: Item> Future for QueuedSend<M> {
    type Output = Result<(), M>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let mut state = self.process.state.lock();
        let Some(item) = state.mail.send_queue.get(self.number) else {
            return Poll::Ready(Ok(()));
        };
        let refused = state.core.is_stopping() && item.is_refused_by_stop();
        if state.core.stage == Stage::Live && !refused {
            let old = state.core.relations_mut().waiters.insert(self.number, waker);
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        Poll::Ready(self.take_back(state).map_or(Ok(()), Err))
    }
}

impl<M: Item> Drop for QueuedSend<M> {
    fn drop(&mut self) {
        drop(self.take_back(self.process.state.lock()));
    }
}
