//! The description of a supervisor, a value from which the supervisor is started.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::base::{CaughtDrop, SharedStr};
use crate::child::{ChildSpec, ChildType, Restart, Spec};
use crate::exit::Result;
use crate::restart::{Backoff, Intensity};
use crate::runtime::StartError;
use crate::supervisor::SupervisorContext;

pub(crate) mod partitions;
pub(crate) mod strategy;
pub(crate) mod auto_shutdown;
pub(crate) mod builder;
pub(crate) mod finding;
mod stop_times;
mod most_starts;
pub(crate) mod lint;

pub use auto_shutdown::AutoShutdown;
pub use builder::Supervisor;
pub use finding::{Finding, LintError};
pub use lint::Lint;
pub(crate) use partitions::Partitions;
pub(crate) use strategy::{Position, Strategy};

/// A supervisor's own init: a closure that computes the description at each start.
pub(crate) type Init =
    Arc<dyn Fn(SupervisorContext) -> BoxFuture<'static, Result<SupervisorSpec>> + Send + Sync>;

/// The description of a supervisor: its children, in order, and its settings.
///
/// A supervisor is [started](Self::start) alone, as the root of a tree, or as a child of another
/// supervisor: the description converts into a [`ChildSpec`]. OTP: the result of a supervisor's
/// `init/1`.
///
/// | setting | default |
/// |---|---|
/// | [`intensity`](Self::intensity) | 3 restarts in any 5 s |
/// | [`backoff`](Self::backoff) | none: restarts don't wait |
/// | [`auto_shutdown`](Self::auto_shutdown) | [`AutoShutdown::Never`] |
/// | [`named`](Self::named) | no name |
/// | [`with_id`](Self::with_id) | its name, or `"Supervisor"` |
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let workers = Supervisor::one_for_one()
///     .with_id("workers")
///     .child(ChildSpec::task("a", |_| std::future::pending()))
///     .child(ChildSpec::task("b", |_| std::future::pending()));
/// let tree = Supervisor::one_for_one()
///     .child(ChildSpec::task("store", |_| std::future::pending()))
///     .child(workers) // started after the store, and stopped before it
///     .start(&rt)
///     .await?;
/// let counts = tree.count_children().await?;
/// assert_eq!((counts.workers, counts.supervisors), (1, 1));
/// assert_eq!(rt.process_count(), 5);
/// tree.stop().await?;
/// assert_eq!(rt.process_count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "it does nothing until started"]
pub struct SupervisorSpec {
    pub(crate) id: SharedStr,
    pub(crate) name: Option<SharedStr>,
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) seed: Option<u64>,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) init: Option<CaughtDrop<Init>>,
    /// The partitions, if the children are partitions. Their number then decides which children a
    /// start has.
    pub(crate) partitions: Option<Arc<Partitions>>,
}

impl SupervisorSpec {
    pub(crate) fn new(strategy: Strategy) -> Self {
        SupervisorSpec {
            id: "Supervisor".into(),
            name: None,
            strategy,
            intensity: Intensity::default(),
            auto_shutdown: AutoShutdown::default(),
            backoff: None,
            seed: None,
            children: Vec::new(),
            init: None,
            partitions: None,
        }
    }

    /// Adds a child after the children that were added before: a [`ChildSpec`], or the description
    /// of another supervisor. [`SupervisorSpec`] has an example.
    pub fn child(mut self, child: impl Into<ChildSpec>) -> Self {
        self.children.push(child.into());
        self
    }

    /// Sets the budget: how many restarts the supervisor allows within any window of `period`. If
    /// one more restart is due, the supervisor gives up: it stops its children and ends with
    /// [`RestartLimitReached`](crate::RestartLimitReached). If `restarts` is 0, no restart is
    /// allowed. By default the budget is three in five seconds. A retry after a failed start counts
    /// as well. A restart that waits for a [`Backoff`] does not count, and is bounded by
    /// [`give_up_after`](Backoff::give_up_after). OTP: `intensity` and `period`, by default one in
    /// five seconds.
    ///
    /// All children share the budget: if `n` children of a `one_for_one` supervisor end at once,
    /// `n` restarts count. The budgets of several levels multiply: with the default on two levels a
    /// child may end 16 times before the upper supervisor gives up. The start of a supervisor with
    /// a period of zero is refused.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, RestartLimitReached, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let hourly = ChildSpec::task("hourly", |_| async {
    ///     tokio::time::sleep(Duration::from_secs(3600)).await;
    ///     Ok(())
    /// });
    /// let day = Duration::from_secs(24 * 3600);
    /// let tree = Supervisor::one_for_one().intensity(7, day).child(hourly).start(&rt).await?;
    /// let start = tokio::time::Instant::now();
    /// let reason = tree.ended().await;
    /// assert!(reason.crash().unwrap().downcast_ref::<RestartLimitReached>().is_some());
    /// assert_eq!(start.elapsed().as_secs() / 3600, 8); // the eighth restart was refused
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = Intensity::Limited { restarts, period };
        self
    }

    /// Allows any number of restarts: the supervisor gives up only when a child exceeds a
    /// [`give_up_after`](Backoff::give_up_after) that is set. By default there is a budget, see
    /// [`intensity`](Self::intensity). Use this only with a [`backoff`](Self::backoff): without
    /// one, a child that fails at once is started again without a pause, for ever. OTP has no
    /// counterpart.
    ///
    /// ```
    /// use regrow::{Backoff, ChildSpec, ExitReason, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (starts, mut started) = tokio::sync::mpsc::unbounded_channel();
    /// let feed = ChildSpec::task("feed", |_| async move {
    ///     starts.send(())?;
    ///     Err(ExitReason::crashed("not there"))
    /// });
    /// let spec = Supervisor::one_for_one().unlimited_restarts().backoff(Backoff::new());
    /// let tree = spec.child(feed).start(&rt).await?;
    /// for _ in 0..100 {
    ///     started.recv().await.unwrap();
    /// }
    /// tree.stop().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn unlimited_restarts(mut self) -> Self {
        self.intensity = Intensity::Unlimited;
        self
    }

    /// Sets how long restarts wait, for all children that have no [`Backoff`] of their own. By
    /// default restarts don't wait.
    ///
    /// ```
    /// use regrow::{Backoff, ChildSpec, ChildState, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let child = |id: &str| ChildSpec::task(id, |_| std::future::pending());
    /// let spec = Supervisor::one_for_one().backoff(Backoff::new()).jitter_seed(1);
    /// let spec = spec.child(child("patient")).child(child("hasty").backoff(Backoff::none()));
    /// let tree = spec.start(&rt).await?;
    /// for child in tree.which_children().await? {
    ///     let ended = rt.ended(child.pid().unwrap());
    ///     rt.kill(child.pid().unwrap());
    ///     ended.await;
    /// }
    /// let [patient, hasty] = &tree.which_children().await?[..] else { panic!() };
    /// assert!(matches!(patient.state, ChildState::Restarting { retry_in: Some(_) }));
    /// assert!(matches!(hasty.state, ChildState::Running(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Seeds the random numbers of the [`Backoff`]s, for a test that needs the same delays at each
    /// run. By default the seed is random. [`backoff`](Self::backoff) has an example.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets whether the supervisor stops when its [significant](ChildSpec::significant) children
    /// end for good. By default it does not. OTP: `auto_shutdown`. [`AutoShutdown`] has an example.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// Sets the name under which the supervisor is registered. The name is also the id of the
    /// supervisor, unless a later [`with_id`](Self::with_id) sets another id. By default there is
    /// no name. [`SupervisorRef::named`](crate::SupervisorRef::named) has an example.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = SharedStr::from(name.into());
        self.id = name.clone();
        self.name = Some(name);
        self
    }

    /// Sets the id of the supervisor, which is its label in the log and its id as a child of
    /// another supervisor. By default the id is the name, or `"Supervisor"` without a name. So if a
    /// supervisor has two children that are supervisors without names, one of them needs another
    /// id. [`SupervisorSpec`] has an example.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into().into();
        self
    }

    /// Returns this description with the name and the id of `outer`, whose init returned it.
    /// Refuses a description with another name.
    pub(crate) fn with_identity_of(self, outer: &SupervisorSpec) -> Result<Self, StartError> {
        if let Some(own) = &self.name
            && self.name != outer.name
        {
            let outer = outer.name.as_deref();
            return Err(StartError::Invalid(format!(
                "the init of supervisor {:?} gives it the name {own:?}, and its description {}: \
                 name what `with_init` returns",
                self.id,
                outer.map_or("none".to_owned(), |outer| format!("{outer:?}")),
            )));
        }
        Ok(SupervisorSpec { id: outer.id.clone(), name: outer.name.clone(), ..self })
    }

    /// Refuses a description that can't work.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if self.init.is_some() && !self.children.is_empty() {
            return invalid("children beside `with_init`: its closure gives them all");
        }
        self.intensity.check("intensity").or_else(invalid)?;
        self.backoff.map_or(Ok(()), |backoff| backoff.check()).or_else(invalid)?;
        let mut ids = HashSet::new();
        if let Some(twice) = self.children.iter().find(|child| !ids.insert(child.spec.id.clone())) {
            return Err(StartError::DuplicateId(twice.spec.id.to_string()));
        }
        self.children.iter().try_for_each(|child| check_child(&child.spec, self.auto_shutdown))
    }
}

/// Refuses a child that can't work under a supervisor with this `auto_shutdown`.
pub(crate) fn check_child(child: &Spec, auto: AutoShutdown) -> Result<(), StartError> {
    let id = &child.id;
    child.name.as_ref().map_or(Ok(()), |name| check_single_name(child, name))?;
    if let Some(Err(what)) = child.backoff.map(|backoff| backoff.check()) {
        return invalid(format!("child {id:?}: {what}"));
    }
    if let Some(Err(what)) = child.budget.map(|own| own.check("restart_budget")) {
        return invalid(format!("child {id:?}: {what}"));
    }
    let resumes = child.own_rules.as_ref().map(|own| own.resumes);
    if let Some(Err(what)) = resumes.map(|resumes| resumes.check("resume_budget")) {
        return invalid(format!("child {id:?}: {what}"));
    }
    if child.heartbeat.is_some() && child.kind == ChildType::Supervisor {
        return invalid(format!(
            "child {id:?} must report heartbeats, and is a supervisor, which reports none: \
             require them of its children"
        ));
    }
    let max_memory = child.own_rules.as_ref().and_then(|own| own.max_memory);
    if max_memory.is_some() && child.kind == ChildType::Supervisor {
        return invalid(format!(
            "child {id:?} has a limit of its memory, and is a supervisor: limit its children"
        ));
    }
    if child.significant && child.restart == Restart::Permanent {
        return invalid(format!(
            "child {id:?} is significant and permanent, and would never end for good: \
             make it transient or temporary"
        ));
    }
    if child.significant && auto == AutoShutdown::Never {
        return invalid(format!(
            "child {id:?} is significant, and its supervisor's auto_shutdown is Never: \
             give that another value"
        ));
    }
    Ok(())
}

/// Refuses this name for a child that is a supervisor with another name in its own description,
/// because that other name would be lost.
pub(crate) fn check_single_name(child: &Spec, name: &str) -> Result<(), StartError> {
    match child.nested.as_ref().and_then(|nested| nested.name.as_ref()) {
        Some(own) if *own != *name => invalid(format!(
            "supervisor {:?} has the name {own:?} by its own description, and {name:?} as a child: \
             give it one of them",
            child.id
        )),
        _ => Ok(()),
    }
}

pub(crate) fn invalid(what: impl Into<String>) -> Result<(), StartError> {
    Err(StartError::Invalid(what.into()))
}

impl fmt::Debug for SupervisorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorSpec")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("strategy", &self.strategy)
            .field("intensity", &self.intensity)
            .field("auto_shutdown", &self.auto_shutdown)
            .field("backoff", &self.backoff)
            .field("children", &self.children)
            .field("has_init", &self.init.is_some())
            .finish_non_exhaustive()
    }
}
