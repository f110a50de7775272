//! A dynamic supervisor as a value, before it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::shared_str::SharedStr;
use crate::exit::reason::Result;
use crate::restart::backoff::Backoff;
use crate::restart::window::{Intensity, Window};
use crate::runtime::errors::start_error::StartError;
use crate::supervisor::published_state::{PublishedCell, Step};

/// A supervisor of children that come and go: connections, sessions, rooms, jobs. It starts
/// with none; [`start_child`](crate::DynamicSupervisorRef::start_child) adds one at any time, and it
/// is known by its pid.
///
/// Children are started and stopped side by side: a slow `init` or a slow stop holds up
/// nobody else. A [temporary](crate::Restart::Temporary) child, and a transient one that ended
/// cleanly, is forgotten with its end. There is one strategy, one for one, and no order among
/// the children; for a fixed set of them that depend on each other there is
/// [`Supervisor`](crate::Supervisor).
///
/// OTP: `simple_one_for_one`; Elixir: `DynamicSupervisor`. Different on purpose: starts and
/// stops run side by side, each child may have a [budget of its own](Self::child_intensity),
/// and giving up is no clean end.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, DynamicSupervisor, ExitReason, Restart, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let jobs = DynamicSupervisor::new().named("jobs").max_children(1_000);
/// let tree = Supervisor::one_for_one().child(jobs).start(&rt).await?;
///
/// let jobs = regrow::DynamicSupervisorRef::named(&rt, "jobs");
/// let job = ChildSpec::task("job", |mut ctx| async move {
///     ctx.recv().await; // … what is to be done
///     Ok(())
/// });
/// let job = job.restart(Restart::Temporary);
/// let first = jobs.start_child(job.clone()).await?;
/// let second = jobs.start_child(job).await?; // the same id: that is no matter here
/// assert_eq!(jobs.count_children().await?.active, 2);
///
/// let ended = rt.ended(first);
/// rt.send(first, b"do it".to_vec());
/// assert_eq!(ended.await, ExitReason::Normal);
/// jobs.terminate_child(second).await?;
/// assert_eq!(jobs.count_children().await?.specs, 0);
/// tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until started"]
pub struct DynamicSupervisor {
    pub(super) id: SharedStr,
    pub(super) name: Option<SharedStr>,
    pub(super) intensity: Intensity,
    pub(super) child_budget: Option<ChildBudget>,
    pub(super) backoff: Option<Backoff>,
    pub(super) max_children: Option<usize>,
    pub(super) seed: Option<u64>,
}

/// What each child may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChildBudget {
    pub(super) intensity: Intensity,
    pub(super) exhausted: Exhausted,
}

/// What happens when a child has used up the restarts of its own.
/// [`DynamicSupervisor::child_intensity`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exhausted {
    /// The supervisor gives up, and with it all its children, as OTP's does.
    Escalate,
    /// The child is given up alone. It stays known with its history, not running, until it is
    /// terminated or another is started under its name. It takes no room of
    /// [`max_children`](DynamicSupervisor::max_children), and holds no name.
    ///
    /// As long as a restart would exceed its budget,
    /// [`get_or_start`](crate::DynamicSupervisorRef::get_or_start) and
    /// [`start_child`](crate::DynamicSupervisorRef::start_child) under its name give
    /// [`StartError::GivenUp`]. So however many ask for a child that always fails, it is started
    /// no more often than its budget allows. A child whose very first start fails is none yet: that
    /// is the error of the request, and the next request tries again. The latest 1,000 are kept;
    /// older ones are forgotten.
    GiveUp,
    /// The child is given up alone and forgotten, with its history. The next
    /// [`get_or_start`](crate::DynamicSupervisorRef::get_or_start) starts it anew at once.
    Forget,
}

impl Default for DynamicSupervisor {
    fn default() -> Self {
        DynamicSupervisor::new()
    }
}

impl DynamicSupervisor {
    /// One with every default: no name, any number of children, three restarts in five
    /// seconds for all of them together. [`DynamicSupervisor`] has an example.
    pub fn new() -> Self {
        DynamicSupervisor {
            id: "DynamicSupervisor".into(),
            name: None,
            intensity: Intensity::default(),
            child_budget: None,
            backoff: None,
            max_children: None,
            seed: None,
        }
    }

    /// The name it is registered under, and its id. By default none, and
    /// `DynamicSupervisor`. [`DynamicSupervisor`] has an example.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = SharedStr::from(name.into());
        self.id = name.clone();
        self.name = Some(name);
        self
    }

    /// Its id as a child, and its label. By default its name, else `DynamicSupervisor`.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into().into();
        self
    }

    /// How many restarts it allows within any `period`, of all its children together; one more,
    /// and it gives up. By default three in five seconds. A restart that waits for a [`Backoff`]
    /// does not count, and is bounded by [`give_up_after`](Backoff::give_up_after). A single child
    /// that always fails takes all others down with it: see
    /// [`child_intensity`](Self::child_intensity).
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = Intensity::Limited { restarts, period };
        self
    }

    /// It allows any number of restarts. With a [`backoff`](Self::backoff), or a child that
    /// fails at once is restarted without a pause.
    pub fn unlimited_restarts(mut self) -> Self {
        self.intensity = Intensity::Unlimited;
        self
    }

    /// Gives each child a budget of its own, instead of the one they share. By default there
    /// is none. OTP has no counterpart.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, ChildState, DynamicSupervisor, ExitReason, Exhausted, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
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
    /// assert_eq!(children[0].state, ChildState::Running(good)); // it was left alone
    /// assert_eq!((children[1].id.as_str(), children[1].state), ("bad", ChildState::Stopped));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn child_intensity(
        mut self,
        restarts: u32,
        period: Duration,
        exhausted: Exhausted,
    ) -> Self {
        let intensity = Intensity::Limited { restarts, period };
        self.child_budget = Some(ChildBudget { intensity, exhausted });
        self
    }

    /// How long a child waits before it is started again, if it doesn't say itself. By default
    /// not at all. [`Backoff`] has an example.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Where the random part of backoffs starts: for tests that want the same each time.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How many children it has at most, those that are starting or restarting among them, and
    /// those that were given up not. By default any number.
    ///
    /// ```
    /// use regrow::{ChildSpec, DynamicSupervisor, Runtime, StartError};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let jobs = DynamicSupervisor::new().max_children(1).start(&rt).await?;
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let pid = jobs.start_child(job.clone()).await?;
    /// assert_eq!(jobs.start_child(job.clone()).await, Err(StartError::MaxChildren(1)));
    /// jobs.terminate_child(pid).await?;
    /// assert!(jobs.start_child(job).await.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn max_children(mut self, most: usize) -> Self {
        self.max_children = Some(most);
        self
    }

    /// What it publishes before it has a child.
    pub(super) fn published(&self) -> Arc<PublishedCell> {
        let (published, now) = (PublishedCell::new("dynamic", Step::Serving), Instant::now());
        published.change(|picture| {
            picture.is_partial = true;
            picture.set_budget(Window::default().budget(self.intensity, now), now);
        });
        published
    }

    pub(super) fn check(&self) -> Result<(), StartError> {
        let invalid = |what: &str| Err(StartError::Invalid(what.to_owned()));
        let zero = |limit| matches!(limit, Intensity::Limited { period: Duration::ZERO, .. });
        if zero(self.intensity) {
            return invalid("the restart period is zero: give `intensity` a period above zero");
        }
        if self.child_budget.is_some_and(|budget| zero(budget.intensity)) {
            return invalid(
                "the restart period is zero: give `child_intensity` a period above zero",
            );
        }
        if self.max_children == Some(0) {
            return invalid("no children at all: give `max_children` a number above zero");
        }
        self.backoff.map_or(Ok(()), |backoff| backoff.check()).or_else(invalid)
    }
}
