//! An observation: a picture of the trees, then each change.
//!
//! **Guarantees**
//! 1. A change that an observation delivers is not in the picture before it, and a change of the
//!    observed trees that is in no picture is delivered. [`collect`](super::collect) and
//!    [`change_log`](crate::observe::change_log) say how. Some kinds of changes are in no picture,
//!    and below a dynamic supervisor that has not answered, changes may also be in the picture.
//! 2. Changes are delivered in the order of their numbers.
//! 3. An observation that falls behind says how many changes it has missed, and then delivers a fresh
//!    picture. No process waits for an observation.
//! 4. An observation keeps no process alive, and a runtime only while it takes a picture or
//!    a sample.
//! 5. After a sample, a change that waits is delivered before the next sample.
//!
//! **States**
//!
//! ```text
//! needs a picture ── taken ──▶ follows ── too far behind: Missed ──▶ needs a picture
//!                                 │  └── the picture was partial, after a second ──▶ needs a picture
//!                                 └── the tree has ended, or the runtime is gone ──▶ over
//! ```

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::base::{Pid, TimeOfDay, consume_budget, with_caught_wakers};
use crate::kernel::Kernel;
use crate::observation::collect::{Collected, collect};
use crate::observation::included::{Included, View};
use crate::observation::sample::Sampler;
use crate::observation::{Missed, Picture, Sample};
use crate::observe::change::Origin;
use crate::observe::change_log::{ChangeLog, NextChange};
use crate::observe::{Change, ChangeKind, Counters, LogLevel};
use crate::runtime::Runtime;
use crate::time::timer_queue::after;

/// The number of children of a dynamic supervisor that a picture lists.
const LISTED: usize = 100;

/// How long a picture shows a child that ended cleanly.
const ENDED_FOR: Duration = Duration::from_secs(60);

/// When a partial picture is followed by another one.
const RETRY: Duration = Duration::from_secs(1);

/// What an [`Observation`] delivers. The [`Display`](std::fmt::Display) is text: a tree for a
/// picture, a line for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observed {
    /// The observed trees as they are now: first, after [`Missed`](Self::Missed), and after a
    /// picture in which a supervisor did not answer in time.
    Picture(Picture),
    /// A change since the last picture or change.
    Change(Change),
    /// The mailboxes and counters, if [samples](Observation::sample_every) were asked for.
    Sample(Sample),
    /// The observation fell behind, and has missed changes. A picture follows.
    Missed(Missed),
}

/// A subscription to supervision trees: a picture, then each change.
///
/// [`Runtime::observe`] observes all trees of a runtime,
/// [`SupervisorRef::observe`](crate::SupervisorRef::observe) one tree or a part of it.
///
/// A change has the path of its child, such as `app/ingest/feed`. It is in the picture or follows
/// it, never both, except below a supervisor whose children are
/// [last known](crate::Supervision::last_known). What no picture shows always follows: `restarting`,
/// `limit_reached`, `gave_up`, `shutdown_failed`, `slow_handler`, `deadlock` and `control`. No process
/// waits for an observation: one that is more than 1,024 changes behind misses some, says how many, and
/// catches up by a fresh picture.
///
/// While there is no observation, a change costs one load, except those that are kept for later
/// observations, such as a changed health: each is added to the record of its process. A message costs
/// nothing. While there is one, a change costs an allocation and two locks, and a message still costs nothing, unless
/// [mailboxes are tracked](Self::track_mailboxes). OTP has no counterpart: `observer` polls.
///
/// # Examples
///
/// ```
/// use regrow::{ChangeKind, ChildSpec, Observed, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
/// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
///
/// let mut observation = tree.observe()?;
/// let Some(Observed::Picture(picture)) = observation.next().await else { panic!() };
/// assert_eq!(picture.find("app/job").unwrap().restarts, 0);
///
/// rt.kill(rt.whereis("job").unwrap());
/// let mut seen = Vec::new();
/// while let Some(Observed::Change(change)) = observation.next().await {
///     assert_eq!(change.path, "app/job");
///     seen.push(change.kind.name());
///     if let ChangeKind::Started { .. } = change.kind {
///         break;
///     }
/// }
/// assert_eq!(seen, ["ended", "restarting", "starting", "started"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug)]
pub struct Observation {
    kernel: Weak<Kernel>,
    /// The number of the runtime, as a picture has it.
    program: u64,
    log: Arc<ChangeLog>,
    view: View,
    /// The number of the last change that was read.
    read: u64,
    included: Included,
    needs_picture: bool,
    /// When another picture follows, because the last one was partial.
    retry_at: Option<Instant>,
    sampler: Sampler,
    sample_at: Option<Instant>,
    /// Whether the last item was a sample.
    was_sample: bool,
    tracks: bool,
    /// The top of the observed tree, with which the observation ends.
    top: Option<Pid>,
    is_over: bool,
}

impl Observation {
    /// Observes all trees, until this supervisor ends, if it is given.
    pub(super) fn new(runtime: &Runtime, top: Option<Pid>) -> Self {
        let log = runtime.kernel.changes.clone();
        log.attach();
        Observation {
            kernel: Arc::downgrade(&runtime.kernel),
            program: runtime.kernel.instance,
            log,
            view: View {
                root: top,
                below: None,
                listed: LISTED,
                ended: usize::MAX,
                ended_for: ENDED_FOR,
            },
            read: 0,
            included: Included::default(),
            needs_picture: true,
            retry_at: None,
            sampler: Sampler::default(),
            sample_at: None,
            was_sample: false,
            tracks: false,
            top,
            is_over: false,
        }
    }

    /// Observes only this path and the paths below it, which need not exist yet. The ids in the path
    /// are escaped as in [`Change::path`]: the child `a/b` of `app` is `app/a%2Fb`. A child of a
    /// dynamic supervisor is shown however many other children there are; of several children with
    /// this id, [as many as are listed](Self::list_children), and one at least.
    ///
    /// ```
    /// use regrow::{Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let ingest = Supervisor::one_for_one().with_id("ingest");
    /// let tree = Supervisor::one_for_one().named("app").child(ingest).start(&rt).await?;
    /// let picture = rt.observe().below("app/ingest").picture().await;
    /// let paths: Vec<&str> = picture.nodes.iter().map(|node| node.path.as_str()).collect();
    /// assert_eq!(paths, ["app/ingest"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    #[must_use]
    pub fn below(mut self, path: impl Into<String>) -> Self {
        self.view.below = Some(path.into().into());
        self
    }

    /// Sets how many children of each dynamic supervisor a picture lists, the worst first. The
    /// default is 100. [`Supervision::folded`](crate::Supervision::folded) counts all of them.
    #[must_use]
    pub fn list_children(mut self, most: usize) -> Self {
        self.view.listed = most;
        self
    }

    /// Sets how many ended children of each supervisor a picture shows, the latest ones. Of the
    /// children that it has forgotten, a supervisor keeps the last 16 that crashed, and of those that
    /// ended cleanly the last 48, but only if they ended while there was an observation. The default
    /// is all; [`keep_ended_for`](Self::keep_ended_for) sets for how long.
    #[must_use]
    pub fn keep_ended(mut self, most: usize) -> Self {
        self.view.ended = most;
        self
    }

    /// Sets how long a picture shows a child that ended cleanly and that its supervisor has forgotten:
    /// [`PictureNode::ended`](crate::PictureNode::ended) is less than this time ago. The default is
    /// 60 s. A child that crashed is shown as long as its supervisor keeps it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, DynamicSupervisor, ExitReason, Restart, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let jobs = DynamicSupervisor::new().start(&rt).await?;
    /// let mut observation = jobs.observe()?.keep_ended_for(Duration::from_secs(10));
    /// let body = |_| async { Ok::<(), ExitReason>(()) };
    /// jobs.start_child(ChildSpec::task("job", body).restart(Restart::Temporary)).await?;
    /// tokio::time::sleep(Duration::from_secs(9)).await;
    /// assert_eq!(observation.picture().await.nodes.len(), 2); // the supervisor and the ended child
    /// tokio::time::sleep(Duration::from_secs(1)).await;
    /// assert_eq!(observation.picture().await.nodes.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    #[must_use]
    pub fn keep_ended_for(mut self, time: Duration) -> Self {
        self.view.ended_for = time;
        self
    }

    /// Delivers a [`Sample`] in this interval, in [`next`](Self::next): the mailboxes that have
    /// changed, the counts of children and budgets, and the counters. A sample reads the record of
    /// each process of the last picture, at most 10,000; messages cost nothing. An interval of less
    /// than 10 ms counts as 10 ms.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, Observed, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let mut observation = tree.observe()?.sample_every(Duration::from_secs(1));
    /// observation.next().await; // the picture
    /// rt.send_named("job", b"to do".to_vec());
    /// let Some(Observed::Sample(sample)) = observation.next().await else { panic!() };
    /// assert_eq!(sample.processes[0].path, "app/job");
    /// assert_eq!(sample.processes[0].mailbox.queued, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    #[must_use]
    pub fn sample_every(mut self, every: Duration) -> Self {
        self.sampler.every = Some(every.max(Duration::from_millis(10)));
        self
    }

    /// Tracks handlers while this observation exists: pictures and samples have the age of the
    /// oldest item of each mailbox and the callback that runs. The messages that are queued before
    /// that have no age. While it is on, each message costs one more allocation and two more locks,
    /// as with [`track_handlers`](Runtime::track_handlers).
    #[must_use]
    pub fn track_mailboxes(mut self) -> Self {
        if let Some(runtime) = self.runtime().filter(|_| !self.tracks) {
            runtime.add_tracker();
            self.tracks = true;
        }
        self
    }

    /// Waits for what is next: first a picture, then the changes. Returns `None` when the observed
    /// tree has ended, for an observation of one tree, or when the runtime is gone: its last process
    /// has ended and its last handle was dropped. [`Observation`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken nothing.
    pub async fn next(&mut self) -> Option<Observed> {
        consume_budget().await;
        while !self.is_over {
            if self.needs_picture || self.retry_at.is_some_and(|at| at <= Instant::now()) {
                return Some(Observed::Picture(self.take_picture().await));
            }
            // After a sample at least one change that waits is delivered before the next sample.
            let is_turn = !self.was_sample || matches!(self.log.after(self.read), NextChange::None);
            if is_turn && let Some(sample) = self.due_sample().await {
                self.was_sample = true;
                return Some(Observed::Sample(sample));
            }
            match self.log.after(self.read) {
                NextChange::Change(change) => {
                    if let Some(change) = self.accept(&change) {
                        self.was_sample = false;
                        return Some(Observed::Change(change));
                    }
                }
                NextChange::Missed(changes) => {
                    self.needs_picture = true;
                    self.read += changes;
                    let (seq, time) = (self.read, TimeOfDay::now());
                    return Some(Observed::Missed(Missed { seq, time, changes }));
                }
                NextChange::None => self.wait().await,
                NextChange::Closed => self.is_over = true,
            }
        }
        None
    }

    /// Takes a fresh picture. The changes that [`next`](Self::next) delivers continue from it.
    /// [`Picture::find`] has an example. If the runtime is gone, the picture is empty.
    ///
    /// The picture waits at most 250 ms for dynamic supervisors, and for nothing else. A dynamic
    /// supervisor with more than 1,024 children answers in parts, and has 10 ms more for each.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the changes continue as if no picture had been asked for.
    pub async fn picture(&mut self) -> Picture {
        consume_budget().await;
        self.take_picture().await
    }

    async fn take_picture(&mut self) -> Picture {
        let Some(runtime) = self.runtime() else {
            self.is_over = true;
            let (seq, time) = (self.read, TimeOfDay::now());
            let (program, nodes, counters) = (self.program, Vec::new(), Counters::default());
            let log_level = LogLevel::default();
            return Picture { seq, time, program, log_level, nodes, counters };
        };
        let Collected { picture, included, is_partial } = collect(&runtime, &self.view).await;
        let every = self.sampler.every;
        let sampled = self.sampler.followed(&picture).await;
        // From here on nothing waits, so that this future is dropped either before or after.
        // A tree that ended before the picture has no change that says so.
        self.is_over = self.top.is_some_and(|top| !included.has_root(top));
        // The changes before another picture may be of a kind that it does not show.
        if std::mem::take(&mut self.needs_picture) {
            self.read = picture.seq;
        }
        self.included = included;
        self.retry_at = is_partial.then(|| Instant::now() + RETRY);
        if let (Some(every), Some(sampled)) = (every, sampled) {
            self.sampler.follow(sampled);
            // Pictures may follow each other faster than samples, and put no sample off.
            let next = after(Instant::now(), every);
            self.sample_at = Some(self.sample_at.map_or(next, |due| due.min(next)));
        }
        picture
    }

    /// Notes that a change was read. Returns it, unless it is in the picture or is not observed.
    fn accept(&mut self, change: &Change) -> Option<Change> {
        self.read = change.seq;
        let is_included = self.included.includes(change);
        self.included.forget_after(change.seq);
        if is_included {
            return None;
        }
        let is_end =
            change.origin == Origin::Roots && matches!(change.kind, ChangeKind::Ended { .. });
        self.is_over = is_end && self.top.is_some() && change.pid == self.top;
        let is_of_runtime = change.root == Pid::OUTSIDE;
        let is_shown = self.view.shows_tree(change.root) && self.view.shows(&change.path);
        if !is_of_runtime && !is_shown {
            return None;
        }
        if self.sampler.every.is_some() {
            self.sampler.note(change);
        }
        Some(change.clone())
    }

    /// Takes a sample, if one is due.
    async fn due_sample(&mut self) -> Option<Sample> {
        let (every, due) = (self.sampler.every?, self.sample_at?);
        let now = Instant::now();
        if now < due {
            return None;
        }
        let sample = match self.runtime() {
            Some(runtime) => Some(self.sampler.take(&runtime, &self.view, self.read).await),
            None => None,
        };
        self.sample_at = Some(after(now, every));
        sample
    }

    /// Waits until a change is added, a sample is due, or another picture is due.
    async fn wait(&mut self) {
        let added = self.log.added();
        let mut added = pin!(added.notified());
        added.as_mut().enable();
        // A change that was added before the line above notifies no one.
        if !matches!(self.log.after(self.read), NextChange::None) {
            return;
        }
        let due = [self.retry_at, self.sample_at].into_iter().flatten().min();
        match due {
            Some(due) => drop(timeout_at(due, with_caught_wakers(added)).await),
            None => with_caught_wakers(added).await,
        }
    }

    fn runtime(&self) -> Option<Runtime> {
        Some(Runtime { kernel: self.kernel.upgrade()? })
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.log.detach();
        if let Some(runtime) = self.runtime().filter(|_| self.tracks) {
            runtime.remove_tracker();
        }
    }
}
