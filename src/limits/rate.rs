//! The rate of a token bucket, and the arithmetic of the bucket: pure functions of the time.
//!
//! A bucket is one number, the *full time*: the time at which the bucket would be full, if no token
//! were taken. Times are counted in steps of a nanosecond divided by `tokens`, so that the time of
//! one token, `per` divided by `tokens`, is a whole number of steps. So the rate is exact: no
//! rounding adds up.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

/// How many tokens a [`TokenBucket`](crate::TokenBucket) gives: `tokens` in each `per`, and at most
/// [`burst`](Self::burst) at once. [`TokenBucket`](crate::TokenBucket) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "it does nothing until a bucket is made with it"]
pub struct RateLimit {
    tokens: u32,
    per: Duration,
    burst: u32,
}

impl RateLimit {
    /// Makes a limit of `tokens` in each `per`, with a burst of `tokens`.
    /// [`TokenBucket`](crate::TokenBucket) has an example.
    ///
    /// # Panics
    ///
    /// If `tokens` or `per` is 0: the first would give no token, the second no limit.
    pub const fn new(tokens: u32, per: Duration) -> Self {
        assert!(tokens > 0, "a bucket that gets no tokens lets nothing pass");
        assert!(!per.is_zero(), "tokens without a time between them are no limit");
        RateLimit { tokens, per, burst: tokens }
    }

    /// Sets how many tokens the bucket holds: as many may be taken at once after a pause. With 1 the
    /// tokens are evenly spaced. The default is the number of tokens in `per`.
    /// [`TokenBucket`](crate::TokenBucket) has an example.
    ///
    /// # Panics
    ///
    /// If `tokens` is 0.
    pub const fn burst(mut self, tokens: u32) -> Self {
        assert!(tokens > 0, "a bucket that holds no token lets nothing pass");
        self.burst = tokens;
        self
    }
}

/// The refusal of a [`TokenBucket`](crate::TokenBucket), which has an example.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error("the rate limit is reached: try again in {retry_in:.1?}")]
pub struct RateLimited {
    /// The time until the bucket has a token for this request, after those that wait already.
    pub retry_in: Duration,
}

#[derive(Debug)]
pub(super) struct Bucket {
    rate: RateLimit,
    start: Instant,
    /// The full time, in steps since `start`.
    full_at: u128,
}

impl Bucket {
    /// Makes a full bucket.
    pub(super) fn new(rate: RateLimit, now: Instant) -> Self {
        Bucket { rate, start: now, full_at: 0 }
    }

    fn steps(&self, at: Instant) -> u128 {
        at.saturating_duration_since(self.start).as_nanos() * u128::from(self.rate.tokens)
    }

    /// The steps of one token.
    fn cost(&self) -> u128 {
        self.rate.per.as_nanos()
    }

    /// The steps from empty to full.
    fn depth(&self) -> u128 {
        self.cost() * u128::from(self.rate.burst)
    }

    /// Takes a token, or returns when there will be one. `since` is when the request began to wait: a
    /// bucket does not overflow while a request waits.
    pub(super) fn take(&mut self, now: Instant, since: Instant) -> Result<(), Instant> {
        let full_at = self.full_at.max(self.steps(since)) + self.cost();
        if full_at > self.steps(now) + self.depth() {
            return Err(self.instant(full_at - self.depth()));
        }
        self.full_at = full_at;
        Ok(())
    }

    /// Returns when there is a token for a request behind `ahead` others that wait.
    pub(super) fn due(&self, now: Instant, ahead: usize) -> Instant {
        let taken = self.cost() * (ahead as u128 + 1);
        // Since the first of those that wait began to wait, the bucket has not overflowed.
        let full = if ahead > 0 { self.full_at } else { self.full_at.max(self.steps(now)) };
        let full_at = full + taken;
        self.instant(full_at.saturating_sub(self.depth())).max(now)
    }

    fn instant(&self, steps: u128) -> Instant {
        let nanos = steps.div_ceil(u128::from(self.rate.tokens));
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        let far = || self.start + Duration::from_secs(1_000_000_000);
        self.start.checked_add(Duration::from_nanos(nanos)).unwrap_or_else(far)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Bucket, RateLimit};

    #[test]
    fn a_rate_that_is_no_whole_number_of_nanoseconds_is_exact() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RateLimit::new(3, Duration::from_secs(1)).burst(1), start);
        let mut now = start;
        for _ in 0..3_000_001 {
            let since = now;
            if let Err(due) = bucket.take(now, since) {
                now = due;
                bucket.take(now, since).expect("the token is due");
            }
        }
        assert_eq!(now - start, Duration::from_secs(1_000_000));
    }

    #[test]
    fn a_bucket_overflows_only_while_no_request_waits() {
        let start = Instant::now();
        let later = start + Duration::from_secs(10);
        let limit = RateLimit::new(1, Duration::from_secs(1)).burst(1);
        for (since, tokens) in [(start, 11), (later, 1)] {
            let mut bucket = Bucket::new(limit, start);
            let taken = std::iter::repeat_with(|| bucket.take(later, since));
            assert_eq!(taken.take_while(Result::is_ok).count(), tokens);
        }
    }
}
