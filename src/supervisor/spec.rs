//! A supervisor as a value, before it runs.

use std::collections::HashSet;
use std::time::Duration;

use crate::call_error::StartError;
use crate::child::ChildSpec;
use crate::exit::Result;
use crate::shared_str::SharedStr;
use crate::supervisor::intensity::Intensity;

/// Where supervisors come from. OTP: `supervisor`. [`one_for_one`](Self::one_for_one) has
/// an example.
#[derive(Debug, Clone, Copy)]
pub struct Supervisor;

impl Supervisor {
    /// A supervisor that starts again just the child that ended.
    ///
    /// It starts its children in order, each after the one before is ready; stops them
    /// one at a time in reverse; and gives up when they end too often. It is a process, linked
    /// to its children: if it is killed, they end with it. OTP: `one_for_one`.
    ///
    /// Not for children that need each other's state: when one of those ends the others would
    /// go on with what is no more. Put them in one process, or let the one hold the name by
    /// which the others find it.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one()
    ///     .child(ChildSpec::task("first", |_| std::future::pending()))
    ///     .child(ChildSpec::task("second", |_| std::future::pending()))
    ///     .start(&rt)
    ///     .await?;
    /// assert_eq!(tree.count_children().await?.active, 2);
    /// tree.stop().await?;
    /// assert_eq!(rt.process_count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn one_for_one() -> SupervisorSpec {
        SupervisorSpec {
            id: "Supervisor".into(),
            name: None,
            intensity: Intensity::default(),
            children: Vec::new(),
        }
    }
}

/// A supervisor being described: its children, in order, and its budget.
///
/// It is [started](Self::start) by itself, as the root of a tree, or is a child of another:
/// wherever a [`ChildSpec`] is wanted. OTP: what a supervisor's `init/1` returns.
///
/// | setting | default |
/// |---|---|
/// | [`intensity`](Self::intensity) | 3 restarts in any 5 s |
/// | [`named`](Self::named) | no name |
/// | [`with_id`](Self::with_id) | its name, or `"Supervisor"` |
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
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
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until started"]
pub struct SupervisorSpec {
    pub(crate) id: SharedStr,
    pub(crate) name: Option<SharedStr>,
    pub(crate) intensity: Intensity,
    pub(crate) children: Vec<ChildSpec>,
}

impl SupervisorSpec {
    /// Adds a child, after those added before: a [`ChildSpec`] or another `SupervisorSpec`.
    /// [`SupervisorSpec`] has an example.
    pub fn child(mut self, child: impl Into<ChildSpec>) -> Self {
        self.children.push(child.into());
        self
    }

    /// How many restarts it bears in any window of `period`; one more, and it stops its
    /// children and ends with [`RestartLimitReached`](crate::RestartLimitReached). 0
    /// means none. By default three in five seconds. A start that fails counts as well. OTP:
    /// `intensity` and `period`, by default one in five seconds.
    ///
    /// All its children share it, so `n` children that fall together are `n` restarts. Over
    /// levels they multiply: with the default on two levels a child may end 16 times before the
    /// upper one gives up. A period of zero is refused at the start.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, RestartLimitReached, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
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
    /// assert_eq!(start.elapsed().as_secs() / 3600, 8); // the eighth end was one too many
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.intensity = Intensity { restarts, period };
        self
    }

    /// The name it is registered under, and its id if [`with_id`](Self::with_id) gives no
    /// other after it. By default none. [`SupervisorRef::named`](crate::SupervisorRef::named)
    /// has an example.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = SharedStr::from(name.into());
        self.id = name.clone();
        self.name = Some(name);
        self
    }

    /// Its label in the log, and its id as another supervisor's child. By default its
    /// name, or `"Supervisor"`; so of two without a name in one tree, one needs another.
    /// [`SupervisorSpec`] has an example.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into().into();
        self
    }

    /// Refuses what can't work.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if self.intensity.period.is_zero() {
            let what = "the restart period is zero: give `intensity` a period above zero";
            return Err(StartError::Invalid(what.to_owned()));
        }
        let mut ids = HashSet::new();
        match self.children.iter().find(|child| !ids.insert(child.id.clone())) {
            Some(twice) => Err(StartError::DuplicateId(twice.id.to_string())),
            None => Ok(()),
        }
    }
}
