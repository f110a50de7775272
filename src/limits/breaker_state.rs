//! The state of a circuit breaker, with pure transitions: the time and the random number are
//! arguments.
//!
//! ```text
//!            failures reached the limit             the delay has passed, at the next request
//!   Closed ─────────────────────────────▶ Open ─────────────────────────────────────▶ HalfOpen
//!      ▲                                   ▲                                          │   │
//!      │                                   └────────────── a probe failed ────────────┘   │
//!      └────────────────────────────────── enough probes succeeded ───────────────────────┘
//! ```
//!
//! **Invariants**
//! 1. Each change of the phase begins a new *round*. A result of an earlier round changes nothing: a
//!    request from before the opening cannot close the breaker.
//! 2. At most `probes` probes of a round are unresolved at once, except that one more passes each
//!    time the delay has gone by since the last one passed. So probes that never end do not keep
//!    the breaker half-open for ever.
//! 3. At most `failures` times are remembered.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::breaker_rules::BreakerRules;

/// What a [`CircuitBreaker`](crate::CircuitBreaker) does with the next request.
/// [`CircuitBreaker`](crate::CircuitBreaker) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Requests pass, and failures are counted.
    Closed,
    /// Requests are refused.
    Open,
    /// A few requests pass, as probes, and the others are refused.
    HalfOpen,
}

#[derive(Debug)]
enum Phase {
    Closed { since: Instant, failures: VecDeque<Instant> },
    Open { until: Instant },
    HalfOpen { unresolved: usize, succeeded: usize, next_probe: Instant },
}

#[derive(Debug)]
pub(super) struct Breaker {
    rules: BreakerRules,
    phase: Phase,
    round: u64,
    /// The number of openings without a healthy time between them.
    openings: u32,
    /// The last delay.
    delay: Duration,
}

/// A request that passed, in its round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    round: u64,
}

impl Breaker {
    pub(super) fn new(rules: BreakerRules, now: Instant) -> Self {
        let phase = Phase::Closed { since: now, failures: VecDeque::new() };
        Breaker { rules, phase, round: 0, openings: 0, delay: Duration::ZERO }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed { .. } => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Lets a request pass, or returns after which time another request may pass.
    pub(super) fn ask(&mut self, now: Instant) -> Result<Passed, Duration> {
        if let Phase::Open { until } = self.phase {
            if now < until {
                return Err(until - now);
            }
            self.enter(Phase::HalfOpen { unresolved: 0, succeeded: 0, next_probe: now });
        }
        if let Phase::HalfOpen { unresolved, next_probe, .. } = &mut self.phase {
            if *unresolved >= self.rules.probes && now < *next_probe {
                return Err(*next_probe - now);
            }
            *unresolved += 1;
            *next_probe = later(now, self.delay);
        }
        Ok(Passed { round: self.round })
    }

    /// Notes that a request succeeded.
    pub(super) fn succeeded(&mut self, passed: Passed, now: Instant) {
        if passed.round != self.round {
            return;
        }
        if let Phase::HalfOpen { unresolved, succeeded, .. } = &mut self.phase {
            *unresolved = unresolved.saturating_sub(1);
            *succeeded += 1;
            if *succeeded >= self.rules.probes {
                self.close(now);
            }
        }
    }

    /// Notes that a request failed.
    pub(super) fn failed(&mut self, passed: Passed, now: Instant, random: f64) {
        if passed.round == self.round {
            self.melt(now, random);
        }
    }

    /// Notes that a request ended without a result that counts.
    pub(super) fn abandoned(&mut self, passed: Passed) {
        if passed.round != self.round {
            return;
        }
        if let Phase::HalfOpen { unresolved, .. } = &mut self.phase {
            *unresolved = unresolved.saturating_sub(1);
        }
    }

    /// Notes a failure that belongs to no request.
    pub(super) fn melt(&mut self, now: Instant, random: f64) {
        match &mut self.phase {
            Phase::Closed { since, failures } => {
                let is_old = |at: &Instant| now.duration_since(*at) >= self.rules.within;
                while failures.front().is_some_and(is_old) {
                    failures.pop_front();
                }
                failures.push_back(now);
                if failures.len() >= self.rules.failures {
                    if self.rules.backoff.is_healthy(now.duration_since(*since)) {
                        self.openings = 0;
                    }
                    self.open(now, random);
                }
            }
            Phase::HalfOpen { .. } => self.open(now, random),
            Phase::Open { .. } => {}
        }
    }

    fn open(&mut self, now: Instant, random: f64) {
        self.delay = self.rules.backoff.delay(self.openings, random);
        self.openings = self.openings.saturating_add(1);
        self.enter(Phase::Open { until: later(now, self.delay) });
    }

    pub(super) fn close(&mut self, now: Instant) {
        self.enter(Phase::Closed { since: now, failures: VecDeque::new() });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.round += 1;
    }
}

fn later(now: Instant, delay: Duration) -> Instant {
    // A delay that no instant can express is some thirty years.
    now.checked_add(delay).unwrap_or_else(|| now + Duration::from_secs(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::BreakerState::{Closed, HalfOpen, Open};
    use super::{Breaker, BreakerRules};
    use crate::restart::Backoff;

    fn rules() -> BreakerRules {
        let backoff = Backoff::new().jitter(0.0).reset_after(Duration::from_secs(60));
        BreakerRules::new().failures(2, Duration::from_secs(10)).backoff(backoff)
    }

    #[test]
    fn only_failures_within_the_window_open_the_breaker() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::new(rules(), start);
        breaker.melt(at(0), 1.0);
        breaker.melt(at(10), 1.0);
        assert_eq!(breaker.state(), Closed);
        breaker.melt(at(19), 1.0);
        assert_eq!(breaker.state(), Open);
        assert_eq!(breaker.ask(at(19)), Err(Duration::from_secs(1)));
        assert!(breaker.ask(at(20)).is_ok());
        assert_eq!(breaker.state(), HalfOpen);
    }

    #[test]
    fn each_probe_that_fails_doubles_the_delay_until_the_breaker_was_closed_long_enough() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(rules(), now);
        breaker.melt(now, 1.0);
        breaker.melt(now, 1.0);
        for seconds in [1, 2, 4] {
            assert_eq!(breaker.ask(now), Err(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            let probe = breaker.ask(now).expect("a probe passes");
            breaker.failed(probe, now, 1.0);
        }
        now += Duration::from_secs(8);
        let probe = breaker.ask(now).expect("a probe passes");
        breaker.succeeded(probe, now);
        assert_eq!(breaker.state(), Closed);
        for (closed, delay) in [(59, 16), (60, 1)] {
            now += Duration::from_secs(closed);
            breaker.melt(now, 1.0);
            breaker.melt(now, 1.0);
            assert_eq!(breaker.ask(now), Err(Duration::from_secs(delay)));
            breaker.close(now);
        }
    }

    #[test]
    fn a_result_of_an_earlier_round_changes_nothing() {
        let now = Instant::now();
        let mut breaker = Breaker::new(rules(), now);
        let early = breaker.ask(now).expect("the breaker is closed");
        breaker.melt(now, 1.0);
        breaker.melt(now, 1.0);
        let then = now + Duration::from_secs(1);
        breaker.ask(then).expect("a probe passes");
        breaker.succeeded(early, then);
        breaker.failed(early, then, 1.0);
        breaker.abandoned(early);
        assert_eq!(breaker.state(), HalfOpen);
        assert!(breaker.ask(then).is_err());
    }

    #[test]
    fn probes_that_never_end_let_one_more_pass_after_each_delay() {
        let now = Instant::now();
        let mut breaker = Breaker::new(rules(), now);
        breaker.melt(now, 1.0);
        breaker.melt(now, 1.0);
        let then = now + Duration::from_secs(1);
        breaker.ask(then).expect("a probe passes");
        assert_eq!(breaker.ask(then), Err(Duration::from_secs(1)));
        assert!(breaker.ask(then + Duration::from_secs(1)).is_ok());
        assert!(breaker.ask(then + Duration::from_secs(1)).is_err());
    }
}
