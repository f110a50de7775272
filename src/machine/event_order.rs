//! Which event a machine handles next, and the steps between two events.
//!
//! **Guarantees.** The order is that of OTP's `gen_statem`: events that a handler inserts come first,
//! then postponed events after a change of state, then other queued events, then time-outs of zero,
//! then the mailbox.
//!
//! **Steps**, after the handler of an event has returned `Ok`, and after `state_enter`, if it ran:
//! 1. The event is kept, if it was postponed.
//! 2. After a change of state, the postponed events are queued before all others, and the state
//!    time-out of the old state is cancelled.
//! 3. Inserted events are queued before all others.
//! 4. The time-outs are set and cancelled, in the order of the requests.
//! 5. The first event, if there is one, is given to the loop of the server, which handles it next. A
//!    postponed call whose caller is known to have given up is dropped in its turn. After some hundred
//!    such drops the loop gets an own event without content, a pause, and the step is repeated.
//!
//! A machine that [goes on](crate::FailurePolicy::Resume) after a failed callback first forgets what the
//! callbacks of the failed event have requested, and then runs the steps. So a change whose
//! `state_enter` has failed is finished, and the events that are queued are handled.
//!
//! **Invariants**
//! 1. At most one event of the machine is in the loop's queue. So the events that a handler inserts
//!    can be put before all other events.
//! 2. An event cancels the event time-out before its handler runs.
//! 3. `is_changing` is set from before `state_enter` until step 4 is done. So a failure in between
//!    does not lose the change of state.
//! 4. The loop begins with the event that it was given before it begins with any other event. Until
//!    then the event counts as one that waits in the machine.
//!
//! **The other side ends** between two steps. The steps run within one poll, and no code of another
//! process runs in between. So a caller that has stopped waiting only leaves a reply without a
//! receiver, or a call that [the queue](EventQueue) drops. A kill takes effect at the next await, which is
//! in a handler or between two events.

use std::sync::Arc;

use crate::machine::changes::Changes;
use crate::machine::event::Queued;
use crate::machine::event_queue::EventQueue;
use crate::machine::requested::Requested;
use crate::machine::timeouts::{Kind, Timeouts};
use crate::machine::{Event, Machine, StateMachine};
use crate::message::{Envelope, MessageKind, Metadata};
use crate::observe::StateRecord;
use crate::process::AnyProcess;
use crate::server::item::LimitedCall;
use crate::server::{Continued, ServerContext, ServerItem};

/// The number of its own events that a machine handles in a row before it answers a waiting system
/// message. So a request that follows an event sees the effects of the events that this event has
/// inserted, if they are few.
const PATIENCE: u32 = 32;

pub(super) struct Engine<M: StateMachine> {
    pub(super) requested: Requested<M>,
    queue: EventQueue<M>,
    timeouts: Timeouts<M::Payload>,
    /// The event that the loop hands back next, if it is no message.
    next: Option<Event<M>>,
    /// How many events in a row were the machine's own.
    in_a_row: u32,
    /// Whether the event that comes next is one of the machine's own. Invariant 4.
    is_own: bool,
    /// The kind and the type of the event that comes next, if it was a message.
    handed_over: Option<(MessageKind, &'static str)>,
    /// Invariant 3.
    is_changing: bool,
    /// The number of time-outs that `init` has requested. `Some` only during the entry of the first
    /// state.
    of_init: Option<usize>,
    pub(super) changes: Changes,
    /// Whether the own event that comes next is a pause in the drop of postponed calls.
    is_pause: bool,
}

impl<M: StateMachine> Engine<M> {
    pub(super) fn new(ctx: &ServerContext<Machine<M>>) -> Self {
        Engine {
            requested: Requested::none(),
            queue: EventQueue::new(ctx.process.clone()),
            timeouts: Timeouts::new(),
            next: None,
            in_a_row: 0,
            is_own: false,
            handed_over: None,
            is_changing: false,
            of_init: None,
            changes: Changes::default(),
            is_pause: false,
        }
    }

    /// Publishes the first state, and lets the loop begin with its entry.
    pub(super) fn begin(&mut self, state: &'static str, ctx: &mut ServerContext<Machine<M>>) {
        let record = Arc::new(StateRecord::new(state));
        let process: &dyn AnyProcess = &*ctx.process;
        process.with(|locked| {
            locked.core().registrations_mut().state_record = Some(record.clone());
        });
        self.changes.begin(record, state);
        self.absorb(ctx);
        ctx.set_next_event((ServerItem::Own, Metadata::default()), false);
    }

    pub(super) fn postponed(&self) -> usize {
        self.queue.postponed()
    }

    /// Whether one more event can be postponed.
    pub(super) fn has_room(&mut self) -> bool {
        let before = self.queue.postponed();
        let has_room = self.queue.has_room(self.requested.postponed.len());
        self.show_postponed(before);
        has_room
    }

    /// Publishes the number of postponed events, if it has changed.
    fn show_postponed(&self, before: usize) {
        let postponed = self.queue.postponed();
        if postponed != before {
            self.changes.set_postponed(postponed);
        }
    }

    /// Invariant 2.
    #[inline]
    pub(super) fn begin_event(&mut self, ctx: &mut ServerContext<Machine<M>>) {
        if !std::mem::take(&mut self.is_own) {
            self.in_a_row = 0;
        }
        if !self.timeouts.is_empty() {
            self.timeouts.cancel(&Kind::Event, ctx);
        }
    }

    /// Notes that the state has changed, before its entry runs. Invariant 3.
    #[inline]
    pub(super) fn begin_change(&mut self) {
        self.is_changing = true;
    }

    /// Notes that the entry of the first state begins. If it fails, the requests of `init` stay.
    pub(super) fn begin_first_entry(&mut self) {
        self.of_init = Some(self.requested.timeouts.len());
    }

    /// Takes the event that the loop hands back: that of the timer with this number, or the next one of
    /// the queue.
    pub(super) fn take_own(&mut self, timer: Option<u64>) -> Option<Event<M>> {
        match timer {
            Some(number) => self.timeouts.expire(number),
            None => self.next.take(),
        }
    }

    /// Runs all steps. Most events request nothing.
    #[inline]
    pub(super) fn settle(&mut self, ctx: &mut ServerContext<Machine<M>>) {
        let is_quiet = self.requested.is_empty()
            && !self.queue.has_next()
            && (!self.is_changing || self.queue.postponed() == 0)
            && self.timeouts.is_empty()
            && !ctx.has_continues();
        if !is_quiet {
            self.run_steps(ctx);
        }
        (self.is_changing, self.of_init) = (false, None);
    }

    /// Continues after a failed callback: see the steps.
    pub(super) fn go_on(&mut self, ctx: &mut ServerContext<Machine<M>>) {
        let (kernel, pid) = (ctx.process.kernel.clone(), ctx.pid());
        match self.of_init.take() {
            Some(count) => {
                let failed = self.requested.timeouts.split_off(count);
                kernel.catch_destructor(pid, || drop(failed));
            }
            None => {
                let failed = std::mem::replace(&mut self.requested, Requested::none());
                kernel.catch_destructor(pid, || drop(failed));
            }
        }
        if self.is_changing {
            // The time-out is cancelled here, where panics are caught, because its payload is a
            // value of the user: a panic of the destructor must not prevent the other steps.
            kernel.catch_destructor(pid, || self.timeouts.cancel(&Kind::State, ctx));
        }
        self.settle(ctx);
    }

    #[inline(never)]
    fn run_steps(&mut self, ctx: &mut ServerContext<Machine<M>>) {
        let before = self.queue.postponed();
        for event in self.requested.postponed.drain(..) {
            self.queue.postpone(event);
        }
        if self.is_changing {
            self.queue.replay();
            self.timeouts.cancel(&Kind::State, ctx);
        }
        let is_handed_over = self.absorb(ctx);
        self.queue.insert(&mut self.requested.events);
        for request in self.requested.timeouts.drain(..) {
            self.timeouts.apply(request, ctx);
        }
        self.show_postponed(before);
        if !is_handed_over && (self.queue.has_next() || self.timeouts.has_due()) {
            self.hand_over(ctx);
        }
    }

    /// Moves the casts that were given to `continue_with` to the inserted events. Invariant 1.
    /// Returns whether the loop already has an event. The loop has one if a test calls a handler
    /// before the loop's event, or if a request that precedes the event fails. This event then
    /// stays the next one.
    fn absorb(&mut self, ctx: &mut ServerContext<Machine<M>>) -> bool {
        let Some(mut continues) = ctx.take_continues() else { return false };
        let mut handed_over = None;
        while let Some(continued) = continues.pop() {
            match continued {
                Continued::Cast(cast, metadata) => {
                    let event = Queued::new(Event::Cast(cast), metadata);
                    self.requested.events.push(event);
                }
                event @ Continued::Event { .. } => handed_over = Some(event),
            }
        }
        let Some(event) = handed_over else {
            ctx.put_continues(continues);
            return false;
        };
        continues.push(event);
        ctx.put_continues(continues);
        true
    }

    /// Step 5. A message is handed over as it was queued in the mailbox, so that it is tracked as one.
    fn hand_over(&mut self, ctx: &mut ServerContext<Machine<M>>) {
        let mut queued = self.queue.pop();
        if queued.is_none() && self.queue.has_next() {
            (self.is_pause, self.handed_over) = (true, None);
            return self.set_next((ServerItem::Own, Metadata::default()), ctx);
        }
        queued = queued.or_else(|| self.timeouts.take_due());
        let Some(Queued { event, metadata, limit, .. }) = queued else { return };
        self.handed_over = event.description();
        let item = match (event, limit) {
            (Event::Call(call), None) => ServerItem::Call(call),
            (Event::Call(call), Some(limit)) => {
                ServerItem::Limited(Box::new(LimitedCall { call, limit }))
            }
            (Event::Cast(cast), _) => ServerItem::Cast(cast),
            (Event::Info(info), _) => ServerItem::Envelope(Box::new(Envelope::plain(info))),
            (own, _) => {
                self.next = Some(own);
                ServerItem::Own
            }
        };
        self.set_next((item, metadata), ctx);
    }

    fn set_next(
        &mut self,
        next: (ServerItem<Machine<M>>, Metadata),
        ctx: &mut ServerContext<Machine<M>>,
    ) {
        self.is_own = true;
        self.in_a_row = self.in_a_row.saturating_add(1);
        ctx.set_next_event(next, self.in_a_row > PATIENCE);
    }

    /// Returns whether the own event that the loop hands back is a pause.
    pub(super) fn take_pause(&mut self) -> bool {
        let is_pause = std::mem::take(&mut self.is_pause);
        self.is_own &= !is_pause;
        is_pause
    }
}

/// Two kinds of events are left unhandled together with the events of the queue: the event that the
/// loop has not begun, and the events that the last handler has postponed, if this handler has
/// failed or was dropped at an await.
impl<M: StateMachine> Drop for Engine<M> {
    fn drop(&mut self) {
        for event in self.requested.postponed.drain(..) {
            self.queue.postpone(event);
        }
        if self.is_own {
            self.queue.leave(self.handed_over.take());
        }
    }
}
