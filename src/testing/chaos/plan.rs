//! The plan of a chaos run: which faults may happen, what must hold, and what runs beside the tree.

use std::fmt;
use std::future::Future;
use std::ops::RangeInclusive;
use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

use crate::exit::Result;
use crate::runtime::Runtime;
use crate::testing::chaos::draw::Ranges;
use crate::testing::chaos::fault::Fault;
use crate::testing::chaos::invariants::{Check, Eventually, Verdict};
use crate::testing::chaos::tree::ChaosTree;

/// The longest time that a plan may last.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) type Work = Box<dyn FnOnce(Runtime) -> Pin<Box<dyn Future<Output = Result> + Send>>>;

/// The settings of the runs of [`chaos`](crate::testing::chaos()), which passes a plan to its
/// closure and has an example.
///
/// The closure is called for each run, before the tree is made: for each seed, and again when the
/// plan of a failing seed is repeated and shrunk. All times are times of the paused clock, and are
/// rounded to milliseconds.
///
/// | setting | default |
/// |---|---|
/// | [`duration`](Self::duration) | 60 s |
/// | [`faults`](Self::faults) | 1 to 6 |
/// | [`apart`](Self::apart) | 6 s |
/// | [`kinds`](Self::kinds) | all but lost messages, equally likely |
/// | [`hang_for`](Self::hang_for) | 10 ms to 5 s |
/// | [`slow_init_by`](Self::slow_init_by) | 10 ms to 2 s |
/// | [`failed_starts`](Self::failed_starts) | 1 to 2 |
/// | [`lost_messages`](Self::lost_messages) | 1 to 3 |
///
/// Faults hit the children that run at their time, but not the root; of a dynamic supervisor with
/// more than a hundred children, the first hundred.
///
/// With the defaults a hang and a slow start are over before the next fault, and one fault causes at
/// most three restarts. So a supervisor with the default intensity seldom gives up for these faults
/// alone.
pub struct ChaosPlan {
    seed: u64,
    pub(super) ranges: Ranges,
    pub(super) only: Vec<String>,
    pub(super) spared: Vec<String>,
    pub(super) always: Vec<Check>,
    pub(super) eventually: Vec<Eventually>,
    pub(super) workloads: Vec<Work>,
    pub(super) last: Vec<Work>,
    pub(super) may_end: bool,
}

impl ChaosPlan {
    pub(super) fn new(seed: u64) -> Self {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        ChaosPlan {
            seed,
            ranges: Ranges {
                kinds: vec![Fault::Kill, Fault::Hang, Fault::SlowInit, Fault::FailedStart],
                faults: 1..=6,
                duration: s(60),
                apart: s(6),
                hang: ms(10)..=s(5),
                slow_init: ms(10)..=s(2),
                failed_starts: 1..=2,
                lost_messages: 1..=3,
            },
            only: Vec::new(),
            spared: Vec::new(),
            always: Vec::new(),
            eventually: Vec::new(),
            workloads: Vec::new(),
            last: Vec::new(),
            may_end: false,
        }
    }

    /// The seed of this run, for generators of the test itself.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Sets the time within which the faults happen, from the time at which the tree has started.
    /// At most a year: a longer time counts as a year. With zero all faults happen at once.
    pub fn duration(&mut self, duration: Duration) -> &mut Self {
        self.ranges.duration = duration.min(LONGEST);
        self
    }

    /// Sets the number of faults. If so many do not fit into the duration, there are fewer.
    ///
    /// # Panics
    ///
    /// If the range is empty.
    pub fn faults(&mut self, faults: RangeInclusive<usize>) -> &mut Self {
        self.ranges.faults = not_empty(faults);
        self
    }

    /// Sets the least time between two faults. With zero they may happen at the same time; with a
    /// time beyond the duration there is only one.
    pub fn apart(&mut self, apart: Duration) -> &mut Self {
        self.ranges.apart = apart;
        self
    }

    /// Sets the kinds of faults. A kind that is given twice is drawn twice as often. Without kinds,
    /// no fault happens.
    ///
    /// The default leaves out [lost messages](Fault::LostMessages), because a regrow runtime loses
    /// no message that it has accepted, unless a full mailbox drops it or its receiver ends.
    ///
    /// ```
    /// use regrow::testing::{Fault, chaos};
    /// use regrow::{ChildSpec, Supervisor};
    ///
    /// let job = || ChildSpec::task("job", |_| std::future::pending());
    /// let report = chaos(1, || Supervisor::one_for_one().child(job()), |plan| {
    ///     plan.kinds([Fault::Kill]).faults(2..=2);
    /// });
    /// assert_eq!(report.faults(), 2);
    /// ```
    pub fn kinds(&mut self, kinds: impl IntoIterator<Item = Fault>) -> &mut Self {
        self.ranges.kinds = kinds.into_iter().collect();
        self
    }

    /// Sets how long a process [hangs](Fault::Hang).
    ///
    /// # Panics
    ///
    /// If the range is empty.
    pub fn hang_for(&mut self, time: RangeInclusive<Duration>) -> &mut Self {
        self.ranges.hang = not_empty(time);
        self
    }

    /// Sets how much longer a [slow start](Fault::SlowInit) takes.
    ///
    /// # Panics
    ///
    /// If the range is empty.
    pub fn slow_init_by(&mut self, time: RangeInclusive<Duration>) -> &mut Self {
        self.ranges.slow_init = not_empty(time);
        self
    }

    /// Sets how many starts in a row [fail](Fault::FailedStart).
    ///
    /// # Panics
    ///
    /// If the range is empty.
    pub fn failed_starts(&mut self, starts: RangeInclusive<usize>) -> &mut Self {
        self.ranges.failed_starts = not_empty(starts);
        self
    }

    /// Sets how many messages in a row are [lost](Fault::LostMessages).
    ///
    /// # Panics
    ///
    /// If the range is empty.
    pub fn lost_messages(&mut self, messages: RangeInclusive<usize>) -> &mut Self {
        self.ranges.lost_messages = not_empty(messages);
        self
    }

    /// Lets faults hit only the child with this path, and the children below it. A path has the ids
    /// from below the root, separated by `/`, as in [`TreeSnapshot::find`]. If this method is
    /// called several times, faults hit all these children. The root is never hit.
    ///
    /// [`TreeSnapshot::find`]: crate::TreeSnapshot::find
    pub fn only(&mut self, path: impl Into<String>) -> &mut Self {
        self.only.push(path.into());
        self
    }

    /// Lets no fault hit the child with this path, and the children below it. A child that is also
    /// named by [`only`](Self::only) is spared.
    pub fn spare(&mut self, path: impl Into<String>) -> &mut Self {
        self.spared.push(path.into());
        self
    }

    /// Adds an invariant: what holds from the time at which the tree has started until it is
    /// stopped. The closure is called after every poll and every end of a process, and after each
    /// fault. It returns `bool`, or a `Result` whose error says why the invariant does not hold; a
    /// panic counts as an error too.
    ///
    /// The closure runs between two polls of processes, so it must not wait for a process.
    #[track_caller]
    pub fn always<V: Verdict>(
        &mut self,
        holds: impl FnMut(&ChaosTree) -> V + Send + 'static,
    ) -> &mut Self {
        self.always.push(Check::new(Location::caller(), holds));
        self
    }

    /// Adds what becomes true within this time after the last fault is over, however the tree
    /// looked before. The closure is called as that of [`always`](Self::always), from the end of
    /// the last fault until it returns true, and once more when the time is over. Its error or
    /// panic means "not yet".
    ///
    /// A hang or a slow start is over when its time is over; every other fault when it has
    /// happened.
    #[track_caller]
    pub fn eventually<V: Verdict>(
        &mut self,
        within: Duration,
        holds: impl FnMut(&ChaosTree) -> V + Send + 'static,
    ) -> &mut Self {
        let check = Check::new(Location::caller(), holds);
        self.eventually.push(Eventually::new(within.min(LONGEST), check));
        self
    }

    /// Adds a client of the tree, which runs beside it as a task of tokio. An `Err` or a panic
    /// fails the run, and so does a workload that has not returned an hour after the last fault is
    /// over.
    pub fn workload<F, Fut>(&mut self, work: F) -> &mut Self
    where
        F: FnOnce(Runtime) -> Fut + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        self.workloads.push(Box::new(|runtime| Box::pin(work(runtime))));
        self
    }

    /// Adds a last check that may call the servers of the tree. It runs after all faults are over,
    /// all workloads have returned, and all that is to hold [eventually](Self::eventually) has
    /// held. An `Err` or a panic fails the run, and so does a check that takes more than an hour.
    pub fn finally<F, Fut>(&mut self, work: F) -> &mut Self
    where
        F: FnOnce(Runtime) -> Fut + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        self.last.push(Box::new(|runtime| Box::pin(work(runtime))));
        self
    }

    /// Lets the tree end by itself, for example because its restart budget is used up: the run is
    /// then over, and nothing that was due later is checked. By default such an end fails the run.
    pub fn may_end(&mut self) -> &mut Self {
        self.may_end = true;
        self
    }

    /// Whether a fault may hit the child with this path.
    pub(super) fn may_hit(&self, path: &str) -> bool {
        let is_in = |of: &String| {
            let rest = path.strip_prefix(of.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        (self.only.is_empty() || self.only.iter().any(is_in)) && !self.spared.iter().any(is_in)
    }
}

fn not_empty<T: PartialOrd + fmt::Debug>(range: RangeInclusive<T>) -> RangeInclusive<T> {
    assert!(!range.is_empty(), "the range {range:?} is empty: its start is above its end");
    range
}

impl fmt::Debug for ChaosPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChaosPlan { seed, ranges, .. } = self;
        f.debug_struct("ChaosPlan")
            .field("seed", seed)
            .field("ranges", ranges)
            .finish_non_exhaustive()
    }
}
