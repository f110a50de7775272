//! The settings of a circuit breaker.

use std::time::Duration;

use crate::restart::Backoff;

/// When a [`CircuitBreaker`](crate::CircuitBreaker) opens, and how it closes again.
///
/// | setting | default |
/// |---|---|
/// | [`failures`](Self::failures) | 5 in any 10 s |
/// | [`backoff`](Self::backoff) | [`Backoff::new`]: about 1 s, then twice as long each time, up to 30 s |
/// | [`probes`](Self::probes) | 1 |
///
/// [`CircuitBreaker`](crate::CircuitBreaker) has an example.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "it does nothing until a breaker is made with it"]
pub struct BreakerRules {
    pub(super) failures: usize,
    pub(super) within: Duration,
    pub(super) backoff: Backoff,
    pub(super) probes: usize,
}

impl BreakerRules {
    /// Makes rules with the defaults.
    pub const fn new() -> Self {
        BreakerRules {
            failures: 5,
            within: Duration::from_secs(10),
            backoff: Backoff::new(),
            probes: 1,
        }
    }

    /// Sets how many failures within any window of `within` open the breaker. In a window of zero
    /// each failure is alone; in one of [`Duration::MAX`] all failures count. Fuse, in Erlang:
    /// `{standard, MaxR, MaxT}`, where the failure after `MaxR` opens it.
    /// [`CircuitBreaker`](crate::CircuitBreaker) has an example.
    ///
    /// # Panics
    ///
    /// If `failures` is 0: the breaker could never be closed.
    pub const fn failures(mut self, failures: usize, within: Duration) -> Self {
        assert!(failures > 0, "a breaker that opens without a failure is never closed");
        self.failures = failures;
        self.within = within;
        self
    }

    /// Sets how long the breaker stays open. The first opening lasts for the first delay, and each
    /// later one for the next delay. The delays begin anew once the breaker has been closed for
    /// [`reset_after`](Backoff::reset_after). [`give_up_after`](Backoff::give_up_after) has no effect.
    /// [`CircuitBreaker`](crate::CircuitBreaker) has an example.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many requests a half-open breaker lets through at once, and how many of them must
    /// succeed to close it. The default is 1. [`CircuitBreaker`](crate::CircuitBreaker) has an
    /// example.
    ///
    /// # Panics
    ///
    /// If `probes` is 0: the breaker would stay open for ever.
    pub const fn probes(mut self, probes: usize) -> Self {
        assert!(probes > 0, "a breaker without probes is never closed again");
        self.probes = probes;
        self
    }
}

impl Default for BreakerRules {
    fn default() -> Self {
        BreakerRules::new()
    }
}
