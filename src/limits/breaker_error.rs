//! The errors of a circuit breaker.

use std::time::Duration;

use thiserror::Error;

use crate::base::SharedStr;

/// The refusal of a [`CircuitBreaker`](crate::CircuitBreaker), which has an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error(
    "circuit breaker {name:?} is open: try again in {retry_in:.1?}, or answer without this service"
)]
pub struct BreakerOpen {
    /// The name of the breaker.
    pub name: SharedStr,
    /// The time until another request may pass, if no probe has a result earlier.
    pub retry_in: Duration,
}

/// Why [`CircuitBreaker::run`](crate::CircuitBreaker::run) has no value.
/// [`CircuitBreaker`](crate::CircuitBreaker) has an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BreakerError<E> {
    /// The breaker is open, or half-open and all its probes are under way. The work was not begun.
    #[error("the work was not begun")]
    Open(#[source] BreakerOpen),
    /// The work returned this error, which counts as a failure.
    #[error("the work failed")]
    Failed(#[source] E),
    /// The work was dropped after this time limit, which counts as a failure.
    #[error("the work took longer than {0:?}: raise the limit, or find out what it waits for")]
    Timeout(Duration),
}
