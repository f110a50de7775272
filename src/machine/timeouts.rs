//! The time-outs of a machine.
//!
//! **Invariants**
//! 1. A kind of time-out has at most one entry in `set`. Setting it again replaces the entry.
//! 2. A time-out of zero has no timer. Its kind is in `due`, and its event comes after all queued
//!    events and before the mailbox.
//! 3. A time-out whose entry was removed has no timer, no number in `numbers`, and is not in `due`.
//!    So an expiry that is queued already, and comes later, finds nothing.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::SharedStr;
use crate::base::small_map::SmallMap;
use crate::machine::event::Queued;
use crate::machine::{Event, Machine, StateMachine};
use crate::message::Metadata;
use crate::server::ServerContext;
use crate::time::timer_queue::TimerKey;

/// Which time-out it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    State,
    Event,
    Named(SharedStr),
}

/// When a time-out fires.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    After(Duration),
    At(Instant),
}

/// What a callback has requested. It is done after the callback has returned.
pub(super) enum Action<P> {
    Set(When, P, Metadata),
    Cancel,
    Update(P, Metadata),
}

pub(super) struct Timeouts<P> {
    set: SmallMap<Kind, Timeout<P>>,
    /// The kinds by the numbers of their timers.
    numbers: SmallMap<u64, Kind>,
    /// The time-outs of zero.
    due: VecDeque<Kind>,
}

struct Timeout<P> {
    payload: P,
    clock: Clock,
}

enum Clock {
    Timer(TimerKey),
    Due(Metadata),
}

impl<P: Send + 'static> Timeouts<P> {
    pub(super) fn new() -> Self {
        Timeouts { set: SmallMap::default(), numbers: SmallMap::default(), due: VecDeque::new() }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Does what a callback has requested.
    pub(super) fn apply<M: StateMachine<Payload = P>>(
        &mut self,
        (kind, action): (Kind, Action<P>),
        ctx: &mut ServerContext<Machine<M>>,
    ) {
        match action {
            Action::Cancel => self.cancel(&kind, ctx),
            Action::Set(When::After(Duration::ZERO), payload, metadata) => {
                self.cancel(&kind, ctx);
                self.set_due(kind, payload, metadata);
            }
            Action::Set(when, payload, metadata) => {
                self.cancel(&kind, ctx);
                let key = ctx.arm_own_timer(when.delay(), metadata);
                self.numbers.insert(key.id, kind.clone());
                self.set.insert(kind, Timeout { payload, clock: Clock::Timer(key) });
            }
            Action::Update(payload, metadata) => match self.set.get_mut(&kind) {
                Some(timeout) => timeout.payload = payload,
                None => self.set_due(kind, payload, metadata),
            },
        }
    }

    fn set_due(&mut self, kind: Kind, payload: P, metadata: Metadata) {
        self.due.push_back(kind.clone());
        self.set.insert(kind, Timeout { payload, clock: Clock::Due(metadata) });
    }

    /// Removes a time-out, if it is set.
    pub(super) fn cancel<M: StateMachine<Payload = P>>(
        &mut self,
        kind: &Kind,
        ctx: &mut ServerContext<Machine<M>>,
    ) {
        if self.set.is_empty() {
            return;
        }
        match self.set.remove(kind).map(|timeout| timeout.clock) {
            None => {}
            Some(Clock::Due(_)) => self.due.retain(|due| due != kind),
            Some(Clock::Timer(key)) => {
                self.numbers.remove(&key.id);
                ctx.disarm_own_timer(key);
            }
        }
    }

    /// Takes the event of the timer with this number.
    pub(super) fn expire<M: StateMachine<Payload = P>>(&mut self, number: u64) -> Option<Event<M>> {
        let kind = self.numbers.remove(&number)?;
        let timeout = self.set.remove(&kind)?;
        Some(kind.event(timeout.payload))
    }

    /// Takes the event of the first time-out of zero.
    pub(super) fn take_due<M: StateMachine<Payload = P>>(&mut self) -> Option<Queued<M>> {
        let kind = self.due.pop_front()?;
        let Timeout { payload, clock } = self.set.remove(&kind)?;
        let metadata = match clock {
            Clock::Due(metadata) => metadata,
            Clock::Timer(_) => Metadata::default(),
        };
        Some(Queued::new(kind.event(payload), metadata))
    }
}

impl Kind {
    fn event<M: StateMachine>(self, payload: M::Payload) -> Event<M> {
        match self {
            Kind::State => Event::StateTimeout(payload),
            Kind::Event => Event::EventTimeout(payload),
            Kind::Named(name) => Event::Timeout(name, payload),
        }
    }
}

impl When {
    fn delay(self) -> Duration {
        match self {
            When::After(delay) => delay,
            When::At(at) => at.saturating_duration_since(Instant::now()),
        }
    }
}
