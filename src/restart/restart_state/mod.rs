//! The restart state of one child, with pure transitions: what an end leads to.
//!
//! Fixed and dynamic supervisors decide with the same state. Nothing in here waits, starts or
//! stops anything; the time and the random number are arguments.
//!
//! Each end of a child that is to be started again goes through two steps: the incarnation is
//! [recorded](RestartState::record_failure), then the [next step](RestartState::decide_next) is taken.
//!
//! | the child has | the next step | what bounds it |
//! |---|---|---|
//! | no backoff | a restart [at once](Next::AtOnce) | the window of its supervisor, as in OTP |
//! | a backoff | a restart [after a delay](Next::After) | the time without a healthy run |
//! | a backoff, and had no healthy run for too long | [given up](Next::GiveUp) | |
//! | a backoff, under a supervisor that allows no restart | a restart at once, which the window refuses | the window |
//!
//! Invariants:
//! 1. A delayed restart never counts against the window: an outage makes every child fail as
//!    often as its delays allow, so a count of failures says how many children there are and not
//!    how bad it is.
//! 2. The clock of a child without a healthy run begins with the first incarnation that failed by
//!    itself and was not healthy, or with the own end of a healthy one. It stands still while the
//!    child is stopped with its group, and only a healthy run, an end for good or a start by hand
//!    sets it back. So a child that never recovers is given up, however long its delays are, and
//!    one that was only kept waiting is not.
//! 3. An incarnation that its supervisor stopped decides nothing: only an own end, or a start that
//!    failed, asks for the next step.

use std::time::Duration;

use tokio::time::Instant;

use crate::restart::backoff::Backoff;
use crate::restart::window::{Exceeded, Intensity};

/// What is remembered of a child's restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct RestartState {
    /// Delayed restarts since the last healthy run.
    tries: u32,
    /// How long the incarnation that runs, or the next, waited before its start.
    delay: Duration,
    /// Since when there was no healthy run, while the clock runs.
    unhealthy_since: Option<Instant>,
    /// What the clock had paused_after when it was stopped.
    paused_after: Duration,
}

/// One incarnation that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) started: Instant,
    pub(crate) ended: Instant,
    /// False if its start failed.
    pub(crate) ran: bool,
}

impl Run {
    fn is_healthy(self, backoff: Backoff) -> bool {
        self.ran && backoff.is_healthy(self.ended.duration_since(self.started))
    }
}

/// What holds for a child: its backoff, if it has one, and the budget of its supervisor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) backoff: Option<Backoff>,
    pub(crate) intensity: Intensity,
}

/// What an end leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A restart that counts against the window when it is attempted.
    AtOnce,
    /// A restart after this time, which counts against nothing.
    After(Duration),
    GiveUp(Exceeded),
}

impl RestartState {
    /// Records an incarnation that ended by itself, or did not start.
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

    /// Records an incarnation that its supervisor stopped, to start it again with its group.
    pub(crate) fn record_stop(&mut self, backoff: Option<Backoff>, run: Run) {
        self.delay = Duration::ZERO;
        if backoff.is_some_and(|backoff| run.is_healthy(backoff)) {
            *self = RestartState::default();
        } else {
            self.pause_clock(run.ended);
        }
    }

    /// The child is not tried from now on: it waits for another of its group.
    pub(crate) fn pause_clock(&mut self, now: Instant) {
        if let Some(since) = self.unhealthy_since.take() {
            self.paused_after = now.duration_since(since);
        }
    }

    /// Decides what follows an own end, or a start that failed, at `now`. `random` gives a number
    /// from 0 to 1, and is asked for a delay only.
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

    /// How long the incarnation that runs, or the next, waited before its start.
    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }
}

#[cfg(test)]
mod tests;
