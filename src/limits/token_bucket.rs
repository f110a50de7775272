//! A token bucket: a limit of the rate of requests.
//!
//! **Guarantees**
//! 1. Requests get their tokens in the order in which they joined the queue. A request joins the
//!    queue in the first poll for which its task has tokio's cooperative budget left. A request
//!    that does not wait may take a token before the queued requests, but only if the bucket has a
//!    token for each of these as well.
//! 2. The rate is exact: while requests wait, no token is lost to the resolution of timers.
//! 3. A request that is dropped takes no token, and the next one moves up.
//!
//! **Steps**: a request takes a token if no other waits. Otherwise it counts itself as waiting, and
//! joins the queue, a fair semaphore with one permit. The first one takes a token, or sleeps until
//! there is one.
//!
//! **Invariant**: in one critical section, a request takes its token and is removed from the count
//! of waiting requests. So the count and the tokens, read under the same lock, tell whether the
//! bucket has a token for one more request. The semaphore cannot tell this: a request still holds
//! its permit for a moment after it has taken its token.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::base::{PlainMutex, consume_budget, with_caught_wakers};
use crate::limits::rate::{Bucket, RateLimit, RateLimited};

/// A limit of the rate of requests, by a bucket of tokens that fills at a constant rate. Each
/// request takes one. All clones are one bucket. It starts full. It has no process and needs no
/// supervisor. All times are those of tokio, so a test can pause them.
///
/// Erlang: the library `jobs`; Elixir: `Hammer`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{RateLimit, TokenBucket};
/// use tokio::time::Instant;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// // Ten requests in each second, two of them at once.
/// let mails = TokenBucket::new(RateLimit::new(10, Duration::from_secs(1)).burst(2));
/// mails.try_acquire()?;
/// mails.try_acquire()?;
/// let refused = mails.try_acquire().unwrap_err();
/// assert_eq!(refused.retry_in, Duration::from_millis(100));
///
/// let start = Instant::now();
/// for _ in 0..20 {
///     mails.acquire().await;
/// }
/// assert_eq!(start.elapsed(), Duration::from_secs(2));
///
/// let soon = Instant::now() + Duration::from_millis(99);
/// assert!(mails.acquire_until(soon).await.is_err()); // at once: the token would come too late
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// # When not to use it
///
/// To limit how many requests run *at once*, use a bounded mailbox, `limit_tasks`, or a semaphore:
/// a rate does not know how long a request takes. To protect a service that fails, use a
/// [`CircuitBreaker`](crate::CircuitBreaker). For a limit for each of many users, keep a bucket in
/// the state of each user's server.
#[derive(Clone)]
pub struct TokenBucket {
    shared: Arc<Shared>,
}

struct Shared {
    state: PlainMutex<State>,
    /// The request that has the permit is the next one to get a token.
    queue: Semaphore,
}

struct State {
    bucket: Bucket,
    /// The number of requests that wait.
    waiting: usize,
}

impl TokenBucket {
    /// Makes a full bucket. [`TokenBucket`] has an example.
    pub fn new(limit: RateLimit) -> Self {
        let state = State { bucket: Bucket::new(limit, Instant::now()), waiting: 0 };
        let shared = Shared { state: PlainMutex::new(state), queue: Semaphore::new(1) };
        TokenBucket { shared: Arc::new(shared) }
    }

    /// Takes a token now. [`TokenBucket`] has an example.
    ///
    /// # Errors
    ///
    /// [`RateLimited`] if the bucket has no token besides those for the requests that wait. No token
    /// is taken.
    pub fn try_acquire(&self) -> Result<(), RateLimited> {
        let mut state = self.shared.state.lock();
        let now = Instant::now();
        let refusal = state.refusal(now);
        let waits = state.waiting > 0;
        if refusal.retry_in.is_zero() && state.bucket.take(now, waits).is_ok() {
            return Ok(());
        }
        Err(refusal)
    }

    /// Waits for a token, and takes it. [`TokenBucket`] has an example.
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped takes no token, and loses its place in the queue.
    pub async fn acquire(&self) {
        consume_budget().await;
        let Some(mut waiting) = Waiting::unless_taken(&self.shared) else { return };
        // The semaphore is never closed.
        let _turn = with_caught_wakers(self.shared.queue.acquire()).await;
        while let Err(due) = waiting.take() {
            sleep_until(due).await;
        }
    }

    /// Waits for a token until `deadline`, and takes it. [`TokenBucket`] has an example.
    ///
    /// # Errors
    ///
    /// [`RateLimited`] at once, if the token for this request, after those for the requests that
    /// wait already, would come after `deadline`. [`RateLimited`] at `deadline`, if the token has
    /// not come by then. No token is taken.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_until(&self, deadline: Instant) -> Result<(), RateLimited> {
        consume_budget().await;
        let now = Instant::now();
        let refusal = self.shared.state.lock().refusal(now);
        if refusal.retry_in > deadline.saturating_duration_since(now) {
            return Err(refusal);
        }
        let acquired = timeout_at(deadline, self.acquire()).await;
        acquired.map_err(|_| self.shared.state.lock().refusal(Instant::now()))
    }
}

impl State {
    fn refusal(&self, now: Instant) -> RateLimited {
        let due = self.bucket.due(now, self.waiting);
        RateLimited { retry_in: due.saturating_duration_since(now) }
    }
}

/// A request that waits, and is counted until it has its token or is dropped.
struct Waiting<'a> {
    shared: &'a Shared,
    is_counted: bool,
}

impl<'a> Waiting<'a> {
    /// Takes a token at once if no other request waits. Otherwise counts this one.
    fn unless_taken(shared: &'a Shared) -> Option<Self> {
        let mut state = shared.state.lock();
        if state.waiting == 0 && state.bucket.take(Instant::now(), false).is_ok() {
            return None;
        }
        state.waiting += 1;
        Some(Waiting { shared, is_counted: true })
    }

    /// Takes a token, or returns when there will be one.
    fn take(&mut self) -> Result<(), Instant> {
        let mut state = self.shared.state.lock();
        state.bucket.take(Instant::now(), true)?;
        state.waiting -= 1;
        self.is_counted = false;
        Ok(())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.is_counted {
            self.shared.state.lock().waiting -= 1;
        }
    }
}

impl fmt::Debug for TokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBucket")
            .field("waiting", &self.shared.state.lock().waiting)
            .finish_non_exhaustive()
    }
}
