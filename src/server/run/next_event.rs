//! What a server does next: waiting for something to handle, and taking it.
//!
//! In two steps, a poll that finds and a call that takes, so that what is taken is moved
//! once.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::coop::poll_budget;
use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::call::reply_slot::resolve_handed_over;
use crate::call::unanswered;
use crate::message::received::{Envelope, Received};
use crate::observe::activity::Callback;
use crate::process::{AnyProcess, flag};
use crate::server::context::idle::Idle;
use crate::server::event::{Event, Waited};
use crate::server::work::{Stamped, Work};
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Waits for something to handle. Replies that were dropped are settled on the way.
    pub(crate) fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Waited> {
        if let Some(found) = self.found_before() {
            return Poll::Ready(found);
        }
        let polled = self.poll_plain(cx);
        if self.inner().watch.is_none() {
            return polled;
        }
        self.poll_watched(cx, polled)
    }

    #[inline]
    fn poll_plain(&mut self, cx: &mut Context<'_>) -> Poll<Waited> {
        self.between_handlers();
        let exit_pending = self.process.is_exit_pending();
        let inner = self.inner();
        if !matches!(inner.idle, Idle::Off) {
            // The time that is up loses to what is queued.
            inner.mailbox.withdraw_announced_wait();
        }
        if !inner.continues.is_empty() {
            return if exit_pending {
                Poll::Pending
            } else {
                poll_budget(cx).map(|()| Waited::ForWork)
            };
        }
        if inner.mailbox.poll_some(cx).is_ready() {
            return Poll::Ready(Waited::ForWork);
        }
        if matches!(inner.idle, Idle::Off) || exit_pending {
            return Poll::Pending;
        }
        inner.idle.poll_up(cx).map(|()| Waited::InVain)
    }

    /// What [`poll_some`](Self::poll_some) has found, as it lay in the mailbox; `None` if
    /// the idle time is up. A call or a cast goes from here to its handler as it is: putting
    /// it into another enum on the way costs more than all else that is done to it.
    #[inline]
    pub(crate) fn next_work(&mut self, waited: Waited) -> Option<Work<S>> {
        let inner = self.inner();
        if waited == Waited::InVain {
            return None;
        }
        if let Some(cast) = inner.continues.pop_front() {
            self.begin_if_watched(Callback::HandleCast);
            return Some(Work::Cast(cast));
        }
        let callback = match inner.mailbox.first() {
            Work::Call(_) => Some(Callback::HandleCall),
            Work::Cast(_) => Some(Callback::HandleCast),
            _ => None,
        };
        if let Some(callback) = callback {
            inner.idle = Idle::Off;
            self.begin_if_watched(callback);
        }
        Some(self.inner().mailbox.take())
    }

    /// A handler begins, where that is watched.
    #[inline]
    pub(crate) fn begin_if_watched(&mut self, callback: Callback) {
        if self.inner().watch.is_some() {
            self.begin(callback);
        }
    }

    /// What [`poll_some`](Self::poll_some) has found, to be handled by whoever asks.
    pub(crate) fn next_event(&mut self, waited: Waited) -> Event<S> {
        match self.next_work(waited) {
            Some(Work::Call(call)) => Event::Call(call),
            Some(Work::Cast(cast)) => Event::Cast(cast),
            other => self.event(other),
        }
    }

    /// What [`next_work`](Self::next_work) has taken.
    pub(crate) fn event(&mut self, work: Option<Work<S>>) -> Event<S> {
        let event = work.map_or(Event::Timeout, |work| self.turn(work));
        if let Some(callback) = event.callback() {
            self.begin_if_watched(callback);
        }
        event
    }

    fn turn(&mut self, work: Work<S>) -> Event<S> {
        let event = match work {
            Work::Tick(timer) => match self.due(timer) {
                Some(event) => event,
                // What was cancelled is never seen, and disturbs nothing.
                None => return Event::Stale,
            },
            // Looking at a server disturbs nothing either.
            Work::System(request) => return Event::System(request),
            Work::Stamped(stamped) => return self.turn_stamped(*stamped),
            // Said where it was taken; what is continued with disturbs nothing.
            Work::Call(call) => return Event::Call(call),
            Work::Cast(cast) => return Event::Cast(cast),
            work => event(work, self.parent()),
        };
        self.inner().idle = Idle::Off;
        event
    }

    fn turn_stamped(&mut self, stamped: Stamped<S>) -> Event<S> {
        if matches!(stamped.work, Work::Call(_) | Work::Cast(_)) {
            self.inner().idle = Idle::Off;
        }
        self.turn(stamped.work)
    }

    /// Waits for what a suspended server takes; all else stays queued.
    pub(crate) fn poll_urgent(&mut self, cx: &mut Context<'_>, cursor: &mut usize) -> Poll<()> {
        self.between_handlers();
        let parent = self.parent();
        let polled = self.inner().mailbox.poll_urgent(cx, cursor, |work| is_urgent(work, parent));
        self.note_queue();
        polled
    }

    /// What [`poll_urgent`](Self::poll_urgent) has found.
    pub(crate) fn take_urgent(&mut self, cursor: usize) -> Event<S> {
        let parent = self.parent();
        match self.inner().mailbox.take_at(cursor) {
            Work::Stamped(stamped) => event(stamped.work, parent),
            work => event(work, parent),
        }
    }

    /// From here on everything is taken again.
    pub(crate) fn read_on(&mut self) {
        self.inner().mailbox.read_on();
    }

    /// The clock of the idle time-out stands still until the server waits again.
    pub(crate) fn hold_idle(&mut self) {
        self.inner().idle.hold();
    }

    fn between_handlers(&mut self) {
        unanswered::resolve(Arc::as_ptr(&self.process).addr());
        let flags = self.process.flags().load(Ordering::Acquire);
        if flags & (flag::UNANSWERED | flag::CHECK_SWITCHES) != 0 {
            self.attend(flags);
        }
    }

    #[inline(never)]
    fn attend(&mut self, flags: u8) {
        if flags & flag::UNANSWERED != 0 {
            resolve_handed_over(&*self.process);
        }
        if flags & flag::CHECK_SWITCHES != 0 {
            self.rest();
        }
    }
}

/// The parent's exit ends the server before any handler sees it.
fn event<S: GenServer>(work: Work<S>, parent: Option<Pid>) -> Event<S> {
    match work {
        Work::Call(call) => Event::Call(call),
        Work::Cast(cast) => Event::Cast(cast),
        Work::Own(cast) => Event::Cast(*cast),
        Work::Stop(reason) => Event::Stop(reason),
        Work::System(request) => Event::System(request),
        // Both are looked into before.
        Work::Tick(_) | Work::Stamped(_) => Event::Stale,
        Work::Envelope(envelope) => match *envelope {
            Envelope { received: Received::Exit { from, reason }, .. } if Some(from) == parent => {
                Event::Stop(reason)
            }
            envelope => Event::Info(envelope.received),
        },
    }
}

/// What a suspended server takes: system messages, the request to stop, its parent's exit.
fn is_urgent<S: GenServer>(work: &Work<S>, parent: Option<Pid>) -> bool {
    match work {
        Work::Stop(_) | Work::System(_) => true,
        Work::Envelope(envelope) => {
            matches!(&envelope.received, Received::Exit { from, .. } if Some(*from) == parent)
        }
        Work::Stamped(stamped) => is_urgent(&stamped.work, parent),
        Work::Call(_) | Work::Cast(_) | Work::Own(_) | Work::Tick(_) => false,
    }
}
