//! The description of a pool.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::base::{CaughtDrop, consume_budget};
use crate::child::{ChildSpec, Restart};
use crate::exit::Result;
use crate::limits::RateLimit;
use crate::pool::PoolRef;
use crate::pool::limits::Limits;
use crate::pool::server::{PoolServer, server_name, workers_name};
use crate::pool::table::{Check, Settings, Table};
use crate::restart::{Backoff, Exhausted};
use crate::runtime::{Runtime, StartError};
use crate::server::{GenServer, ServerRef};
use crate::supervisor::{DynamicSupervisor, Supervisor, SupervisorSpec};

/// A pool of servers of one type, its *workers*. A client checks a worker out, has it for itself
/// alone, and returns it by dropping the [`Checkout`](crate::Checkout). Use a pool for what is
/// expensive to make or limited in number, and serves one client at a time: connections, licences,
/// programs that speak over pipes.
///
/// The pool is a supervisor, with a [`DynamicSupervisor`] of the workers and a server of its own. A
/// worker that crashes is restarted, within the [restart limit](Self::intensity) and after the
/// [delay](Self::backoff) of its supervisor. A client that crashes, or is killed, returns its worker.
/// If the pool's server crashes, the checkouts of clients stay valid, and come back to its successor.
///
/// The pool pauses before it replaces a worker in two cases. In the first, the worker failed to
/// start. In the second, the worker ended for good, failed its check or was discarded, and this
/// happened within a second of its `init` and before a client had returned it. The pause is 10 ms,
/// and doubles with each round of starts that fails, up to 2 s.
///
/// | setting | default |
/// |---|---|
/// | [`size`](Self::size) | the number of cores |
/// | [`overflow`](Self::overflow) | 0 further workers under load |
/// | [`overflow_idle`](Self::overflow_idle) | a surplus worker ends when it is returned |
/// | [`lazy`](Self::lazy) | workers are started with the pool |
/// | [`fifo`](Self::fifo) | the worker returned last is lent first |
/// | [`queue_limit`](Self::queue_limit) | any number of clients may wait |
/// | [`limit_rate`](Self::limit_rate) | any number of checkouts in a time |
/// | [`check_on_checkout`](Self::check_on_checkout), [`check_every`](Self::check_every) | no checks |
/// | [`max_lifetime`](Self::max_lifetime), [`max_idle`](Self::max_idle) | no limits |
/// | [`intensity`](Self::intensity), [`backoff`](Self::backoff) | 3 restarts in 5 s, without delay |
///
/// Erlang and Elixir: poolboy; `NimblePool`, whose workers are no processes.
///
/// # Examples
///
/// ```
/// # use regrow::doc_counter::{Call, Cast, Counter};
/// # use regrow::Runtime;
/// use std::time::Duration;
/// use regrow::{Pool, PoolError, PoolRef, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let pool = Pool::<Counter>::new("counters", || 40).size(1);
/// let tree = Supervisor::one_for_one().child(pool.spec()?).start(&rt).await?;
///
/// let pool = PoolRef::<Counter>::named(&rt, "counters");
/// let counter = pool.checkout().await?;
/// counter.cast(Cast::Add(2));
/// assert_eq!(counter.call(Call::Get).await?, 42);
///
/// // The only worker is lent.
/// let error = pool.checkout_within(Duration::from_millis(100)).await.unwrap_err();
/// assert!(matches!(error, PoolError::Timeout { .. }));
///
/// drop(counter);
/// let answer = pool.transaction(async |counter| counter.call(Call::Get).await).await?;
/// assert_eq!(answer?, 42);
/// let status = pool.status().await?;
/// assert_eq!((status.idle, status.lent, status.waiting), (1, 0, 0));
/// tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// # When not to use it
///
/// To bound how many tasks run at once, use a `tokio::sync::Semaphore` or a
/// [`TaskStream`](crate::TaskStream). For a database, use the pool of its driver. To spread requests
/// that one worker can answer side by side, use a
/// [`PartitionSupervisor`](crate::PartitionSupervisor) and
/// [`round_robin`](crate::PartitionSupervisorRef::round_robin).
#[must_use = "it does nothing until started"]
pub struct Pool<S: GenServer> {
    limits: Limits,
    workers: DynamicSupervisor,
    settings: Settings<S>,
}

impl<S: GenServer> Pool<S> {
    /// Describes a pool under this name. `args` returns the arguments for each start of a worker.
    /// [`Pool`] has an example.
    ///
    /// The supervisor of the pool has this name, the supervisor of the workers the name
    /// `{name}/workers`, and the pool's server the name `{name}/server`.
    pub fn new(
        name: impl Into<String>,
        args: impl Fn() -> S::Args + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        let workers = DynamicSupervisor::new().named(workers_name(&name)).with_id("workers");
        let limits = Limits {
            size: std::thread::available_parallelism().map_or(1, usize::from),
            overflow: 0,
            overflow_idle: Duration::ZERO,
            lazy: false,
            fifo: false,
            max_lifetime: None,
            max_idle: None,
            rate: None,
        };
        let args: Arc<dyn Fn() -> S::Args + Send + Sync> = Arc::new(args);
        let settings = Settings {
            name: name.into(),
            worker: S::child_with(|| unreachable!("each worker gets a start of its own")),
            args: CaughtDrop::new(args),
            queue_limit: None,
            discards_oldest: false,
            check_on_checkout: None,
            check_every: None,
        };
        Pool { limits, workers, settings }
    }

    /// Sets the number of workers that the pool keeps. By default it is the number of cores that the
    /// program may use. [`Pool`] has an example.
    pub fn size(mut self, size: usize) -> Self {
        self.limits.size = size;
        self
    }

    /// Sets how many further workers the pool may start while clients wait. Such a surplus worker ends
    /// when it is returned and no client waits, or after [`overflow_idle`](Self::overflow_idle). By
    /// default 0.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::Runtime;
    /// use regrow::Pool;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pool = Pool::<Counter>::new("counters", || 0).size(1).overflow(1).start(&rt).await?;
    /// let both = (pool.checkout().await?, pool.checkout().await?);
    /// assert_eq!(pool.status().await?.lent, 2);
    /// drop(both);
    /// tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    /// assert_eq!(pool.status().await?.workers(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn overflow(mut self, workers: usize) -> Self {
        self.limits.overflow = workers;
        self
    }

    /// Sets how long a surplus worker stays idle before it is stopped. By default it is stopped as soon
    /// as it is returned. The pool looks for such workers four times within this time.
    pub fn overflow_idle(mut self, limit: Duration) -> Self {
        self.limits.overflow_idle = limit;
        self
    }

    /// Starts no worker before a client needs it. By default the start of the pool waits for the
    /// `init` of all workers, and fails if one of them fails.
    pub fn lazy(mut self) -> Self {
        self.limits.lazy = true;
        self
    }

    /// Lends the worker that has been idle for the longest time. By default the pool lends the worker
    /// that was returned last, whose caches are warm, and leaves the others idle.
    pub fn fifo(mut self) -> Self {
        self.limits.fifo = true;
        self
    }

    /// Sets how many clients may wait. Further ones get [`PoolError::QueueFull`] at once. Clients for
    /// which a worker is being started do not count. By default any number may wait.
    ///
    /// [`PoolError::QueueFull`]: crate::PoolError::QueueFull
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::Runtime;
    /// use regrow::{Pool, PoolError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pool = Pool::<Counter>::new("counters", || 0).size(1).queue_limit(0).start(&rt).await?;
    /// let _only = pool.checkout().await?;
    /// assert_eq!(pool.checkout().await.unwrap_err(), PoolError::QueueFull { limit: 0 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn queue_limit(mut self, clients: usize) -> Self {
        self.settings.queue_limit = Some(clients);
        self
    }

    /// Limits how many checkouts there are in a time, for example because the workers share a service
    /// that allows a hundred requests in a second. The bucket of the [`RateLimit`] starts full. By
    /// default there is no such limit.
    ///
    /// A client that finds no token waits in the queue, and is served in its turn: no client overtakes
    /// it, although workers are idle. If its time limit is over first, it gets
    /// [`PoolError::Timeout`](crate::PoolError::Timeout), with `rate_limited`. The pool starts no worker
    /// for a client that waits for a token.
    ///
    /// A checkout costs one token when its client receives it. A client that is refused, gives up or
    /// ends before costs none, also if a worker was handed to it at that moment. A worker that fails its
    /// [check](Self::check_on_checkout) costs none. A return gives no token back. The tokens survive a
    /// restart of the pool. A limit of how long a worker is used, or of what it sends, needs a
    /// [`TokenBucket`](crate::TokenBucket) in the worker.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::Runtime;
    /// use std::time::Duration;
    /// use regrow::{Pool, RateLimit};
    /// use tokio::time::Instant;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let rate = RateLimit::new(10, Duration::from_secs(1)).burst(2);
    /// let pool = Pool::<Counter>::new("counters", || 0).size(4).limit_rate(rate).start(&rt).await?;
    /// let start = Instant::now();
    /// for _ in 0..12 {
    ///     drop(pool.checkout().await?);
    /// }
    /// assert_eq!(start.elapsed(), Duration::from_secs(1)); // two at once, and ten later
    /// assert_eq!(pool.status().await?.tokens, Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn limit_rate(mut self, rate: RateLimit) -> Self {
        self.limits.rate = Some(rate);
        self
    }

    /// Refuses the client that has waited for the longest time when the queue is full, instead of
    /// the newest one. If the overload lasts, the clients that are served have then waited for a
    /// shorter time, and the refused clients, which have waited the longest, have probably given
    /// up.
    pub fn discard_oldest(mut self) -> Self {
        self.settings.discards_oldest = true;
        self
    }

    /// Checks each worker before a client gets it. A worker whose check returns false, or panics, is
    /// stopped and replaced, and the client gets another one. If the time limit of the checkout cuts the
    /// check short, the worker is stopped and replaced, and the client gets
    /// [`Timeout`](crate::PoolError::Timeout). The check runs in the client. By default there is no
    /// check.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Cast, Counter};
    /// # use regrow::Runtime;
    /// use regrow::Pool;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pool = Pool::<Counter>::new("counters", || 0).size(1);
    /// let fresh = |counter: regrow::ServerRef<Counter>| async move {
    ///     counter.call(Call::Get).await.is_ok_and(|count| count < 10)
    /// };
    /// let pool = pool.check_on_checkout(fresh).start(&rt).await?;
    /// pool.checkout().await?.cast(Cast::Add(10));
    /// assert_eq!(pool.checkout().await?.call(Call::Get).await?, 0); // another worker
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn check_on_checkout<F, Fut>(mut self, check: F) -> Self
    where
        F: Fn(ServerRef<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        self.settings.check_on_checkout = Some(boxed_check(check));
        self
    }

    /// Checks each idle worker once in each `period`, one after the other, each within five seconds. A
    /// worker whose check fails is stopped and replaced. The checks run in a task of the pool's server.
    /// By default there is no check.
    ///
    /// # Panics
    ///
    /// If the period is zero.
    pub fn check_every<F, Fut>(mut self, period: Duration, check: F) -> Self
    where
        F: Fn(ServerRef<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        assert!(!period.is_zero(), "checks of idle workers need a period above zero");
        self.settings.check_every = Some((period, boxed_check(check)));
        self
    }

    /// Sets after which time a worker is replaced, counted from the end of its `init`. A worker that is
    /// lent then is replaced when it is returned. By default workers have no such limit. The pool looks
    /// for such workers four times within the limit. A limit of zero is refused at the start.
    pub fn max_lifetime(mut self, limit: Duration) -> Self {
        self.limits.max_lifetime = Some(limit);
        self
    }

    /// Sets how long a worker may be idle before it is stopped. A pool that is not [lazy](Self::lazy)
    /// then starts another one. By default workers have no such limit. The pool looks for such workers
    /// four times within the limit. A limit of zero is refused at the start.
    pub fn max_idle(mut self, limit: Duration) -> Self {
        self.limits.max_idle = Some(limit);
        self
    }

    /// Sets how many restarts of workers the pool allows within any `period`, for all workers
    /// together. Above this limit, all workers and the server are stopped and started again; if
    /// that happens too often, the pool ends. The replacement of a worker by the pool does not
    /// count as a restart. By default the pool allows three restarts within five seconds.
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.workers = self.workers.intensity(restarts, period);
        self
    }

    /// Sets the delay before a worker that has crashed is restarted. By default there is none.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.workers = self.workers.backoff(backoff);
        self
    }

    /// Changes the specification of each worker, for example its
    /// [shutdown time](ChildSpec::shutdown), the [limit of its `init`](ChildSpec::init_timeout), or
    /// the [bound of its mailbox](ChildSpec::mailbox_capacity). `change` runs once, here. The pool
    /// sets the id. The specification must have no name. A worker can't be temporary, because a
    /// supervisor does not keep the specification of a temporary child. A
    /// [restart budget](ChildSpec::restart_budget) of each worker can't
    /// [give the worker up](Exhausted::GiveUp), since the supervisor would then keep a worker that
    /// does not run. Use [`Forget`](Exhausted::Forget) instead: the pool then replaces the worker.
    /// The pool lends a worker as soon as its `init` has returned, also if the specification has a
    /// [limit of its readiness](ChildSpec::ready_within).
    pub fn worker(mut self, change: impl FnOnce(ChildSpec) -> ChildSpec) -> Self {
        self.settings.worker = change(self.settings.worker);
        self
    }

    /// Starts the pool, and its workers unless it is [lazy](Self::lazy). [`overflow`](Self::overflow)
    /// has an example.
    ///
    /// # Errors
    ///
    /// [`StartError::Invalid`] if a setting can't work. Otherwise the errors of
    /// [`SupervisorSpec::start`]; the error of a worker's `init` is that of the child `server`.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless an earlier use of `runtime` was inside one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the start kills the pool with its workers.
    pub async fn start(self, runtime: &Runtime) -> Result<PoolRef<S>, StartError> {
        consume_budget().await;
        let (table, spec) = self.table_and_spec()?;
        spec.start(runtime).await?;
        Ok(PoolRef::of(runtime, &table))
    }

    /// Returns the description of the pool, for a child of another supervisor.
    /// [`PoolRef::named`] returns a handle to the pool. [`Pool`] has an example.
    ///
    /// The description describes one pool: it can't run in two [`Runtime`]s at the same time.
    ///
    /// # Errors
    ///
    /// [`StartError::Invalid`] if the pool has neither a size nor overflow, if `max_lifetime` or
    /// `max_idle` is zero, or if workers have a name, are [temporary](Restart::Temporary), or are
    /// [given up](Exhausted::GiveUp).
    pub fn spec(self) -> Result<SupervisorSpec, StartError> {
        Ok(self.table_and_spec()?.1)
    }

    fn table_and_spec(self) -> Result<(Arc<Table<S>>, SupervisorSpec), StartError> {
        self.limits.check().map_err(StartError::Invalid)?;
        if self.settings.worker.spec.name.is_some() || self.settings.worker.spec.key.is_some() {
            let what = "a pool of workers with one name: give the workers no name";
            return Err(StartError::Invalid(what.to_owned()));
        }
        if self.settings.worker.spec.restart == Restart::Temporary {
            let what = "a pool of temporary workers: make them permanent, or transient";
            return Err(StartError::Invalid(what.to_owned()));
        }
        let budget = self.settings.worker.spec.budget;
        if budget.is_some_and(|budget| budget.exhausted == Exhausted::GiveUp) {
            let what = "a pool whose workers are given up when their budget is used up, and then keep \
                        their places: use Exhausted::Forget, so that the pool replaces them";
            return Err(StartError::Invalid(what.to_owned()));
        }
        let name = self.settings.name.clone();
        let table = Table::new(self.settings, self.limits);
        let args = table.clone();
        let server = PoolServer::<S>::child_with(move || args.clone());
        let spec = Supervisor::rest_for_one()
            .named(name.to_string())
            .child(self.workers)
            .child(server.with_id("server").named(server_name(&name)));
        Ok((table, spec))
    }
}

fn boxed_check<S, F, Fut>(check: F) -> Check<S>
where
    S: GenServer,
    F: Fn(ServerRef<S>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = bool> + Send + 'static,
{
    CaughtDrop::new(Arc::new(move |worker| check(worker).boxed()))
}

impl<S: GenServer> fmt::Debug for Pool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.settings.name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
