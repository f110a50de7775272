//! The handle of a pool: checkouts.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::base::current_process::current_pid;
use crate::base::{Pid, SharedStr, consume_budget, ignore_panic};
use crate::exit::{ExitReason, Result};
use crate::pool::server::{Call, PoolServer, server_name};
use crate::pool::table::Table;
use crate::pool::{Checkout, PoolError, PoolStatus};
use crate::runtime::{CallError, Runtime, until};
use crate::server::{GenServer, ServerRef};
use crate::supervisor::SupervisorRef;
use crate::time::timer_queue::after;

/// The time limit of [`PoolRef::checkout`].
const CHECKOUT_LIMIT: Duration = Duration::from_secs(5);

/// A handle to a [`Pool`](crate::Pool), which has an example. The handle is cheap to clone, stays valid
/// when the pool is restarted, and dropping it stops nothing.
pub struct PoolRef<S: GenServer> {
    runtime: Runtime,
    name: SharedStr,
    server: ServerRef<PoolServer<S>>,
    /// The table of the pool. A handle by name learns it from the first answer of the server.
    table: OnceLock<Arc<Table<S>>>,
}

impl<S: GenServer> PoolRef<S> {
    /// Returns a handle to the pool that runs, or will run, under this name.
    /// [`Pool`](crate::Pool) has an example.
    pub fn named(runtime: &Runtime, name: impl Into<String>) -> Self {
        let name = SharedStr::from(name.into());
        let server = runtime.server(server_name(&name));
        PoolRef { runtime: runtime.clone(), name, server, table: OnceLock::new() }
    }

    pub(super) fn of(runtime: &Runtime, table: &Arc<Table<S>>) -> Self {
        let handle = PoolRef::named(runtime, table.settings.name.to_string());
        handle.learn(table);
        handle
    }

    fn learn(&self, table: &Arc<Table<S>>) {
        self.table.get_or_init(|| table.clone());
    }

    /// Checks a worker out, and waits up to five seconds for one. The worker is the caller's alone until
    /// the checkout is dropped. [`Pool`](crate::Pool) has an example.
    ///
    /// Check out one worker at a time: two processes that each hold a worker and wait for a second
    /// one can wait for each other. poolboy: `checkout/1`.
    ///
    /// # Errors
    ///
    /// * [`Timeout`](PoolError::Timeout) if no worker became free, or the
    ///   [rate limit](crate::Pool::limit_rate) of the pool did not let the client pass.
    /// * [`QueueFull`](PoolError::QueueFull) if too many clients wait.
    /// * [`Unavailable`](PoolError::Unavailable) if the pool does not run. While the pool is restarted,
    ///   the checkout waits.
    ///
    /// # Panics
    ///
    /// As [`ServerRef::call`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a checkout that is dropped leaves the queue, and a worker that was handed to it at
    /// that moment goes to the next client. A new checkout waits behind the others.
    pub async fn checkout(&self) -> Result<Checkout<S>, PoolError> {
        self.checkout_within(CHECKOUT_LIMIT).await
    }

    /// Checks a worker out, and waits up to `limit` for one. With a limit of zero it takes a worker only
    /// if one is idle, the [rate limit](crate::Pool::limit_rate) lets it pass, and the handle has reached
    /// the pool before.
    ///
    /// # Errors
    ///
    /// As [`checkout`](Self::checkout).
    ///
    /// # Panics
    ///
    /// As [`checkout`](Self::checkout).
    ///
    /// # Cancel safety
    ///
    /// As [`checkout`](Self::checkout).
    pub async fn checkout_within(&self, limit: Duration) -> Result<Checkout<S>, PoolError> {
        consume_budget().await;
        match self.take_idle() {
            Some(checkout) if checkout.table().settings.check_on_checkout.is_none() => {
                Ok(checkout.received())
            }
            taken => Box::pin(self.checkout_checked(taken, limit)).await,
        }
    }

    /// Checks a worker out, runs `work` with it, and returns the worker. [`Pool`](crate::Pool) has an
    /// example.
    ///
    /// If `work` panics, or its future is dropped before it has finished, the worker is stopped and
    /// replaced, since it may be in the middle of something. An error that `work` returns does not
    /// affect the worker. poolboy: `transaction/2`.
    ///
    /// # Errors
    ///
    /// As [`checkout`](Self::checkout).
    ///
    /// # Panics
    ///
    /// As [`checkout`](Self::checkout), and if `work` panics.
    ///
    /// # Cancel safety
    ///
    /// While the transaction waits for a worker, as [`checkout`](Self::checkout). If the
    /// transaction is dropped later, `work` is dropped, and the worker is replaced.
    pub async fn transaction<T>(
        &self,
        work: impl AsyncFnOnce(&ServerRef<S>) -> T,
    ) -> Result<T, PoolError> {
        let mut checkout = self.checkout().await?;
        let worker = ServerRef::clone(&checkout);
        Ok(checkout.unless_cut_short(work(&worker)).await)
    }

    /// Returns the counts of the pool. [`Pool`](crate::Pool) has an example.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](PoolError::Unavailable) if the pool does not run, or does not answer within five
    /// seconds.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn status(&self) -> Result<PoolStatus, PoolError> {
        let answer = self.server.call_waiting(Call::Status, CHECKOUT_LIMIT).await;
        let (status, table) = answer.map_err(PoolError::Unavailable)?;
        self.learn(&table);
        Ok(status)
    }

    /// Sets the number of workers that the pool keeps, also after a restart of the pool. A larger pool
    /// starts workers in the background. A smaller one stops idle workers at once, and workers that are
    /// lent when they are returned.
    ///
    /// # Errors
    ///
    /// * [`Invalid`](PoolError::Invalid) if the pool would have no workers.
    /// * [`Unavailable`](PoolError::Unavailable) as [`status`](Self::status).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting: the pool may still be resized.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::Runtime;
    /// use regrow::Pool;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pool = Pool::<Counter>::new("counters", || 0).size(2).start(&rt).await?;
    /// let lent = (pool.checkout().await?, pool.checkout().await?);
    /// pool.resize(1).await?;
    /// assert_eq!(pool.status().await?.lent, 2);
    /// drop(lent);
    /// tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    /// assert_eq!(pool.status().await?.workers(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn resize(&self, size: usize) -> Result<(), PoolError> {
        let answer = self.server.call_waiting(|reply| Call::Resize(size, reply), CHECKOUT_LIMIT);
        answer.await.map_err(PoolError::Unavailable)?.map_err(PoolError::Invalid)
    }

    /// Returns a handle to the supervisor of the pool, for its tree.
    pub fn supervisor(&self) -> SupervisorRef {
        SupervisorRef::named(&self.runtime, self.name.to_string())
    }

    /// Stops the pool in this order: first the server, so that waiting clients get
    /// [`Unavailable`](PoolError::Unavailable); then all workers, including lent workers; then the
    /// supervisor. For a pool that is a child, stop its supervisor instead.
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::stop`].
    ///
    /// # Cancel safety
    ///
    /// As [`SupervisorRef::stop`].
    pub async fn stop(&self) -> Result<ExitReason, CallError> {
        self.supervisor().stop().await
    }

    /// Takes an idle worker, if no client waits. Pool steps 1 and 2.
    fn take_idle(&self) -> Option<Checkout<S>> {
        let table = self.table.get()?;
        let kernel = &self.runtime.kernel;
        let client = Some(current_pid(kernel.number())).filter(|&pid| pid != Pid::OUTSIDE);
        let (taken, server) = table.take(client)?;
        // The checkout is made first: its drop returns the worker.
        let mut checkout = Checkout::new(table.clone(), taken);
        checkout.monitor = client.map(|client| kernel.monitor(server, client));
        Some(checkout)
    }

    /// Checks out a worker that passes the check of the pool.
    async fn checkout_checked(
        &self,
        mut taken: Option<Checkout<S>>,
        limit: Duration,
    ) -> Result<Checkout<S>, PoolError> {
        let due = after(Instant::now(), limit);
        loop {
            let mut checkout = match taken.take().or_else(|| self.take_idle()) {
                Some(checkout) => checkout,
                None => self.wait_in_queue(due, limit).await?,
            };
            let settings = &checkout.table().settings;
            let Some(check) = settings.check_on_checkout.clone() else {
                return Ok(checkout.received());
            };
            let worker = ServerRef::clone(&checkout);
            // The closure may panic, and so may its future. The client survives that.
            let checked = AssertUnwindSafe(async { check(worker).await }).catch_unwind();
            let checked = Box::pin(checkout.unless_cut_short(checked));
            match until(&self.runtime.kernel, Some(due), checked).await {
                Some(Ok(true)) => return Ok(checkout.received()),
                Some(Ok(false)) => checkout.discard(),
                Some(Err(payload)) => {
                    checkout.discard();
                    ignore_panic(|| drop(payload));
                }
                // The client had a token, so the rate limit was not the reason.
                None => {
                    let start_error = checkout.table().start_error();
                    return Err(PoolError::Timeout { limit, start_error, rate_limited: false });
                }
            }
        }
    }

    /// Waits in the queue of the pool's server. If the server ends, waits for the next incarnation.
    async fn wait_in_queue(&self, due: Instant, limit: Duration) -> Result<Checkout<S>, PoolError> {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            match self.server.call_waiting(Call::CheckOut, left).await {
                Ok(Ok(checkout)) => {
                    self.learn(checkout.table());
                    return Ok(checkout);
                }
                Ok(Err(limit)) => return Err(PoolError::QueueFull { limit }),
                Err(CallError::Exited(_)) if self.server.is_there() && !left.is_zero() => {}
                Err(CallError::Restarting { .. }) => return Err(self.timeout(limit)),
                Err(error) if error.is_timeout() => return Err(self.timeout(limit)),
                Err(error) => return Err(PoolError::Unavailable(error)),
            }
        }
    }

    #[cold]
    fn timeout(&self, limit: Duration) -> PoolError {
        let table = self.table.get();
        let start_error = table.and_then(|table| table.start_error());
        let rate_limited = table.is_some_and(|table| table.is_rate_limited());
        PoolError::Timeout { limit, start_error, rate_limited }
    }
}

impl<S: GenServer> Clone for PoolRef<S> {
    fn clone(&self) -> Self {
        PoolRef {
            runtime: self.runtime.clone(),
            name: self.name.clone(),
            server: self.server.clone(),
            table: self.table.clone(),
        }
    }
}

impl<S: GenServer> fmt::Debug for PoolRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolRef({:?})", &*self.name)
    }
}
