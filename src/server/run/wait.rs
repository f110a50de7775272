//! The wait of a server for its next item, and what it does before: step 1 of
//! [`next_item`](crate::server::run::next_item).
//!
//! A server without rare state waits for its mailbox only. The other path is a function of its own.

use std::task::{Context, Poll};

use crate::base::poll_budget;
use crate::base::sync::atomic::Ordering;
use crate::call::{resolve_handed_over, unanswered};
use crate::process::flag;
use crate::server::run::drain::is_drain_over;
use crate::server::{GenServer, ServerContext, WaitOutcome};

impl<S: GenServer> ServerContext<S> {
    /// Waits for something to handle, step 1.
    #[inline]
    pub(crate) fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<WaitOutcome> {
        if !self.inner().is_plain()
            && let Some(found) = self.inner().take_found()
        {
            return Poll::Ready(found);
        }
        let is_drain_over = self.finish_handler();
        if !self.inner().is_plain() {
            return self.poll_with_extras(cx, is_drain_over);
        }
        if is_drain_over {
            return Poll::Ready(WaitOutcome::DrainOver);
        }
        match self.inner().mailbox.poll_some(cx) {
            Poll::Ready(()) => Poll::Ready(WaitOutcome::Found),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Waits for something to handle that may not be in the mailbox, or is to be noted.
    #[inline(never)]
    fn poll_with_extras(&mut self, cx: &mut Context<'_>, is_drain_over: bool) -> Poll<WaitOutcome> {
        let polled = match is_drain_over {
            true => Poll::Ready(WaitOutcome::DrainOver),
            false => self.poll_unwatched(cx),
        };
        match self.inner().is_watched() {
            true => self.observed().poll_watched(cx, polled),
            false => polled,
        }
    }

    fn poll_unwatched(&mut self, cx: &mut Context<'_>) -> Poll<WaitOutcome> {
        let inner = self.inner();
        let mailbox = &mut inner.mailbox;
        let Some(extras) = &mut inner.extras else { return Poll::Pending };
        let is_idle_armed = extras.idle.is_armed_before_wait();
        if is_idle_armed {
            // A queued item takes precedence over a time-out that has elapsed. So the mailbox must
            // be checked, even if the wait was announced before the handler ran.
            mailbox.withdraw_announced_wait();
        }
        if extras.has_continues() {
            return self.poll_continues(cx);
        }
        if mailbox.poll_some(cx).is_ready() {
            return Poll::Ready(WaitOutcome::Found);
        }
        if !is_idle_armed || mailbox.process.is_exit_pending() {
            return Poll::Pending;
        }
        extras.idle.poll_elapsed(cx).map(|()| WaitOutcome::IdleTimeout)
    }

    /// Decides what comes before the mailbox. A system message that is the first item does not wait
    /// for all events of a state machine, of which there may be any number.
    fn poll_continues(&mut self, cx: &mut Context<'_>) -> Poll<WaitOutcome> {
        if self.inner().mailbox.process.is_exit_pending() {
            return Poll::Pending;
        }
        if !self.is_system_message_first() {
            return poll_budget(cx).map(|()| WaitOutcome::Found);
        }
        let mailbox = &mut self.inner().mailbox;
        mailbox.withdraw_announced_wait();
        mailbox.poll_some(cx).map(|()| WaitOutcome::System)
    }

    /// Resolves the replies that were dropped unsent (invariant 2), and notes the end of the
    /// handler if the server is watched. Returns whether the server stops because its
    /// [drain](crate::server::run::drain) is over.
    pub(super) fn finish_handler(&mut self) -> bool {
        unanswered::resolve(self.process.head.address());
        let flags = self.process.flags().load(Ordering::Acquire);
        flags & (flag::UNANSWERED | flag::CHECK_SWITCHES) != 0 && self.follow_flags(flags)
    }

    #[inline(never)]
    fn follow_flags(&mut self, flags: u8) -> bool {
        if flags & flag::UNANSWERED != 0 {
            resolve_handed_over(&*self.process);
        }
        if flags & flag::CHECK_SWITCHES == 0 {
            return false;
        }
        self.observed().note_returned();
        self.inner().drop_unused_extras();
        is_drain_over(&*self.process)
    }
}
