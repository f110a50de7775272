//! The restart state of one child, with pure transitions.
//!
//! **Guarantee.** Fixed and dynamic supervisors decide restarts by the same rules. The transitions
//! are pure: the current time and the source of random numbers are arguments.
//!
//! The supervisor takes two steps after the end of a child that is to be started again, and after a
//! failed restart: [`RestartState::record_failure`] records the incarnation, then
//! [`RestartState::decide_next`] decides what follows.
//!
//! | the child has | the decision | limited by |
//! |---|---|---|
//! | no backoff | a restart [at once](Next::AtOnce) | the window, as in OTP |
//! | a backoff | a restart [after a delay](Next::After) | the time without a healthy run |
//! | a backoff, and no healthy run for too long | [give up](Next::GiveUp) | |
//! | a backoff, and a supervisor that allows no restart | a restart at once, which the window refuses | the window |
//!
//! The clock that measures the time without a healthy run has two states:
//!
//! ```text
//!             record_failure: goes on, or after a healthy run begins anew
//!   stopped -------------------------------------------------------------> running
//!           <-------------------------------------------------------------
//!             pause_clock, record_stop: keeps the time, or clears it after a healthy run
//! ```
//!
//! **Invariants**
//! 1. A delayed restart never counts against the window. In an outage every child fails as often as
//!    its delays allow, so a count of failures would measure the number of children and not the
//!    outage.
//! 2. The clock counts from one of two times: the start of the first incarnation that fails by
//!    itself and is not healthy, or the end of a healthy incarnation that ends by itself. The clock
//!    is stopped while the child is stopped with its group. Only these clear the clock: a healthy
//!    run, a start by hand, and the end or stop of the child for good. So the supervisor gives up a
//!    child that never recovers, for every length of its delays. It does not give up a child that
//!    only waited for another child of its group.
//! 3. An incarnation that its supervisor stopped leads to no decision. Only an incarnation that
//!    ended by itself, or a start that failed, leads to one.

use std::time::Duration;

use tokio::time::Instant;

use crate::restart::{Backoff, Exceeded, Intensity};

/// The failures of a child since its last healthy run: the number of its delayed restarts, and the
/// clock of invariant 2.
#[derive(Debug, Clone, Default)]
pub(crate) struct RestartState {
    /// The number of delayed restarts since the last healthy run.
    tries: u32,
    /// The delay before the start of the running incarnation. While the child waits for its
    /// restart, the delay before that restart.
    delay: Duration,
    /// The time from which the clock counts. Each pause moves it later by the length of the pause.
    /// `None` while the clock is stopped.
    unhealthy_since: Option<Instant>,
    /// The time that the clock had measured when it was stopped.
    paused_after: Duration,
}

/// One incarnation that has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) started: Instant,
    pub(crate) ended: Instant,
    /// False if the start of the incarnation failed.
    pub(crate) ran: bool,
}

impl Run {
    fn is_healthy(self, backoff: Backoff) -> bool {
        self.ran && backoff.is_healthy(self.ended.duration_since(self.started))
    }
}

/// The settings that a decision depends on: the backoff of the child, if it has one, and the budget
/// that its restarts count against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) backoff: Option<Backoff>,
    pub(crate) intensity: Intensity,
}

/// The decision after an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Restart at once. The restart counts against the window when it is attempted.
    AtOnce,
    /// Restart after this delay. The restart does not count against the window (invariant 1).
    After(Duration),
    /// Do not restart: the supervisor gives up, or gives up only this child.
    GiveUp(Exceeded),
}

impl RestartState {
    /// Records an incarnation that ended by itself, or whose start failed.
    pub(crate) fn record_failure(&mut self, backoff: Option<Backoff>, run: Run) {
        self.delay = Duration::ZERO;
        let Some(backoff) = backoff else { return };
        if run.is_healthy(backoff) {
            *self = RestartState { unhealthy_since: Some(run.ended), ..RestartState::default() };
        } else if self.unhealthy_since.is_none() {
            let paused_after = std::mem::take(&mut self.paused_after);
            self.unhealthy_since =
                Some(run.started.checked_sub(paused_after).unwrap_or(run.started));
        }
    }

    /// Records an incarnation that its supervisor stopped because the group of the child restarts.
    pub(crate) fn record_stop(&mut self, backoff: Option<Backoff>, run: Run) {
        self.delay = Duration::ZERO;
        if backoff.is_some_and(|backoff| run.is_healthy(backoff)) {
            *self = RestartState::default();
        } else {
            self.pause_clock(run.ended);
        }
    }

    /// Stops the clock, because from now on the child waits for another child of its group.
    pub(crate) fn pause_clock(&mut self, now: Instant) {
        if let Some(since) = self.unhealthy_since.take() {
            self.paused_after = now.duration_since(since);
        }
    }

    /// Decides, at `now`, the step after an incarnation that ended by itself or a start that
    /// failed. A delayed restart is counted as a try. `random` draws a number from 0 to 1, and is
    /// called only for a delay.
    pub(crate) fn decide_next(
        &mut self,
        rules: Rules,
        now: Instant,
        random: impl FnOnce() -> f64,
    ) -> Next {
        let Some(backoff) = rules.backoff.filter(|backoff| backoff.has_delay()) else {
            return Next::AtOnce;
        };
        if rules.intensity.forbids_restarts() {
            return Next::AtOnce;
        }
        if let Some(limit) = backoff.give_up_limit(rules.intensity == Intensity::Unlimited)
            && self.unhealthy_since.is_some_and(|since| now.duration_since(since) >= limit)
        {
            return Next::GiveUp(Exceeded::NoHealthyRun { tries: self.tries, within: limit });
        }
        self.delay = backoff.delay(self.tries, random());
        self.tries = self.tries.saturating_add(1);
        Next::After(self.delay)
    }

    /// Returns the delay before the start of the running incarnation. While the child waits for its
    /// restart, returns the delay before that restart.
    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }
}

#[cfg(test)]
mod tests;
