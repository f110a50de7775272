//! The settings of a child specification.

use std::time::Duration;

use crate::child::{ChildSpec, Heartbeat, Readiness, Restart};
use crate::exit::Shutdown;
use crate::kernel::Mailboxes;
use crate::process::overflow_policy::Overflow;
use crate::restart::{Backoff, Exhausted, Intensity, OwnBudget, OwnRules};

/// Settings.
impl ChildSpec {
    /// Sets the child's id, which is also its label in the log. Under a
    /// [`Supervisor`](crate::Supervisor) the id must be unique among the siblings.
    ///
    /// The default id of a supervisor is its name or `"Supervisor"`. The default id of a server is
    /// the name of its type, without the module and with its type parameters: `Counter`,
    /// `Cache<String>`. If an id is given several times, also by a supervisor's own specification,
    /// the last one counts. [`ChildSpec`] has an example.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.edit().id = id.into().into();
        self
    }

    /// Sets the name that the child is registered under. Each start registers the name before the
    /// `init` of the child. By default the child has no name. If this method is called twice, the
    /// second name counts; [`get_or_start`](crate::DynamicSupervisorRef::get_or_start) replaces the
    /// name by its argument. [`ChildSpec`] has an example.
    ///
    /// * If another process holds the name, the start fails with
    ///   [`AlreadyStarted`](crate::StartError::AlreadyStarted).
    /// * If the child is a supervisor whose own specification gives another name, by
    ///   [`SupervisorSpec::named`](crate::SupervisorSpec::named), the start fails with an
    ///   [`Invalid`](crate::StartError::Invalid) that contains both names.
    /// * From the end of one incarnation until the start of the next, the name is reserved for the
    ///   child: [registering](crate::RegisterError::Reserved) the name for another process fails,
    ///   and so does the start of another child with this name
    ///   ([`NameReserved`](crate::StartError::NameReserved)).
    /// * The name becomes free when the supervisor stops or ends, and when the supervisor does not
    ///   restart the child: because of its restart type, or because the child was given up,
    ///   terminated or deleted.
    /// * A live child that unregisters the name gives up its reservation: any process may register
    ///   the name, and the child's restarts fail while another process holds the name.
    ///
    /// OTP reserves no names: a process that registers the name between two incarnations makes each
    /// restart fail.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.edit().name = Some(name.into().into());
        self
    }

    /// Sets when the child is restarted. By default [`Restart::Permanent`]. [`Restart`] has an
    /// example.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.edit().restart = restart;
        self
    }

    /// Sets how the child is stopped. By default a worker has five seconds, and a supervisor has no
    /// limit. [`Shutdown`] has an example.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        let spec = self.edit();
        (spec.shutdown, spec.shutdown_is_set) = (shutdown, true);
        self
    }

    /// Sets the maximum duration of each start: of a server's `init`, or of the whole
    /// [`StartChild::start`](crate::StartChild::start). By default there is no limit.
    ///
    /// A start that takes longer is dropped at its current await. A half-started server is killed,
    /// and all other processes that the start has started are stopped. The start then fails with
    /// [`InitTimeout`](crate::StartError::InitTimeout). [`ServerSpec`](crate::ServerSpec) has an
    /// example.
    pub fn init_timeout(mut self, limit: Duration) -> Self {
        self.edit().init_timeout = Some(limit);
        self
    }

    /// Counts the child as started only when it has set its health to [ready](crate::Health::Ready)
    /// or degraded: the next child starts then. By default a child counts as started when its
    /// `init` has returned.
    ///
    /// A child that is not ready within `limit` after its `init` has returned is stopped, and its
    /// start fails with [`NotReady`](crate::StartError::NotReady). A supervisor that sets no health
    /// is ready when all its children have started, or wait for a
    /// [retried first start](Self::retry_first_start); a child whose specification requires it must
    /// also be ready. OTP has no counterpart.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, Health, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let database = ChildSpec::task("database", |ctx| async move {
    ///     tokio::time::sleep(Duration::from_secs(2)).await; // … recovering its journal …
    ///     ctx.set_health(Health::Ready);
    ///     std::future::pending().await
    /// });
    /// let website = ChildSpec::task("website", |_| std::future::pending());
    /// let start = tokio::time::Instant::now();
    /// Supervisor::rest_for_one()
    ///     .child(database.ready_within(Duration::from_secs(30)))
    ///     .child(website) // starts when the database is ready
    ///     .start(&rt)
    ///     .await?;
    /// assert_eq!(start.elapsed(), Duration::from_secs(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.edit().ready_within = Some(limit);
        self
    }

    /// Sets the delay before restarts. By default the supervisor's backoff applies, if it has one;
    /// otherwise restarts have no delay. [`Backoff`] has an example.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.edit().backoff = Some(backoff);
        self.with_own_rules()
    }

    /// Gives the child a restart budget of its own: at most `restarts` restarts within any window of
    /// `period`, and a consequence when one more is due. By default the child shares the budget of
    /// its supervisor. Under a dynamic supervisor this budget replaces that of
    /// [`child_intensity`](crate::DynamicSupervisor::child_intensity). OTP has no counterpart.
    ///
    /// * The restarts of the child count against its own budget only, also if they restart its
    ///   group. They do not count against the budget of the supervisor.
    /// * `exhausted` applies also if the child has a [`backoff`](Self::backoff) and had no healthy
    ///   run for its [`give_up_after`](Backoff::give_up_after).
    /// * A child that is given up has ended for good: a [significant](Self::significant) one may end
    ///   its supervisor.
    /// * A new incarnation of the supervisor starts the child again, with a fresh budget.
    ///
    /// The start of a child with a period of zero is refused.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, ChildState, ExitReason, Exhausted, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let feed = ChildSpec::task("feed", |_| async { Err(ExitReason::crashed("no route")) })
    ///     .restart_budget(5, Duration::from_secs(60), Exhausted::GiveUp);
    /// let site = ChildSpec::task("site", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().child(feed).child(site).start(&rt).await?;
    /// tokio::time::sleep(Duration::from_millis(1)).await;
    ///
    /// let feed = tree.which_child("feed").await?;
    /// assert_eq!((feed.state, feed.restarts), (ChildState::GivenUp, 5));
    /// assert!(tree.which_child("site").await?.pid().is_some()); // not affected
    /// assert_eq!(tree.tree().await?.health().to_string(), "feed: given up: no route");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn restart_budget(mut self, restarts: u32, period: Duration, exhausted: Exhausted) -> Self {
        let intensity = Intensity::Limited { restarts, period };
        self.edit().budget = Some(OwnBudget { intensity, exhausted });
        self.with_own_rules()
    }

    fn with_own_rules(mut self) -> Self {
        let spec = self.edit();
        let intensity = spec.budget.map(|budget| budget.intensity);
        let backoff = spec.backoff;
        self.edit_own_rules(|own| OwnRules { backoff, intensity, ..own });
        self
    }

    /// Sets whether the supervisor comes up although the first start of the child fails. By default
    /// a failed first start fails the start of the supervisor, as in OTP.
    ///
    /// If it is set, the child is [`Restarting`](crate::ChildState::Restarting) after a failed first
    /// start, and the supervisor starts the children after it without waiting for it:
    ///
    /// * The start is tried again, after the delay of the [`backoff`](Self::backoff), or at once and
    ///   counted against the budget if the child has no backoff. The limits of restarts apply: by
    ///   default the supervisor gives up after 15 minutes without a healthy run. See
    ///   [`give_up_after`](Backoff::give_up_after) and [`restart_budget`](Self::restart_budget).
    /// * Until the first start has succeeded, only this child is started again, under every
    ///   strategy, and no other child is stopped for it. From then on the strategy applies.
    /// * The tree is not [ready](crate::TreeHealth), unless the child's
    ///   [`readiness`](Self::readiness) is ignored. The name of the child is reserved for it.
    /// * A first start that takes long still delays the children after it:
    ///   [`init_timeout`](Self::init_timeout) and [`ready_within`](Self::ready_within) limit it.
    /// * Errors that no retry mends fail the supervisor's start: an invalid description, and a shut
    ///   down tokio.
    ///
    /// The setting applies to the children that a [`Supervisor`](crate::Supervisor) starts by its
    /// description. A start on request returns its error to the caller.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::time::Duration;
    /// use regrow::{
    ///     Backoff, ChildSpec, ExitReason, Runtime, StartChild, StartContext, StartError, Started,
    ///     Supervisor,
    /// };
    ///
    /// struct Database(Arc<AtomicBool>);
    ///
    /// #[async_trait::async_trait]
    /// impl StartChild for Database {
    ///     async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
    ///         if !self.0.load(Ordering::Relaxed) {
    ///             return Err(StartError::Failed(ExitReason::crashed("connection refused")));
    ///         }
    ///         ctx.task(|_| std::future::pending()).await
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let is_up = Arc::new(AtomicBool::new(false));
    /// let database = ChildSpec::new("database", Database(is_up.clone()))
    ///     .backoff(Backoff::new())
    ///     .retry_first_start(true);
    /// let site = ChildSpec::task("site", |_| std::future::pending());
    /// let tree = Supervisor::rest_for_one().child(database).child(site).start(&rt).await?;
    /// assert_eq!(tree.tree().await?.health().to_string(), "database is starting");
    ///
    /// is_up.store(true, Ordering::Relaxed);
    /// tokio::time::sleep(Duration::from_secs(2)).await;
    /// assert_eq!(tree.tree().await?.health().to_string(), "ready");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn retry_first_start(mut self, retry: bool) -> Self {
        self.edit().retry_first_start = retry;
        self
    }

    /// Sets whether the tree can be ready without this child. By default the child is
    /// [required](Readiness::Required). [`Readiness`] has an example. The children of a dynamic
    /// supervisor count as
    /// [`ready_share`](crate::DynamicSupervisor::ready_share) says instead.
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.edit().readiness = readiness;
        self
    }

    /// Sets whether the child's end may end its supervisor, as the supervisor's
    /// [`auto_shutdown`](crate::SupervisorSpec::auto_shutdown) says. By default it may not.
    ///
    /// A permanent child is always restarted, so the start of a child that is both permanent and
    /// significant fails. OTP: `significant`. [`AutoShutdown`](crate::AutoShutdown) has an example.
    pub fn significant(mut self, significant: bool) -> Self {
        self.edit().significant = significant;
        self
    }

    /// Sets the mailbox capacity of the child, in messages, streams, casts and calls, and the policy
    /// for a full mailbox. By default the capacity of the
    /// [runtime](crate::Runtime::with_mailbox_capacity) applies, if it has one. The setting applies
    /// to servers, tasks and all other workers; a supervisor has the capacity of the runtime.
    /// [`ServerSpec::mailbox_capacity`] is the same for a server without a supervisor, and
    /// [`ProcessBuilder::mailbox_capacity`](crate::ProcessBuilder::mailbox_capacity) for a process
    /// without one.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0, because no message could be received.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{Overflow, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let child = Counter::child(0).named("counter").mailbox_capacity(64, Overflow::Wait);
    /// let _tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// let info = rt.info(rt.whereis("counter").unwrap()).unwrap();
    /// assert_eq!((info.mailbox_capacity, info.overflow), (Some(64), Some(Overflow::Wait)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    ///
    /// [`ServerSpec::mailbox_capacity`]: crate::ServerSpec::mailbox_capacity
    pub fn mailbox_capacity(mut self, capacity: usize, overflow: Overflow) -> Self {
        self.edit().mailbox = Some(Mailboxes::bounded(capacity, overflow));
        self
    }

    /// Sets the limit after which a running handler of the server is logged as a warning. By
    /// default the limit of [`Runtime::warn_after`](crate::Runtime::warn_after) applies.
    /// [`Duration::MAX`] means no limit.
    ///
    /// A limit below 1 ms, zero included, counts as 1 ms. Plain tasks have no handlers.
    /// [`ServerSpec::warn_after`](crate::ServerSpec::warn_after) has an example.
    pub fn warn_after(mut self, limit: Duration) -> Self {
        self.edit().warn_after = Some(limit);
        self
    }

    /// Requires the child to report that it is well: a server with
    /// [`ServerContext::heartbeat`](crate::ServerContext::heartbeat), a task with
    /// [`TaskContext::heartbeat`](crate::TaskContext::heartbeat), a blocking function with
    /// [`BlockingContext::heartbeat`](crate::BlockingContext::heartbeat), any other process with
    /// [`Runtime::heartbeat`](crate::Runtime::heartbeat). By default nothing is required, and nothing
    /// is watched.
    ///
    /// The first heartbeat is due one interval after the start of the child has succeeded. A child
    /// that is late is [`Unresponsive`](crate::Health::Unresponsive) until its next heartbeat, so its
    /// tree is not [serving](crate::TreeHealth::is_serving), and a WARN line is logged. With
    /// [`Heartbeat::restart_after`], a child that stays late is killed: its body is dropped at its
    /// current await, `terminate` does not run, and its exit reason is a crash with a
    /// [`HeartbeatMissed`](crate::HeartbeatMissed). Its restart type decides what follows: a
    /// permanent and a transient child are restarted, and the restart counts against the budget.
    ///
    /// A child that is being stopped needs no heartbeat, nor does a
    /// [suspended](crate::ServerRef::suspend) server, nor a server that runs `terminate`. The process
    /// itself takes no part in the watch, so a handler that awaits for ever is found. A child that
    /// blocks its worker thread is found, too, if tokio has another thread; but like every process
    /// it ends only at its next
    /// await. The start of a supervisor as a child with this requirement fails with
    /// [`Invalid`](crate::StartError::Invalid), because a supervisor reports no heartbeat. OTP has
    /// `heart`, for the whole node only.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, Health, Heartbeat, HeartbeatMissed, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let feed = ChildSpec::task("feed", |ctx| async move {
    ///     ctx.heartbeat(); // … after each answer of the upstream; this one never answers
    ///     std::future::pending().await
    /// });
    /// let heartbeat = Heartbeat::every(Duration::from_secs(10)); // unready after 10 s,
    /// let heartbeat = heartbeat.restart_after(Duration::from_secs(20)); // restarted after 30 s
    /// let feed = feed.heartbeat(heartbeat).named("feed");
    /// let tree = Supervisor::one_for_one().child(feed).start(&rt).await?;
    /// let pid = rt.whereis("feed").unwrap();
    ///
    /// tokio::time::sleep(Duration::from_secs(15)).await;
    /// assert_eq!(tree.tree().await?.health().to_string(), "feed is unresponsive");
    /// let reason = rt.ended(pid).await;
    /// assert!(reason.crash().unwrap().downcast_ref::<HeartbeatMissed>().is_some());
    /// tree.count_children().await?; // answered after the restart
    /// assert_eq!(rt.health(rt.whereis("feed").unwrap()), Some(Health::Ready));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.edit().heartbeat = Some(heartbeat);
        self
    }
}
