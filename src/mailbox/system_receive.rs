//! The receive operation of a suspended server. It takes only urgent items: system requests,
//! requests to stop, and the exit of the server's parent. All other items stay queued in order.
//!
//! In a mailbox without counts, the operation is a selective receive. A mailbox with counts is
//! searched in place, under the lock. The items that are not urgent stay in the inbox, where they
//! can be evicted. An urgent item is taken and counted out under the same lock. The search may run
//! under the lock, because `urgent` runs no user code.

use std::task::{Context, Poll, ready};

use tokio::task::coop;

use crate::mailbox::idle_wait::register;
use crate::mailbox::inbox::Item;
use crate::mailbox::receive::{Mailbox, count_out};

impl<M: Item> Mailbox<M> {
    /// Waits for an item for which `urgent` returns true. Sets `cursor` to the position of that
    /// item. [`take_at`](Self::take_at) takes the item from that position. `cursor` must be 0
    /// before the first poll.
    pub(crate) fn poll_urgent(
        &mut self,
        cx: &mut Context<'_>,
        cursor: &mut usize,
        mut urgent: impl FnMut(&M) -> bool,
    ) -> Poll<()> {
        if !self.process.is_counted() {
            return self.poll_match(cx, cursor, &mut urgent);
        }
        let budget = ready!(coop::poll_proceed(cx));
        self.withdraw_announced_wait();
        loop {
            if self.process.is_exit_pending() {
                return Poll::Pending;
            }
            let mut state = self.process.state.lock();
            let Some(item) = state.take_next_match(&mut urgent) else {
                let old = register(&mut state.core, cx.waker());
                drop(state);
                drop(old);
                return Poll::Pending;
            };
            if count_out(state, &item) {
                *cursor = self.local.len();
                self.local.push_back(item);
                budget.made_progress();
                return Poll::Ready(());
            }
        }
    }

    /// Makes the next search start at the front of the inbox. Called when the suspension ends.
    pub(crate) fn read_on(&mut self) {
        if let Some(counts) = self.process.state.lock().core.counts() {
            counts.passed = 0;
        }
    }
}
