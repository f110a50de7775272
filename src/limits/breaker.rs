//! The handle of a circuit breaker.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::base::{consume_budget, with_caught_wakers};
use crate::limits::breaker_error::{BreakerError, BreakerOpen};
use crate::limits::breaker_rules::BreakerRules;
use crate::limits::breaker_shared::Shared;
use crate::limits::breaker_state::BreakerState;
use crate::limits::permit::BreakerPermit;
use crate::runtime::Inside;

/// A circuit breaker: it stops asking a service that fails, so that its callers get an error at once
/// and the service can recover. All clones are one breaker.
///
/// *Closed*, it lets every request pass and counts failures. After
/// [`failures`](BreakerRules::failures) within their window it is *open*, and refuses every request.
/// After a [delay](BreakerRules::backoff) it is *half-open*: [a few](BreakerRules::probes) requests
/// pass as probes. If they succeed the breaker is closed again; if one fails it is open for longer.
/// Each change is logged. It has no process and needs no supervisor.
///
/// Erlang and Elixir: the library `fuse`, which closes again after a time, without probes.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{Backoff, BreakerError, BreakerRules, BreakerState, CircuitBreaker};
///
/// async fn pay(works: bool) -> Result<u32, &'static str> {
///     if works { Ok(42) } else { Err("no connection") }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let backoff = Backoff::new().first(Duration::from_secs(3)).jitter(0.0);
/// let rules = BreakerRules::new().failures(2, Duration::from_secs(10)).backoff(backoff).probes(1);
/// let payments = CircuitBreaker::new("payments", rules);
///
/// for _ in 0..2 {
///     assert_eq!(payments.run(pay(false)).await, Err(BreakerError::Failed("no connection")));
/// }
/// assert_eq!(payments.state(), BreakerState::Open);
/// // Refused at once: `pay` does not run.
/// let Err(BreakerError::Open(refused)) = payments.run(pay(true)).await else { panic!() };
/// assert_eq!(refused.retry_in, Duration::from_secs(3));
///
/// tokio::time::sleep(refused.retry_in).await;
/// assert_eq!(payments.run(pay(true)).await, Ok(42)); // the probe
/// assert_eq!(payments.state(), BreakerState::Closed);
/// # }));
/// ```
///
/// # When not to use it
///
/// A server of this program needs no breaker: while its supervisor restarts the server, calls fail
/// at once with [`Restarting`](crate::CallError::Restarting). For a resource that works but is
/// slow, limit the requests instead, by a [`TokenBucket`](crate::TokenBucket) or a bounded mailbox.
#[derive(Clone)]
pub struct CircuitBreaker {
    shared: Arc<Shared>,
}

impl CircuitBreaker {
    /// Makes a closed breaker. The name is that of the service, for errors, the log and the health.
    /// [`CircuitBreaker`] has an example.
    pub fn new(name: impl Into<String>, rules: BreakerRules) -> Self {
        CircuitBreaker { shared: Shared::new(name.into().into(), rules) }
    }

    /// Runs the work if the breaker lets it pass. An `Err` and a panic count as failures. The panic
    /// goes on. [`CircuitBreaker`] has an example.
    ///
    /// An error that says nothing of the service, such as "no such customer", should not count: let
    /// it be a part of the value, or use [`ask`](Self::ask).
    ///
    /// # Errors
    ///
    /// [`BreakerError::Open`] if the work was not begun, [`BreakerError::Failed`] with the error of
    /// the work.
    ///
    /// # Cancel safety
    ///
    /// The work is dropped with the future, and counts as neither success nor failure. If it was a
    /// probe, the next request may pass as a probe.
    pub async fn run<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BreakerError<E>> {
        consume_budget().await;
        let permit = self.ask().map_err(BreakerError::Open)?;
        match work.await {
            Ok(value) => {
                permit.succeed();
                Ok(value)
            }
            Err(error) => {
                permit.fail();
                Err(BreakerError::Failed(error))
            }
        }
    }

    /// Runs the work as [`run`](Self::run) does, and drops it after `limit`, which counts as a failure.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and [`BreakerError::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{BreakerError, BreakerRules, CircuitBreaker};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let search = CircuitBreaker::new("search", BreakerRules::new());
    /// let limit = Duration::from_millis(200);
    /// let late = search.run_within(limit, std::future::pending::<Result<(), ()>>()).await;
    /// assert_eq!(late, Err(BreakerError::Timeout(limit)));
    /// # }));
    /// ```
    pub async fn run_within<T, E>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BreakerError<E>> {
        consume_budget().await;
        let permit = self.ask().map_err(BreakerError::Open)?;
        match timeout(limit, work).await {
            Ok(Ok(value)) => {
                permit.succeed();
                Ok(value)
            }
            Ok(Err(error)) => {
                permit.fail();
                Err(BreakerError::Failed(error))
            }
            Err(_elapsed) => {
                permit.fail();
                Err(BreakerError::Timeout(limit))
            }
        }
    }

    /// Asks whether a request may pass. The permit reports the outcome. Erlang: `fuse:ask`.
    ///
    /// # Errors
    ///
    /// [`BreakerOpen`] if the breaker is open, or half-open and all its probes are under way.
    ///
    /// ```
    /// use regrow::{BreakerRules, BreakerState, CircuitBreaker};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rules = BreakerRules::new().failures(1, std::time::Duration::from_secs(1));
    /// let store = CircuitBreaker::new("store", rules);
    /// store.ask()?.succeed();
    /// store.ask()?.fail();
    /// let refused = store.ask().unwrap_err();
    /// assert!(refused.to_string().starts_with("circuit breaker \"store\" is open"));
    /// store.reset();
    /// store.melt(); // a failure that was noticed elsewhere
    /// assert_eq!(store.state(), BreakerState::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn ask(&self) -> Result<BreakerPermit, BreakerOpen> {
        match self.shared.change(|breaker, now, _| breaker.ask(now)) {
            Ok(passed) => Ok(BreakerPermit::new(self.shared.clone(), passed)),
            Err(retry_in) => Err(BreakerOpen { name: self.shared.name.clone(), retry_in }),
        }
    }

    /// Counts a failure that was noticed outside of a request that the breaker let pass. Erlang:
    /// `fuse:melt`. [`ask`](Self::ask) has an example.
    pub fn melt(&self) {
        self.shared.change(|breaker, now, random| breaker.melt(now, random));
    }

    /// Closes the breaker, and forgets the failures that it has counted. Erlang: `fuse:reset`.
    /// [`ask`](Self::ask) has an example.
    pub fn reset(&self) {
        self.shared.change(|breaker, now, _| breaker.close(now));
    }

    /// Returns the state. An open breaker becomes half-open with the first request after its delay.
    /// [`CircuitBreaker`] has an example.
    pub fn state(&self) -> BreakerState {
        *self.shared.state.borrow()
    }

    /// Waits until the state is another one than `known`, and returns it. States between two calls may
    /// be missed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// ```
    /// use regrow::{BreakerRules, BreakerState, CircuitBreaker};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rules = BreakerRules::new().failures(1, std::time::Duration::from_secs(1));
    /// let store = CircuitBreaker::new("store", rules);
    /// let (state, ()) = tokio::join!(store.changed(BreakerState::Closed), async { store.melt() });
    /// assert_eq!(state, BreakerState::Open);
    /// # }));
    /// ```
    pub async fn changed(&self, known: BreakerState) -> BreakerState {
        let mut states = self.shared.state.subscribe();
        let changed = with_caught_wakers(states.wait_for(|state| *state != known)).await;
        // An error is impossible: `self` has the sender.
        changed.map_or(known, |state| *state)
    }

    /// Makes the [health](crate::Health) of this process [`Degraded`](crate::Health::Degraded) while the breaker is
    /// not closed, and ready otherwise. The process should set no health of its own. A server calls
    /// this in its `init`, so that its successor reports as well.
    ///
    /// ```
    /// use regrow::{BreakerRules, CircuitBreaker, Health, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let rules = BreakerRules::new().failures(1, std::time::Duration::from_secs(1));
    /// let store = CircuitBreaker::new("store", rules);
    /// let breaker = store.clone();
    /// let client = rt.spawn(|ctx| async move {
    ///     breaker.degrades(&ctx);
    ///     breaker.melt();
    ///     std::future::pending().await
    /// });
    /// store.changed(store.state()).await;
    /// let why = "circuit breaker \"store\" is open".into();
    /// assert_eq!(rt.health(client.pid()), Some(Health::Degraded(why)));
    /// store.reset();
    /// assert_eq!(rt.health(client.pid()), Some(Health::Ready));
    /// # }));
    /// ```
    pub fn degrades(&self, process: &impl Inside) {
        self.shared.report_to(process.runtime(), process.pid());
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.shared.name)
            .field("state", &self.state())
            .finish()
    }
}
