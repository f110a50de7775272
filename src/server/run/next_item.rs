//! The wait of a server for its next item, and the choice of the callback that handles the item.
//!
//! **Guarantee.** The server does the first of these that applies: stop, if its drain is over;
//! nothing, if its exit is pending; answer a system message that is first in the mailbox, if an event
//! of a state machine that yields comes next; handle that event, or a cast that was given to `continue_with`;
//! handle the first item of the mailbox; run `handle_timeout`, if the idle time-out has elapsed.
//!
//! **Steps**
//! 1. [`poll_some`](ServerContext::poll_some) waits until there is something to do.
//! 2. [`next_item`](ServerContext::next_item) takes the item. The loop passes a plain call or cast
//!    directly to its handler.
//! 3. [`dispatch`](ServerContext::dispatch) turns any other item into a [`Dispatch`].
//!
//! **Invariants**
//! 1. A plain call or cast is moved once. So waiting and taking are two steps: an item inside a
//!    `Poll` would be copied at each level of nested polls. A plain call or cast also skips step 3,
//!    because wrapping the item in another enum costs more than all other work on it.
//! 2. Replies that a handler dropped unsent are resolved before the server waits again.
//! 3. Each item interrupts the [idle time-out](crate::server::context::idle): a one-shot time-out is
//!    cancelled, and one that re-arms begins anew, unless the item's handler keeps or sets the
//!    time-out. The exceptions are system messages, expiries of cancelled timers, calls that were
//!    taken back, casts that were given to `continue_with`, and the events of a state machine itself:
//!    those that it has queued, also if they were messages before, and the expiries of its own time-outs.
//!    They do not change the time-out.
//! 4. The exit of the parent ends the server before any handler receives it.

use std::task::{Context, Poll};

use crate::base::Pid;
use crate::message::{Envelope, Metadata, Received};
use crate::observe::Callback;
use crate::server::context::continues::Continued;
use crate::server::item::{Carried, KeptCall, LimitedCall};
use crate::server::run::drain::drain_reason;
use crate::server::{Dispatch, GenServer, ServerContext, ServerItem, WaitOutcome};

impl<S: GenServer> ServerContext<S> {
    /// Takes the item that [`poll_some`](Self::poll_some) has found, step 2. Returns `None` if the
    /// idle time-out has elapsed instead.
    #[inline]
    pub(crate) fn next_item(&mut self, waited: WaitOutcome) -> Option<ServerItem<S>> {
        let inner = self.inner();
        if waited == WaitOutcome::Found && inner.is_plain() {
            return Some(inner.mailbox.take());
        }
        self.next_noted_item(waited)
    }

    /// Does the same as [`next_item`](Self::next_item), for a server that has an idle time-out, is
    /// watched, or handles something that is not in its mailbox.
    #[inline(never)]
    fn next_noted_item(&mut self, waited: WaitOutcome) -> Option<ServerItem<S>> {
        let is_watched = self.inner().is_watched();
        let continued = match waited {
            WaitOutcome::Found => self.inner().next_continue(),
            _ => None,
        };
        if is_watched {
            let is_in_mailbox = continued.is_none();
            self.observed().note_queued_at(is_in_mailbox);
        }
        match waited {
            WaitOutcome::Found | WaitOutcome::System => {}
            WaitOutcome::IdleTimeout => return None,
            WaitOutcome::DrainOver => {
                return Some(ServerItem::Stop(drain_reason(&*self.process)));
            }
        }
        match continued {
            Some(Continued::Cast(cast, metadata)) => {
                return Some(self.continued_item(cast, metadata));
            }
            Some(Continued::Event { item, .. }) => return Some(self.event_item(item)),
            None => {}
        }
        let inner = self.inner();
        let callback = match inner.mailbox.first() {
            ServerItem::Call(_) => Some(Callback::HandleCall),
            ServerItem::Cast(_) => Some(Callback::HandleCast),
            _ => None,
        };
        if let Some(callback) = callback {
            inner.interrupt_idle_timeout();
            if is_watched {
                let (mut observed, mailbox) = self.observed_beside();
                observed.note_item_begins(Some(callback), mailbox.first().traced());
            }
        }
        Some(self.inner().mailbox.take())
    }

    /// Returns the item of an event. A plain call or cast is noted here, since the loop does not
    /// dispatch it. Any other is marked for [`dispatch`](Self::dispatch).
    fn event_item(&mut self, item: ServerItem<S>) -> ServerItem<S> {
        let callback = match &item {
            ServerItem::Call(_) => Callback::HandleCall,
            ServerItem::Cast(_) => Callback::HandleCast,
            _ => {
                self.inner().extras().is_own_event = true;
                return item;
            }
        };
        if self.inner().is_watched() {
            self.observed().note_item_begins(Some(callback), item.traced());
        }
        item
    }

    /// Returns the item for a cast that was given to `continue_with`.
    fn continued_item(&mut self, cast: S::Cast, metadata: Metadata) -> ServerItem<S> {
        let item = ServerItem::Cast(cast);
        if self.process.kernel.carries(&metadata) {
            let carried = Carried { metadata, item, is_continued: true };
            return ServerItem::Carried(Box::new(carried));
        }
        if self.inner().is_watched() {
            self.observed().note_item_begins(Some(Callback::HandleCast), item.traced());
        }
        item
    }

    /// Runs steps 2 and 3, for the test kit, which runs the callbacks itself.
    pub(crate) fn next_dispatch(&mut self, waited: WaitOutcome) -> Dispatch<S> {
        match self.next_item(waited) {
            Some(ServerItem::Call(call)) => Dispatch::Call(call),
            Some(ServerItem::Cast(cast)) => Dispatch::Cast(cast),
            other => self.dispatch(other),
        }
    }

    /// Chooses the action for an item that [`next_item`](Self::next_item) has taken and that is no
    /// plain call or cast, step 3.
    pub(crate) fn dispatch(&mut self, item: Option<ServerItem<S>>) -> Dispatch<S> {
        let is_own_event = self.inner().take_is_own_event();
        let (is_timer, is_continued, dispatch) = match item {
            Some(item) => (item.is_timer(), item.is_continued(), self.dispatch_item(item)),
            None => (false, false, Dispatch::Timeout),
        };
        // Invariant 3.
        let keeps = matches!(
            dispatch.plain(),
            Dispatch::System(_) | Dispatch::Stale | Dispatch::Timeout | Dispatch::Own(_)
        );
        if !keeps && !is_continued && !is_own_event {
            self.inner().interrupt_idle_timeout();
        }
        if self.inner().is_watched() {
            self.observed().note_item_begins(dispatch.callback(), dispatch.traced(is_timer));
        }
        dispatch
    }

    fn dispatch_item(&mut self, item: ServerItem<S>) -> Dispatch<S> {
        match item {
            ServerItem::Call(call) => Dispatch::Call(call),
            ServerItem::Limited(limited) => Dispatch::LimitedCall(limited),
            ServerItem::Cast(cast) => Dispatch::Cast(cast),
            // From here on the caller can't take the call back: its handler runs in this poll.
            ServerItem::Returnable(call) => match call.hand_out() {
                None => Dispatch::Stale,
                Some((call, None)) => Dispatch::Call(call),
                Some((call, Some(limit))) => {
                    Dispatch::LimitedCall(Box::new(LimitedCall { call, limit }))
                }
            },
            ServerItem::Exempt(cast) => Dispatch::Cast(*cast),
            ServerItem::Stop(reason) => Dispatch::Stop(reason),
            ServerItem::System(request) => Dispatch::System(request),
            ServerItem::Kept(kept) => {
                let KeptCall { item, origin } = *kept;
                self.inner().extras().origin = Some(origin);
                self.dispatch_item(item)
            }
            ServerItem::Timer(timer) => match self.expire(timer) {
                None => self.expire_own(timer),
                Some((cast, metadata)) if self.process.kernel.carries(&metadata) => {
                    Dispatch::Cast(cast).carrying(metadata)
                }
                Some((cast, _)) => Dispatch::Cast(cast),
            },
            ServerItem::Carried(carried) => {
                let Carried { metadata, item, .. } = *carried;
                self.dispatch_item(item).carrying(metadata)
            }
            ServerItem::Stamped(stamped) => self.dispatch_item(stamped.item),
            ServerItem::Own => Dispatch::Own(None),
            ServerItem::Envelope(envelope) => match &envelope.received {
                // Invariant 4.
                Received::Exit { from, reason } if Some(*from) == self.parent() => {
                    Dispatch::Stop(reason.clone())
                }
                _ => Dispatch::Info(envelope),
            },
        }
    }

    /// Waits for an item that a suspended server takes. All other items stay queued.
    pub(crate) fn poll_suspended(&mut self, cx: &mut Context<'_>, cursor: &mut usize) -> Poll<()> {
        // A suspended server takes the request to stop before everything that is queued.
        let _ = self.finish_handler();
        let parent = self.parent();
        let is_taken = |item: &ServerItem<S>| is_taken_while_suspended(item, parent);
        let polled = self.inner().mailbox.poll_urgent(cx, cursor, is_taken);
        if self.inner().is_watched() {
            self.observed().note_waiting();
        }
        polled
    }

    /// Takes the item that [`poll_suspended`](Self::poll_suspended) has found.
    pub(crate) fn take_suspended(&mut self, cursor: usize) -> Dispatch<S> {
        let item = self.inner().mailbox.take_at(cursor);
        let dispatch = self.dispatch_item(item);
        if self.inner().is_watched() {
            self.observed().note_item_begins(dispatch.callback(), dispatch.traced(false));
        }
        dispatch
    }
}

/// Returns whether a suspended server takes this item: a system message, a request to stop, or the
/// exit of its parent.
fn is_taken_while_suspended<S: GenServer>(item: &ServerItem<S>, parent: Option<Pid>) -> bool {
    match item {
        ServerItem::Stop(_) | ServerItem::System(_) => true,
        ServerItem::Envelope(envelope) => is_exit_of(parent, envelope),
        ServerItem::Stamped(stamped) => is_taken_while_suspended(&stamped.item, parent),
        ServerItem::Carried(_)
        | ServerItem::Call(_)
        | ServerItem::Limited(_)
        | ServerItem::Cast(_)
        | ServerItem::Returnable(_)
        | ServerItem::Kept(_)
        | ServerItem::Exempt(_)
        | ServerItem::Own
        | ServerItem::Timer(_) => false,
    }
}

fn is_exit_of(parent: Option<Pid>, envelope: &Envelope) -> bool {
    matches!(&envelope.received, Received::Exit { from, .. } if Some(*from) == parent)
}
