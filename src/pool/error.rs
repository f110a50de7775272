//! The error of a checkout.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::runtime::{CallError, StartError};

/// Why a checkout, or another request to a pool, failed. [`Pool`](crate::Pool) has an example.
///
/// After each of these errors the pool has the same workers as before: a request that failed holds
/// none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// The client got no worker within the limit. `start_error` is the reason why the pool could not
    /// start a worker, if its last attempt failed. `rate_limited` says whether the rate limit of the
    /// pool was reached.
    Timeout {
        /// The limit of the checkout.
        limit: Duration,
        /// Why the last start of a worker failed, unless a worker has been started since.
        start_error: Option<StartError>,
        /// Whether the [rate limit](crate::Pool::limit_rate) of the pool let no client pass at the
        /// end of the limit. False if the handle has not reached the pool before, and if the
        /// [check](crate::Pool::check_on_checkout) of a worker was not over.
        rate_limited: bool,
    },
    /// As many clients wait as [`Pool::queue_limit`](crate::Pool::queue_limit) allows.
    QueueFull {
        /// The number of clients that may wait.
        limit: usize,
    },
    /// The request can't be carried out, for example a resize to a pool without workers.
    Invalid(String),
    /// The pool does not run, or did not answer in time.
    Unavailable(CallError),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::Timeout { limit, start_error: None, rate_limited: true } => write!(
                f,
                "the rate limit of the pool did not let this client pass within {limit:?}: try again \
                 later, or raise the rate"
            ),
            PoolError::Timeout { limit, start_error: None, .. } => write!(
                f,
                "no worker of the pool became free within {limit:?}: enlarge the pool, allow \
                 overflow, or use the workers for a shorter time"
            ),
            PoolError::Timeout { limit, start_error: Some(error), .. } => write!(
                f,
                "no worker of the pool became free within {limit:?}, and the last start of a worker \
                 failed: {error}"
            ),
            PoolError::QueueFull { limit } => write!(
                f,
                "{limit} clients wait for a worker of the pool, which is the limit: try again later"
            ),
            PoolError::Invalid(what) => f.write_str(what),
            PoolError::Unavailable(error) => write!(f, "the request to the pool failed: {error}"),
        }
    }
}

impl Error for PoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            PoolError::Timeout { start_error: Some(error), .. } => error.source(),
            PoolError::Unavailable(error) => error.source(),
            _ => None,
        }
    }
}
