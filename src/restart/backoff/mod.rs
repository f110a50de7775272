//! The settings of a backoff. `delays` computes the delays and limits that follow from them.

mod delays;

use std::time::Duration;

/// The settings of the delay before each restart of a child.
///
/// The delay grows with each restart, up to a limit, and is reset when the child has run for
/// [`reset_after`](Self::reset_after). OTP has no counterpart: there a restart is never delayed,
/// and an outage of a few seconds uses up the usual budgets.
///
/// [`ChildSpec::backoff`](crate::ChildSpec::backoff) sets the backoff of one child, and
/// [`SupervisorSpec::backoff`](crate::SupervisorSpec::backoff) that of all children without one of
/// their own. By default no restart is delayed.
///
/// | setting | default |
/// |---|---|
/// | [`first`](Self::first) | 1 s |
/// | [`factor`](Self::factor) | 2 |
/// | [`max`](Self::max) | 30 s |
/// | [`jitter`](Self::jitter) | 0.5: half of each delay is fixed, half is random |
/// | [`reset_after`](Self::reset_after) | as long as `max` |
/// | [`give_up_after`](Self::give_up_after) | 15 minutes without a healthy run |
///
/// # What happens to a child that fails again and again
///
/// A delayed restart counts against no budget: the delay limits the cost of a failing child.
/// Instead the supervisor gives up when a child had no healthy run for
/// [`give_up_after`](Self::give_up_after). A run is healthy if it lasts at least
/// [`reset_after`](Self::reset_after). So a supervisor survives an outage of ten minutes, however
/// many of its children fail during the outage, and a child that never recovers ends its
/// supervisor. With the default budget of 3 restarts within any 5 s:
///
/// | the child ends | without a backoff | with the default backoff |
/// |---|---|---|
/// | at once | given up at the 4th end, within milliseconds | tried after 1, 2, 4, 8, 16, 30, 30 … s, less up to half; given up after 15 minutes |
/// | 1 s after each start | given up at the 4th end, after 4 s | as above, 1 s later each time |
/// | 2 s after each start | restarted for ever: never four in 5 s | as above, 2 s later each time |
/// | 30 s after each start | restarted for ever, at once | restarted for ever, after 0.5–1 s: a run of 30 s is healthy |
///
/// A supervisor that allows no restart, by `intensity(0, ..)`, gives up at once. A supervisor with
/// [`unlimited_restarts`](crate::SupervisorSpec::unlimited_restarts) never gives up, unless
/// `give_up_after` is set.
///
/// # While a restart is delayed
///
/// The supervisor goes on with all other work. The state of the child is
/// [`Restarting`](crate::ChildState::Restarting), with the time that is left of the delay, and
/// calls by name fail with [`Restarting`](crate::CallError::Restarting) and the same time.
/// `terminate_child` and a stop of the supervisor cancel the restart. If `restart_child` then
/// starts the child, its next delay is the first one again.
///
/// When a group restarts, the backoff of the child that failed applies to the group: the other
/// members are stopped at once, and started again with that child. If the start of another member
/// then fails, the backoff of that member applies from there on.
///
/// # Examples
///
/// ```
/// use regrow::{Backoff, ChildSpec, ChildState, ExitReason, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let (start, mut starts) = tokio::sync::mpsc::unbounded_channel();
/// let database = ChildSpec::task("database", |_| async move {
///     start.send(tokio::time::Instant::now())?;
///     Err(ExitReason::crashed("connection refused"))
/// });
/// let backoff = Backoff::new().jitter(0.0);
/// let tree = Supervisor::one_for_one().child(database.backoff(backoff)).start(&rt).await?;
///
/// let first = starts.recv().await.unwrap();
/// for seconds in [1, 1 + 2, 1 + 2 + 4, 1 + 2 + 4 + 8, 1 + 2 + 4 + 8 + 16] {
///     assert_eq!((starts.recv().await.unwrap() - first).as_secs(), seconds);
/// }
/// let state = loop {
///     match tree.which_child("database").await?.state {
///         ChildState::Running(_) => tokio::task::yield_now().await, // about to fail
///         state => break state,
///     }
/// };
/// let ChildState::Restarting { retry_in: Some(left) } = state else { panic!("{state:?}") };
/// assert_eq!(left.as_secs_f64().ceil(), 30.0); // the longest
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a backoff does nothing until it is set on a child or a supervisor"]
pub struct Backoff {
    first: Duration,
    factor: f64,
    max: Duration,
    jitter: f64,
    reset_after: Option<Duration>,
    give_up: GiveUp,
}

/// The time after which a child without a healthy run is given up.
#[derive(Debug, Clone, Copy, PartialEq)]
enum GiveUp {
    /// After [`PATIENCE`], or after four times the sum of `max` and `reset_after` where that is
    /// longer.
    Default,
    After(Duration),
    Never,
}

/// How long a child may go without a healthy run by default. This is longer than an outage of ten
/// minutes, the longest delay and a healthy run together.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

impl Default for Backoff {
    /// Returns the same as [`Backoff::new`].
    fn default() -> Self {
        Backoff::new()
    }
}

impl Backoff {
    /// Returns a backoff with the default settings: the delays double, from one second up to
    /// thirty. [`Backoff`] has an example.
    pub const fn new() -> Self {
        Backoff {
            first: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter: 0.5,
            reset_after: None,
            give_up: GiveUp::Default,
        }
    }

    /// Returns a backoff without delays, for a child under a supervisor that sets a backoff for its
    /// children. [`SupervisorSpec::backoff`](crate::SupervisorSpec::backoff) has an example.
    pub const fn none() -> Self {
        let none = Duration::ZERO;
        Backoff { first: none, factor: 1.0, max: none, jitter: 0.0, ..Backoff::new() }
    }

    /// Sets the delay of the first restart, by default one second. A delay of zero or above
    /// [`max`](Self::max) is refused at the start. [`Backoff`] has an example.
    pub const fn first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// Sets the ratio of each delay to the one before, by default 2. A factor of 1 keeps the delay
    /// the same; a factor below 1 is refused at the start.
    ///
    /// ```
    /// use regrow::{Backoff, ChildSpec, Runtime, StartError, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let child = ChildSpec::task("child", |_| std::future::pending());
    /// let child = child.backoff(Backoff::new().factor(0.5));
    /// let error = Supervisor::one_for_one().child(child).start(&rt).await.unwrap_err();
    /// let StartError::Invalid(what) = error else { panic!("{error:?}") };
    /// assert!(what.contains("factor"));
    /// # }));
    /// ```
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the longest delay, by default 30 seconds. [`delay`](Self::delay) has an example.
    pub const fn max(mut self, max: Duration) -> Self {
        self.max = max;
        self
    }

    /// Sets the random share of each delay, by default 0.5. With 0 no part of the delay is random,
    /// with 1 the whole delay is.
    ///
    /// With jitter, children that failed at the same time are restarted at different times. Jitter
    /// only makes delays shorter. [`delay`](Self::delay) has an example.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.jitter = share;
        self
    }

    /// Sets the shortest length of a healthy run. After a healthy run, the next delay is the first
    /// one again. By default the length is the same as [`max`](Self::max).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Backoff, ChildSpec, ExitReason, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (start, mut starts) = tokio::sync::mpsc::unbounded_channel();
    /// let minutely = ChildSpec::task("minutely", |_| async move {
    ///     start.send(tokio::time::Instant::now())?;
    ///     tokio::time::sleep(Duration::from_secs(60)).await;
    ///     Err(ExitReason::crashed("once a minute"))
    /// });
    /// let backoff = Backoff::new().jitter(0.0).reset_after(Duration::from_secs(60));
    /// let tree = Supervisor::one_for_one().child(minutely.backoff(backoff)).start(&rt).await?;
    /// let first = starts.recv().await.unwrap();
    /// for minutes in 1..9 {
    ///     let restarted = starts.recv().await.unwrap() - first;
    ///     assert_eq!(restarted.as_secs(), minutes * 61); // always the first delay
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub const fn reset_after(mut self, healthy: Duration) -> Self {
        self.reset_after = Some(healthy);
        self
    }

    /// Sets how long a child may go without a healthy run before its supervisor gives up.
    ///
    /// The default is 15 minutes, or four times the sum of [`max`](Self::max) and
    /// [`reset_after`](Self::reset_after) where that is longer; under a supervisor with
    /// [`unlimited_restarts`](crate::SupervisorSpec::unlimited_restarts) there is no limit by
    /// default.
    ///
    /// The time is counted from the end of the last healthy run, or from the start of the first run
    /// that was not healthy. The supervisor checks it when the child ends, or when a start of the
    /// child fails, and gives up with [`RestartLimitReached`](crate::RestartLimitReached). A
    /// dynamic supervisor with a [`child_intensity`](crate::DynamicSupervisor::child_intensity)
    /// does what its [`Exhausted`](crate::Exhausted) value says instead. A limit that is not above
    /// `reset_after` leaves no time for a healthy run, and is refused at the start.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Backoff, ChildSpec, ExitReason, Limit, RestartLimitReached, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let feed = ChildSpec::task("feed", |_| async { Err(ExitReason::crashed("no route")) });
    /// let patient = Backoff::new().give_up_after(Duration::from_secs(3600));
    /// let start = tokio::time::Instant::now();
    /// let tree = Supervisor::one_for_one().child(feed.backoff(patient)).start(&Runtime::new()).await?;
    ///
    /// let reason = tree.ended().await;
    /// let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
    /// assert_eq!((limit.child.as_str(), limit.limit), ("feed", Limit::NoHealthyRun));
    /// assert_eq!((limit.period, start.elapsed().as_secs() / 60), (Duration::from_secs(3600), 60));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub const fn give_up_after(mut self, limit: Duration) -> Self {
        self.give_up = GiveUp::After(limit);
        self
    }

    /// Restarts a child for ever, also without a healthy run. By default its supervisor gives up,
    /// see [`give_up_after`](Self::give_up_after).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Backoff, ChildSpec, ChildState, ExitReason, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let feed = ChildSpec::task("feed", |_| async { Err(ExitReason::crashed("no route")) });
    /// let feed = feed.backoff(Backoff::new().never_give_up());
    /// let tree = Supervisor::one_for_one().child(feed).start(&Runtime::new()).await?;
    /// tokio::time::sleep(Duration::from_secs(3600)).await;
    /// let feed = tree.which_child("feed").await?;
    /// assert!(matches!(feed.state, ChildState::Restarting { .. }) && feed.restarts > 80);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub const fn never_give_up(mut self) -> Self {
        self.give_up = GiveUp::Never;
        self
    }

    /// Returns whether restarts are delayed: false only for [`none`](Self::none).
    pub(crate) fn has_delay(&self) -> bool {
        *self != Backoff::none()
    }

    /// Checks the settings. The error names the setting that cannot work, and the remedy.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !self.has_delay() {
            return Ok(());
        }
        if self.first.is_zero() {
            return Err("the first delay of a backoff is zero: use `Backoff::none()` for no delay");
        }
        if self.first > self.max {
            return Err("the first delay of a backoff is longer than its `max`: raise `max`");
        }
        if !(self.factor.is_finite() && self.factor >= 1.0) {
            return Err("the factor of a backoff must be a finite number of at least 1");
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err("the jitter of a backoff must be from 0 to 1");
        }
        if let GiveUp::After(limit) = self.give_up
            && limit <= self.healthy_run()
        {
            return Err("a backoff gives up before a run can be healthy: `give_up_after` must be \
                 longer than `reset_after`, which by default is `max`");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
