//! Limits on what a program asks of others: a circuit breaker, and a token bucket. Both are plain
//! values without a process, shared by their clones.
//!
//! **Uses** `base`, `observe`, `restart`, `runtime`.
//! **Knows nothing of** servers and supervisors.

mod breaker_rules;
mod breaker_state;
mod breaker_error;
mod breaker_shared;
mod permit;
mod breaker;
mod rate;
mod token_bucket;

pub use breaker::CircuitBreaker;
pub use breaker_error::{BreakerError, BreakerOpen};
pub use breaker_rules::BreakerRules;
pub use breaker_state::BreakerState;
pub use permit::BreakerPermit;
pub(crate) use rate::{Bucket, Token};
pub use rate::{RateLimit, RateLimited};
pub use token_bucket::TokenBucket;
