//! A token bucket: a limit of the rate of requests.
//!
//! **Guarantees**
//! 1. Requests get their tokens in the order in which they joined the queue, in their first poll
//!    within tokio's cooperative budget. No request that does not wait takes a token before them.
//! 2. The rate is exact: while requests wait, no token is lost, although a timer of tokio has a
//!    resolution of a millisecond.
//! 3. A request that is dropped takes no token, and the next one moves up.
//!
//! **Steps**: a request joins the queue, a fair semaphore with one permit. The first one takes a
//! token, or sleeps until there is one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    bucket: PlainMutex<Bucket>,
    /// The request that has the permit is the next one to get a token.
    queue: Semaphore,
    waiting: AtomicUsize,
}

impl TokenBucket {
    /// Makes a full bucket. [`TokenBucket`] has an example.
    pub fn new(limit: RateLimit) -> Self {
        let shared = Shared {
            bucket: PlainMutex::new(Bucket::new(limit, Instant::now())),
            queue: Semaphore::new(1),
            waiting: AtomicUsize::new(0),
        };
        TokenBucket { shared: Arc::new(shared) }
    }

    /// Takes a token now. [`TokenBucket`] has an example.
    ///
    /// # Errors
    ///
    /// [`RateLimited`] if the bucket is empty, or another request waits. No token is taken.
    pub fn try_acquire(&self) -> Result<(), RateLimited> {
        let now = Instant::now();
        let turn = self.shared.queue.try_acquire();
        let taken = turn.is_ok() && self.shared.bucket.lock().take(now, now).is_ok();
        drop(turn);
        if taken { Ok(()) } else { Err(self.refusal(now)) }
    }

    /// Waits for a token, and takes it. [`TokenBucket`] has an example.
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped takes no token, and loses its place in the queue.
    pub async fn acquire(&self) {
        consume_budget().await;
        let since = Instant::now();
        let _waiting = Waiting::new(&self.shared.waiting);
        // The semaphore is never closed.
        let _turn = with_caught_wakers(self.shared.queue.acquire()).await;
        loop {
            let taken = self.shared.bucket.lock().take(Instant::now(), since);
            let Err(due) = taken else { return };
            sleep_until(due).await;
        }
    }

    /// Waits for a token until `deadline`, and takes it. [`TokenBucket`] has an example.
    ///
    /// # Errors
    ///
    /// [`RateLimited`], at once if a token for this request would come after `deadline`, with the
    /// requests that wait already; at `deadline` if it did not come. No token is taken.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_until(&self, deadline: Instant) -> Result<(), RateLimited> {
        consume_budget().await;
        let now = Instant::now();
        let refusal = self.refusal(now);
        if refusal.retry_in > deadline.saturating_duration_since(now) {
            return Err(refusal);
        }
        let acquired = timeout_at(deadline, self.acquire()).await;
        acquired.map_err(|_| self.refusal(Instant::now()))
    }

    fn refusal(&self, now: Instant) -> RateLimited {
        let ahead = self.shared.waiting.load(Ordering::Relaxed);
        let due = self.shared.bucket.lock().due(now, ahead);
        RateLimited { retry_in: due.saturating_duration_since(now) }
    }
}

/// Counts a request that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for TokenBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBucket")
            .field("waiting", &self.shared.waiting.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
