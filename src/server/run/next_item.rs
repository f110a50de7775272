//! What a server does next: waiting for something to handle, and taking it.
//!
//! In two steps, a poll that finds and a call that takes, so that what is taken is moved
//! once.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::coop::poll_budget;
use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::call::reply_slot::resolve_unanswered;
use crate::call::unanswered;
use crate::message::received::{Envelope, Received};
use crate::observe::activity::Callback;
use crate::process::{AnyProcess, flag};
use crate::server::context::idle::IdleTimeout;
use crate::server::dispatch::{Dispatch, WaitOutcome};
use crate::server::item::{ServerItem, Stamped};
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Waits for something to handle. Replies that were dropped are settled on the way.
    pub(crate) fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<WaitOutcome> {
        if let Some(found) = self.take_found() {
            return Poll::Ready(found);
        }
        let polled = self.poll_plain(cx);
        if self.inner().watch.is_none() {
            return polled;
        }
        self.poll_watched(cx, polled)
    }

    #[inline]
    fn poll_plain(&mut self, cx: &mut Context<'_>) -> Poll<WaitOutcome> {
        self.finish_handler();
        let exit_pending = self.process.is_exit_pending();
        let inner = self.inner();
        if !matches!(inner.idle, IdleTimeout::Off) {
            // The time that is up loses to what is queued.
            inner.mailbox.parking.look();
        }
        if !inner.continues.is_empty() {
            return if exit_pending {
                Poll::Pending
            } else {
                poll_budget(cx).map(|()| WaitOutcome::Found)
            };
        }
        if inner.mailbox.poll_some(cx).is_ready() {
            return Poll::Ready(WaitOutcome::Found);
        }
        if matches!(inner.idle, IdleTimeout::Off) || exit_pending {
            return Poll::Pending;
        }
        inner.idle.poll_elapsed(cx).map(|()| WaitOutcome::IdleTimeout)
    }

    /// What [`poll_some`](Self::poll_some) has found, as it lay in the mailbox; `None` if
    /// the idle time is up. A call or a cast goes from here to its handler as it is: putting
    /// it into another enum on the way costs more than all else that is done to it.
    #[inline]
    pub(crate) fn next_item(&mut self, waited: WaitOutcome) -> Option<ServerItem<S>> {
        let inner = self.inner();
        if waited == WaitOutcome::IdleTimeout {
            return None;
        }
        if let Some(cast) = inner.continues.pop_front() {
            self.note_begin_if_watched(Callback::HandleCast);
            return Some(ServerItem::Cast(cast));
        }
        let callback = match inner.mailbox.first() {
            ServerItem::Call(_) => Some(Callback::HandleCall),
            ServerItem::Cast(_) => Some(Callback::HandleCast),
            _ => None,
        };
        if let Some(callback) = callback {
            inner.idle = IdleTimeout::Off;
            self.note_begin_if_watched(callback);
        }
        Some(self.inner().mailbox.take())
    }

    /// A handler begins, where that is watched.
    #[inline]
    pub(crate) fn note_begin_if_watched(&mut self, callback: Callback) {
        if self.inner().watch.is_some() {
            self.note_begin(callback);
        }
    }

    /// What [`poll_some`](Self::poll_some) has found, to be handled by whoever asks.
    pub(crate) fn next_dispatch(&mut self, waited: WaitOutcome) -> Dispatch<S> {
        match self.next_item(waited) {
            Some(ServerItem::Call(call)) => Dispatch::Call(call),
            Some(ServerItem::Cast(cast)) => Dispatch::Cast(cast),
            other => self.event(other),
        }
    }

    /// What [`next_item`](Self::next_item) has taken.
    pub(crate) fn event(&mut self, work: Option<ServerItem<S>>) -> Dispatch<S> {
        let event = work.map_or(Dispatch::Timeout, |work| self.turn(work));
        if let Some(callback) = event.callback() {
            self.note_begin_if_watched(callback);
        }
        event
    }

    fn turn(&mut self, work: ServerItem<S>) -> Dispatch<S> {
        let event = match work {
            ServerItem::Timer(timer) => match self.expire(timer) {
                Some(event) => event,
                // What was cancelled is never seen, and disturbs nothing.
                None => return Dispatch::Stale,
            },
            // Looking at a server disturbs nothing either.
            ServerItem::System(request) => return Dispatch::System(request),
            ServerItem::Stamped(stamped) => return self.turn_stamped(*stamped),
            // Said where it was taken; what is continued with disturbs nothing.
            ServerItem::Call(call) => return Dispatch::Call(call),
            ServerItem::Cast(cast) => return Dispatch::Cast(cast),
            work => event(work, self.parent()),
        };
        self.inner().idle = IdleTimeout::Off;
        event
    }

    fn turn_stamped(&mut self, stamped: Stamped<S>) -> Dispatch<S> {
        if matches!(stamped.item, ServerItem::Call(_) | ServerItem::Cast(_)) {
            self.inner().idle = IdleTimeout::Off;
        }
        self.turn(stamped.item)
    }

    /// Waits for what a suspended server takes; all else stays queued.
    pub(crate) fn poll_suspended(&mut self, cx: &mut Context<'_>, cursor: &mut usize) -> Poll<()> {
        self.finish_handler();
        let parent = self.parent();
        let polled = self
            .inner()
            .mailbox
            .poll_urgent(cx, cursor, |work| is_received_while_suspended(work, parent));
        self.note_waiting();
        polled
    }

    /// What [`poll_suspended`](Self::poll_suspended) has found.
    pub(crate) fn take_suspended(&mut self, cursor: usize) -> Dispatch<S> {
        let parent = self.parent();
        match self.inner().mailbox.take_at(cursor) {
            ServerItem::Stamped(stamped) => event(stamped.item, parent),
            work => event(work, parent),
        }
    }

    /// From here on everything is taken again.
    pub(crate) fn resume_reading(&mut self) {
        self.inner().mailbox.read_on();
    }

    /// The clock of the idle time-out stands still until the server waits again.
    pub(crate) fn pause_idle_timeout(&mut self) {
        self.inner().idle.pause();
    }

    fn finish_handler(&mut self) {
        unanswered::resolve(Arc::as_ptr(&self.process).addr());
        let flags = self.process.flags().load(Ordering::Acquire);
        if flags & (flag::UNANSWERED | flag::OBSERVED) != 0 {
            self.follow_flags(flags);
        }
    }

    #[inline(never)]
    fn follow_flags(&mut self, flags: u8) {
        if flags & flag::UNANSWERED != 0 {
            resolve_unanswered(&*self.process);
        }
        if flags & flag::OBSERVED != 0 {
            self.note_returned();
        }
    }
}

/// The parent's exit ends the server before any handler sees it.
fn event<S: GenServer>(work: ServerItem<S>, parent: Option<Pid>) -> Dispatch<S> {
    match work {
        ServerItem::Call(call) => Dispatch::Call(call),
        ServerItem::Cast(cast) => Dispatch::Cast(cast),
        ServerItem::Exempt(cast) => Dispatch::Cast(*cast),
        ServerItem::Stop(reason) => Dispatch::Stop(reason),
        ServerItem::System(request) => Dispatch::System(request),
        // Both are looked into before.
        ServerItem::Timer(_) | ServerItem::Stamped(_) => Dispatch::Stale,
        ServerItem::Envelope(envelope) => match *envelope {
            Envelope { received: Received::Exit { from, reason }, .. } if Some(from) == parent => {
                Dispatch::Stop(reason)
            }
            envelope => Dispatch::Info(envelope.received),
        },
    }
}

/// What a suspended server takes: system messages, the request to stop, its parent's exit.
fn is_received_while_suspended<S: GenServer>(work: &ServerItem<S>, parent: Option<Pid>) -> bool {
    match work {
        ServerItem::Stop(_) | ServerItem::System(_) => true,
        ServerItem::Envelope(envelope) => {
            matches!(&envelope.received, Received::Exit { from, .. } if Some(*from) == parent)
        }
        ServerItem::Stamped(stamped) => is_received_while_suspended(&stamped.item, parent),
        ServerItem::Call(_)
        | ServerItem::Cast(_)
        | ServerItem::Exempt(_)
        | ServerItem::Timer(_) => false,
    }
}
