//! The idle time-out of a server.
//!
//! **States.** A time-out is off, set, or running. A set time-out begins to run when the server
//! begins to wait.
//!
//! ```text
//! off ──a handler sets it──▶ set ──the server waits──▶ running ──its time comes──▶ off
//!  ▲                          ▲                           │
//!  │ one-shot                 │ re-arming                 │ an item with a handler is taken
//!  └────────at the next wait──┴─────────── interrupted ◀──┘
//! ```
//!
//! **Invariants**
//! 1. An item that is taken only marks the time-out as interrupted. The mark takes effect when the
//!    server waits next. So the item's handler can still keep the time-out, with the time at which
//!    it elapses unchanged; the default handlers do, because an item that no handler expects is no
//!    activity.
//! 2. The timer never expires later than the time-out. If the timer expires earlier, it is set
//!    again. So a time-out that each message arms again moves no timer for each message.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::base::poll_budget;
use crate::time::timer_queue::after;

/// How long a server waits for its next message before `handle_timeout` runs. `None` until a
/// handler sets a time-out.
#[derive(Default)]
pub(crate) struct IdleTimeout(Option<Box<Idle>>);

#[derive(Default)]
struct Idle {
    clock: Clock,
    /// The limit that each message sets again.
    rearm: Option<Duration>,
    /// Invariant 1.
    interrupted: bool,
    /// Invariant 2.
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Default)]
enum Clock {
    #[default]
    Off,
    /// The time counts from the moment at which the server begins to wait.
    Set(Duration),
    /// The server waits, or has taken an item.
    Running { due: Instant },
}

impl IdleTimeout {
    /// Whether no handler has set a time-out, or the time-out has ended.
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Sets the limit for the next wait, and whether each message sets it again.
    pub(crate) fn set(&mut self, limit: Duration, rearms: bool) {
        let idle = self.0.get_or_insert_default();
        (idle.clock, idle.rearm) = (Clock::Set(limit), rearms.then_some(limit));
        idle.interrupted = false;
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Notes that an item was taken for which a handler runs.
    #[inline]
    pub(crate) fn interrupt(&mut self) {
        if let Some(idle) = &mut self.0 {
            idle.interrupted = true;
        }
    }

    /// Takes [`interrupt`](Self::interrupt) back.
    pub(crate) fn keep(&mut self) {
        if let Some(idle) = &mut self.0 {
            idle.interrupted = false;
        }
    }

    /// Applies an interruption, before the server waits. Returns whether a time-out is set.
    #[inline]
    pub(crate) fn is_armed_before_wait(&mut self) -> bool {
        match &mut self.0 {
            None => false,
            Some(idle) => {
                let is_armed = idle.apply_interruption();
                if !is_armed && idle.rearm.is_none() {
                    self.0 = None;
                }
                is_armed
            }
        }
    }

    /// Returns the time that is left, if a time-out is set.
    pub(crate) fn limit(&mut self) -> Option<Duration> {
        let idle = self.0.as_mut()?;
        idle.apply_interruption();
        match &idle.clock {
            Clock::Off => None,
            Clock::Set(limit) => Some(*limit),
            Clock::Running { due } => Some(due.saturating_duration_since(Instant::now())),
        }
    }

    /// Stops the clock. The server's next wait starts it again.
    pub(crate) fn pause(&mut self) {
        if let Some(left) = self.limit()
            && let Some(idle) = &mut self.0
        {
            (idle.clock, idle.timer) = (Clock::Set(left), None);
        }
    }

    /// Returns `Ready` once, when the time has elapsed. The server polls this only after a poll of
    /// the mailbox that has found no item.
    pub(crate) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(idle) => idle.poll_elapsed(cx),
            None => Poll::Pending,
        }
    }
}

impl Idle {
    fn apply_interruption(&mut self) -> bool {
        if std::mem::take(&mut self.interrupted) {
            self.clock = self.rearm.map_or(Clock::Off, Clock::Set);
        }
        !matches!(self.clock, Clock::Off)
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.clock {
            Clock::Off => return Poll::Pending,
            // Without budget the mailbox was not checked, and a queued message takes precedence
            // over a zero time-out. So the time-out needs budget as well.
            Clock::Set(Duration::ZERO) => ready!(poll_budget(cx)),
            Clock::Set(limit) => {
                let due = after(Instant::now(), limit);
                self.clock = Clock::Running { due };
                ready!(self.poll_timer(cx, due));
            }
            Clock::Running { due } => ready!(self.poll_timer(cx, due)),
        }
        (self.clock, self.timer) = (Clock::Off, None);
        Poll::Ready(())
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        // Invariant 2.
        self.timer.take_if(|timer| timer.deadline() > due);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        ready!(timer.as_mut().poll(cx));
        if timer.deadline() < due {
            timer.as_mut().reset(due);
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}
