//! The rate of a token bucket, and the arithmetic of the bucket: pure functions of the time.
//!
//! A bucket is one number, the *full time*: the time at which the bucket would be full, if no token
//! were taken. Times are counted in steps of a nanosecond divided by `tokens`, so that the time of
//! one token, `per` divided by `tokens`, is a whole number of steps. So the rate is exact: no
//! rounding adds up.
//!
//! A token that is *reserved* may be put back later. Putting it back leaves the bucket as if the token
//! had not been taken. If the bucket would have been full since then, at most what it would hold now
//! comes back. So whatever is put back, and however late, the tokens that are not put back keep to
//! the rate and the burst. For this, each reserved token has the full time of a bucket that was
//! full right after the token was taken.
//!
//! A timer ends up to 2 ms late, so a request that waited may find that its bucket has overflowed. It
//! takes its token as if the bucket had not overflowed in the last [`LATENESS`]. The bucket makes
//! up for no more than this time: if a request is woken later, for example because its thread was
//! busy, the burst is still a limit, and the rate is lower.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

/// How many tokens a [`TokenBucket`](crate::TokenBucket) gives: `tokens` in each `per`, and at most
/// [`burst`](Self::burst) at once. To requests that waited it gives the tokens of 2 ms more, because a
/// timer may end that late. [`TokenBucket`](crate::TokenBucket) has an example.
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

/// How late a timer ends, if its thread is not busy: tokio rounds up to a millisecond, and so does
/// the operating system.
const LATENESS: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(crate) struct Bucket {
    rate: RateLimit,
    start: Instant,
    /// The full time, in steps since `start`.
    full_at: u128,
    /// The tokens that may be put back, in the order in which they were taken. A token that makes
    /// no difference any more when it is put back is not among them.
    reserved: Vec<Reserved>,
    last_token: u64,
}

/// A token that may be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u64);

#[derive(Debug)]
struct Reserved {
    token: Token,
    /// The full time of a bucket that was full right after this token was taken.
    full_at: u128,
}

impl Bucket {
    /// Makes a full bucket.
    pub(crate) fn new(rate: RateLimit, now: Instant) -> Self {
        Bucket { rate, start: now, full_at: 0, reserved: Vec::new(), last_token: 0 }
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

    /// The least full time now. If requests wait, the bucket has not overflowed in the last
    /// [`LATENESS`].
    fn least_full_at(&self, now: Instant, waits: bool) -> u128 {
        let lateness = if waits { LATENESS.as_nanos() } else { 0 };
        let lateness = lateness * u128::from(self.rate.tokens);
        self.steps(now).saturating_sub(lateness)
    }

    /// The full time now.
    fn full_at(&self, now: Instant, waits: bool) -> u128 {
        self.full_at.max(self.least_full_at(now, waits))
    }

    /// Takes a token, or returns when there will be one. `waited` says whether the request waited
    /// for it.
    pub(crate) fn take(&mut self, now: Instant, waited: bool) -> Result<(), Instant> {
        let full_at = self.full_at(now, waited) + self.cost();
        if full_at > self.steps(now) + self.depth() {
            return Err(self.instant(full_at - self.depth()));
        }
        self.full_at = full_at;
        let (least, cost) = (self.least_full_at(now, waited), self.cost());
        self.reserved.retain_mut(|reserved| {
            reserved.full_at = reserved.full_at.max(least) + cost;
            reserved.full_at < full_at
        });
        Ok(())
    }

    /// Takes a token as [`take`](Self::take) does. Either [`put_back`](Self::put_back) or
    /// [`spend`](Self::spend) must follow.
    pub(crate) fn reserve(&mut self, now: Instant, waited: bool) -> Result<Token, Instant> {
        self.take(now, waited)?;
        self.last_token += 1;
        let token = Token(self.last_token);
        self.reserved.push(Reserved { token, full_at: 0 });
        Ok(token)
    }

    /// Puts back a token that was reserved and not used.
    pub(crate) fn put_back(&mut self, token: Token) {
        let Some((at, floor)) = self.forget(token) else { return };
        let cost = self.cost();
        let without = |full_at: u128| full_at.saturating_sub(cost).max(floor);
        self.full_at = without(self.full_at);
        for earlier in &mut self.reserved[..at] {
            earlier.full_at = without(earlier.full_at);
        }
    }

    /// Uses a token that was reserved: it is not put back any more.
    pub(crate) fn spend(&mut self, token: Token) {
        self.forget(token);
    }

    /// Removes a reserved token. Returns its position and its full time.
    fn forget(&mut self, token: Token) -> Option<(usize, u128)> {
        let at = self.reserved.iter().position(|reserved| reserved.token == token)?;
        Some((at, self.reserved.remove(at).full_at))
    }

    /// Returns how many tokens there are now. `waits` says whether they are for requests that wait.
    pub(crate) fn tokens(&self, now: Instant, waits: bool) -> usize {
        let left = (self.steps(now) + self.depth()).saturating_sub(self.full_at(now, waits));
        usize::try_from(left / self.cost()).unwrap_or(usize::MAX)
    }

    /// Returns when there is one token more than now, for requests that wait, unless the bucket is
    /// full.
    pub(crate) fn next_token(&self, now: Instant) -> Option<Instant> {
        let tokens = self.tokens(now, true);
        (tokens < self.rate.burst as usize).then(|| self.due(now, tokens))
    }

    /// Returns when there is a token for a request behind `ahead` others that wait.
    pub(super) fn due(&self, now: Instant, ahead: usize) -> Instant {
        let taken = self.cost() * (ahead as u128 + 1);
        let full_at = self.full_at(now, ahead > 0) + taken;
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
            if let Err(due) = bucket.take(now, false) {
                now = due;
                bucket.take(now, true).expect("the token is due");
            }
        }
        assert_eq!(now - start, Duration::from_secs(1_000_000));
    }

    #[test]
    fn a_token_that_is_put_back_can_be_taken_and_does_not_overfill_the_bucket() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RateLimit::new(2, Duration::from_secs(1)), start);
        assert_eq!(bucket.tokens(start, false), 2);
        let first = bucket.reserve(start, false).expect("the bucket is full");
        let second = bucket.reserve(start, false).expect("a token is left");
        assert_eq!(bucket.reserve(start, false), Err(start + Duration::from_millis(500)));
        bucket.put_back(first);
        bucket.put_back(first);
        assert_eq!(bucket.tokens(start, false), 1);
        bucket.take(start, false).expect("a token was put back");
        let later = start + Duration::from_secs(10);
        bucket.put_back(second);
        assert_eq!(bucket.tokens(later, false), 2);
    }

    #[test]
    fn a_token_that_is_put_back_after_the_bucket_was_full_lets_nothing_pass() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RateLimit::new(2, Duration::from_secs(1)), start);
        let late = bucket.reserve(start, false).expect("the bucket is full");
        let later = start + Duration::from_secs(10);
        bucket.take(later, false).expect("the bucket is full again");
        bucket.put_back(late);
        assert_eq!(bucket.tokens(later, false), 1);
    }

    #[test]
    fn tokens_that_are_put_back_before_the_bucket_is_full_do_not_raise_the_burst() {
        let start = Instant::now();
        let limit = RateLimit::new(1, Duration::from_secs(1)).burst(100);
        let mut bucket = Bucket::new(limit, start);
        let tokens: Vec<_> = (0..50).filter_map(|_| bucket.reserve(start, false).ok()).collect();
        let later = start + Duration::from_secs(49);
        let taken = std::iter::repeat_with(|| bucket.take(later, false));
        assert_eq!(taken.take_while(Result::is_ok).count(), 99);
        tokens.into_iter().for_each(|token| bucket.put_back(token));
        assert_eq!(bucket.tokens(later, false), 1);
    }

    /// After any steps, the bucket is as if only the tokens that were not put back had been taken.
    #[test]
    fn tokens_that_are_put_back_leave_the_bucket_as_if_they_had_not_been_taken() {
        let start = Instant::now();
        let limit = RateLimit::new(1, Duration::from_millis(100)).burst(5);
        let (mut bucket, mut now, mut random) = (Bucket::new(limit, start), start, 1_u64);
        let (mut taken, mut open) = (Vec::new(), Vec::new());
        for _ in 0..3_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let choice = (random >> 33) as usize;
            now += Duration::from_millis([0, 0, 30, 70, 400][choice % 5]);
            match (choice / 5 % 5, open.is_empty()) {
                (0, false) => bucket.spend(open.swap_remove(choice % open.len())),
                (1 | 2, false) => {
                    let token = open.swap_remove(choice % open.len());
                    bucket.put_back(token);
                    taken.retain(|&(other, _)| other != token);
                }
                _ => {
                    let token = bucket.reserve(now, false);
                    taken.extend(token.map(|token| (token, now)));
                    open.extend(token);
                }
            }
            let mut model = Bucket::new(limit, start);
            for &(_, at) in &taken {
                model.take(at, false).expect("no more than the burst and the rate");
            }
            assert_eq!(bucket.full_at(now, false), model.full_at(now, false));
        }
    }

    #[test]
    fn a_request_that_waited_gets_the_tokens_of_a_late_timer_and_no_more() {
        let start = Instant::now();
        let later = start + Duration::from_secs(10);
        let limit = RateLimit::new(1_000, Duration::from_secs(1)).burst(5);
        for (waited, tokens) in [(true, 7), (false, 5)] {
            let mut bucket = Bucket::new(limit, start);
            let taken = std::iter::repeat_with(|| bucket.take(later, waited));
            assert_eq!(taken.take_while(Result::is_ok).count(), tokens);
        }
    }
}
