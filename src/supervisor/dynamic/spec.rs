//! The specification of a dynamic supervisor.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::SharedStr;
use crate::exit::Result;
use crate::restart::{Backoff, Exhausted, Intensity, OwnBudget, Window};
use crate::runtime::StartError;
use crate::supervisor::{PublishedCell, Step, invalid};

/// A supervisor of children that are started at any time: connections, sessions, rooms, jobs. The
/// supervisor starts without children. [`start_child`](crate::DynamicSupervisorRef::start_child)
/// adds one, which is known by its pid.
///
/// Children are started and stopped concurrently: a slow `init` or a slow stop delays no other
/// child. A [temporary](crate::Restart::Temporary) child is removed when it ends, and so is a
/// transient child that ends cleanly. The strategy is always one-for-one, and the children have no
/// order. For a fixed set of children that depend on each other use
/// [`Supervisor`](crate::Supervisor).
///
/// OTP: `simple_one_for_one`; Elixir: `DynamicSupervisor`. Deliberate differences: starts and stops
/// run concurrently, each child may have a [budget of its own](Self::child_intensity), and a
/// supervisor that gives up does not end cleanly.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, DynamicSupervisor, ExitReason, Restart, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let jobs = DynamicSupervisor::new().named("jobs").max_children(1_000);
/// let tree = Supervisor::one_for_one().child(jobs).start(&rt).await?;
///
/// let jobs = regrow::DynamicSupervisorRef::named(&rt, "jobs");
/// let job = ChildSpec::task("job", |mut ctx| async move {
///     ctx.recv().await; // … the work …
///     Ok(())
/// });
/// let job = job.restart(Restart::Temporary);
/// let first = jobs.start_child(job.clone()).await?;
/// let second = jobs.start_child(job).await?; // ids need not be unique
/// assert_eq!(jobs.count_children().await?.active, 2);
///
/// let ended = rt.ended(first);
/// rt.send(first, b"do it".to_vec());
/// assert_eq!(ended.await, ExitReason::Normal);
/// jobs.terminate_child(second).await?;
/// assert_eq!(jobs.count_children().await?.specs, 0);
/// tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until started"]
pub struct DynamicSupervisor {
    pub(super) id: SharedStr,
    pub(super) name: Option<SharedStr>,
    pub(super) intensity: Intensity,
    pub(super) child_budget: Option<OwnBudget>,
    pub(super) backoff: Option<Backoff>,
    pub(super) max_children: Option<usize>,
    pub(super) seed: Option<u64>,
    /// How many percent of the children have to be ready. 0 means that they don't count.
    pub(super) ready_percent: u8,
}

impl Default for DynamicSupervisor {
    fn default() -> Self {
        DynamicSupervisor::new()
    }
}

impl DynamicSupervisor {
    /// Returns a specification with all defaults: no name, any number of children, three restarts
    /// in five seconds for all children together. [`DynamicSupervisor`] has an example.
    pub fn new() -> Self {
        DynamicSupervisor {
            id: "DynamicSupervisor".into(),
            name: None,
            intensity: Intensity::default(),
            child_budget: None,
            backoff: None,
            max_children: None,
            seed: None,
            ready_percent: 0,
        }
    }

    /// Sets the name that the supervisor is registered under, which is also its id. By default it
    /// has no name, and its id is `DynamicSupervisor`. [`DynamicSupervisor`] has an example.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = SharedStr::from(name.into());
        self.id = name.clone();
        self.name = Some(name);
        self
    }

    /// Sets the supervisor's id as a child, which is also its label. By default the id is the name
    /// of the supervisor, or `DynamicSupervisor`.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into().into();
        self
    }

    /// Sets the number of restarts of all children together that the supervisor allows within any
    /// `period`. The supervisor gives up when one more is needed. By default the supervisor allows
    /// three in five seconds.
    ///
    /// A restart that waits for a [`Backoff`] does not count;
    /// [`give_up_after`](Backoff::give_up_after) limits it. With this shared budget a single child
    /// that always fails ends all others: see [`child_intensity`](Self::child_intensity).
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = Intensity::Limited { restarts, period };
        self
    }

    /// Allows any number of restarts. Set a [`backoff`](Self::backoff) too: without one, a child
    /// that fails at once is restarted without a pause.
    pub fn unlimited_restarts(mut self) -> Self {
        self.intensity = Intensity::Unlimited;
        self
    }

    /// Gives each child a restart budget of its own, instead of the shared one. By default children
    /// share one budget. OTP has no counterpart.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, ChildState, DynamicSupervisor, ExitReason, Exhausted, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let homes = DynamicSupervisor::new()
    ///     .child_intensity(1, Duration::from_secs(60), Exhausted::GiveUp)
    ///     .start(&rt)
    ///     .await?;
    /// let good = homes.start_child(ChildSpec::task("good", |_| std::future::pending())).await?;
    /// let bad = ChildSpec::task("bad", |_| async { Err(ExitReason::crashed("no hub")) });
    /// homes.start_child(bad).await?;
    /// tokio::time::sleep(Duration::from_millis(1)).await;
    ///
    /// let children = homes.which_children().await?;
    /// assert_eq!(children[0].state, ChildState::Running(good)); // not affected
    /// assert_eq!((children[1].id.as_str(), children[1].state), ("bad", ChildState::GivenUp));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn child_intensity(
        mut self,
        restarts: u32,
        period: Duration,
        exhausted: Exhausted,
    ) -> Self {
        let intensity = Intensity::Limited { restarts, period };
        self.child_budget = Some(OwnBudget { intensity, exhausted });
        self
    }

    /// Sets the delay before restarts of children whose specification sets none. By default
    /// restarts have no delay. [`Backoff`] has an example.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Sets how many percent of the children have to be ready for the tree to be
    /// [ready](crate::TreeSnapshot::health). By default 0: the health of the children does not
    /// count, so that a session that starts or fails does not make the whole program unready. 100
    /// requires every child.
    ///
    /// A child is ready if it runs and its own health is [serving](crate::Health::is_serving). A
    /// child that waits for its restart, is being stopped or was given up is not ready. A child whose
    /// first start is in progress does not count, and neither do the processes below a child. Without
    /// children the supervisor is ready. The start of a supervisor with more than 100 is refused.
    ///
    /// ```
    /// use regrow::{ChildSpec, DynamicSupervisor, Health, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let feeds = DynamicSupervisor::new().named("feeds").ready_share(50).start(&rt).await?;
    /// let feed = |health: Health| {
    ///     ChildSpec::task("feed", |ctx| async move {
    ///         ctx.set_health(health);
    ///         std::future::pending().await
    ///     })
    /// };
    /// feeds.start_child(feed(Health::Ready)).await?;
    /// feeds.start_child(feed(Health::Starting)).await?;
    /// tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    /// assert!(feeds.tree().await?.health().is_serving());
    ///
    /// feeds.start_child(feed(Health::Starting)).await?;
    /// tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    /// let health = feeds.tree().await?.health();
    /// assert_eq!(health.to_string(), "1 of 3 children are ready, 50 % have to be");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn ready_share(mut self, percent: u8) -> Self {
        self.ready_percent = percent;
        self
    }

    /// Sets the seed for the random part of backoffs, for tests with reproducible delays.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the maximum number of children. Children that are starting or restarting count, and
    /// children that were given up do not. By default there is no maximum; 0 is refused when the
    /// supervisor starts. Elixir: `max_children`.
    ///
    /// ```
    /// use regrow::{ChildSpec, DynamicSupervisor, Runtime, StartError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let jobs = DynamicSupervisor::new().max_children(1).start(&rt).await?;
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let pid = jobs.start_child(job.clone()).await?;
    /// assert_eq!(jobs.start_child(job.clone()).await, Err(StartError::MaxChildren(1)));
    /// jobs.terminate_child(pid).await?;
    /// assert!(jobs.start_child(job).await.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn max_children(mut self, most: usize) -> Self {
        self.max_children = Some(most);
        self
    }

    /// Returns the published state before the first child is started.
    pub(super) fn published(&self) -> Arc<PublishedCell> {
        let (published, now) = (PublishedCell::new("dynamic", Step::Serving), Instant::now());
        published.change(|picture| {
            picture.is_partial = true;
            picture.set_budget(Window::default().budget(self.intensity, now), now);
        });
        published
    }

    pub(super) fn check(&self) -> Result<(), StartError> {
        self.intensity.check("intensity").or_else(invalid)?;
        if let Some(budget) = self.child_budget {
            budget.check("child_intensity").or_else(invalid)?;
        }
        if self.max_children == Some(0) {
            return invalid("no children at all: give `max_children` a number above zero");
        }
        if self.ready_percent > 100 {
            return invalid("more than all children ready: give `ready_share` at most 100");
        }
        self.backoff.map_or(Ok(()), |backoff| backoff.check()).or_else(invalid)
    }
}
