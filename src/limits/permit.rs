//! A request that a circuit breaker has let pass.

use std::fmt;
use std::sync::Arc;

use crate::limits::breaker_shared::Shared;
use crate::limits::breaker_state::Passed;

/// A request that a [`CircuitBreaker`](crate::CircuitBreaker) has let pass. Report its outcome by
/// [`succeed`](Self::succeed) or [`fail`](Self::fail). A permit that is dropped counts as neither:
/// if its request was a probe, the next request may pass as a probe. A permit that is dropped by a
/// panic counts as a failure.
/// [`CircuitBreaker::ask`](crate::CircuitBreaker::ask) has an example.
#[must_use = "a permit that is dropped reports no outcome"]
pub struct BreakerPermit {
    shared: Arc<Shared>,
    /// `None` once the outcome is reported.
    passed: Option<Passed>,
}

impl BreakerPermit {
    pub(super) fn new(shared: Arc<Shared>, passed: Passed) -> Self {
        BreakerPermit { shared, passed: Some(passed) }
    }

    /// Reports a success. [`CircuitBreaker::ask`](crate::CircuitBreaker::ask) has an example.
    pub fn succeed(mut self) {
        if let Some(passed) = self.passed.take() {
            self.shared.change(|breaker, now, _| breaker.succeeded(passed, now));
        }
    }

    /// Reports a failure. [`CircuitBreaker::ask`](crate::CircuitBreaker::ask) has an example.
    pub fn fail(mut self) {
        self.report_failure();
    }

    fn report_failure(&mut self) {
        if let Some(passed) = self.passed.take() {
            self.shared.change(|breaker, now, random| breaker.failed(passed, now, random));
        }
    }
}

impl Drop for BreakerPermit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return self.report_failure();
        }
        if let Some(passed) = self.passed.take() {
            self.shared.change(|breaker, _, _| breaker.abandoned(passed));
        }
    }
}

impl fmt::Debug for BreakerPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BreakerPermit").field(&self.shared.name).finish()
    }
}
