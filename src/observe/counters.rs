//! Monotonic counters of a runtime.
//!
//! **Guarantee.** Each event is counted once, when it happens, whether or not there is a listener.
//! No counter ever decreases.
//!
//! **Cost.** The end of a process costs one relaxed addition. Messages are counted only where they
//! are lost. A restart takes a lock, which is taken for nothing else but the reading of the counters.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::padded::Padded;
use crate::base::{PlainMutex, SharedStr};
use crate::exit::ExitReason;
use crate::observe::exit_class::ExitClass;

/// The number of paths whose restarts are counted apart. Later paths are counted under
/// [`OTHERS`].
const MOST_PATHS: usize = 10_000;

/// The path under which the restarts of the children beyond [`MOST_PATHS`] are counted.
pub(crate) const OTHERS: &str = "…";

/// The counters of a runtime since its creation. [`Runtime::counters`](crate::Runtime::counters)
/// returns them, and has an example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// The processes that were spawned.
    pub spawned: u64,
    /// The processes that have ended, by the class of their reasons.
    pub ended: EndedCounts,
    /// The messages, streams, casts and calls that a full mailbox refused. The sender got an error.
    pub refused: u64,
    /// The messages, streams, casts and calls that a full mailbox dropped, the new one or an older
    /// one, as its [`Overflow`](crate::Overflow) policy says. The sender got no error.
    pub dropped: u64,
    /// The messages that ended processes have left unhandled.
    pub unhandled: u64,
    /// The calls that got no answer within their time limit.
    pub timed_out: u64,
    /// The failed handlers after which their servers have gone on, as
    /// [`on_failure`](crate::ChildSpec::on_failure) says.
    pub resumed: u64,
    /// The restarts and give-ups of children, sorted by path. A child that was never restarted and
    /// never given up has no entry.
    pub children: Vec<ChildCounters>,
}

/// The numbers of ended processes, in [`Counters`], by [`ExitClass`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EndedCounts {
    /// Ended with the class [`Normal`](ExitClass::Normal).
    pub normal: u64,
    /// Ended with the class [`Shutdown`](ExitClass::Shutdown).
    pub shutdown: u64,
    /// Ended with the class [`Error`](ExitClass::Error).
    pub error: u64,
    /// Ended with the class [`Panic`](ExitClass::Panic).
    pub panic: u64,
    /// Ended with the class [`Killed`](ExitClass::Killed).
    pub killed: u64,
    /// Ended with the class [`NoProcess`](ExitClass::NoProcess).
    pub no_process: u64,
}

impl EndedCounts {
    /// Returns the sum of all classes. [`Runtime::counters`](crate::Runtime::counters) has an
    /// example.
    pub fn total(&self) -> u64 {
        let EndedCounts { normal, shutdown, error, panic, killed, no_process } = self;
        normal + shutdown + error + panic + killed + no_process
    }
}

/// The restarts of the children of one path, in [`Counters`].
///
/// All children below a dynamic supervisor are counted together, at the path of that supervisor and
/// `/*`, so that the number of paths stays small. A runtime counts 10,000 paths apart; the children of
/// further paths are counted together, at the path `…`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildCounters {
    /// The path, as in [`Change::path`](crate::Change::path).
    pub path: SharedStr,
    /// The restarts that were decided.
    pub restarts: u64,
    /// How often a restart limit was reached: the child was given up, or its supervisor ended.
    pub give_ups: u64,
}

/// The counters that are not counted elsewhere in the kernel.
#[derive(Debug, Default)]
pub(crate) struct CounterCells {
    ended: Padded<[AtomicU64; 6]>,
    timed_out: AtomicU64,
    resumed: AtomicU64,
    children: PlainMutex<BTreeMap<SharedStr, [u64; 2]>>,
}

impl CounterCells {
    /// Counts the end of a process.
    #[inline]
    pub(crate) fn count_end(&self, reason: &ExitReason) {
        let class = match ExitClass::of(reason) {
            ExitClass::Normal => 0,
            ExitClass::Shutdown => 1,
            ExitClass::Error => 2,
            ExitClass::Panic => 3,
            ExitClass::Killed => 4,
            ExitClass::NoProcess => 5,
        };
        self.ended[class].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_time_out(&self) {
        self.timed_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_resume(&self) {
        self.resumed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_restart(&self, path: &SharedStr) {
        self.count_child(path, 0);
    }

    pub(crate) fn count_give_up(&self, path: &SharedStr) {
        self.count_child(path, 1);
    }

    fn count_child(&self, path: &SharedStr, which: usize) {
        let mut children = self.children.lock();
        if let Some(counts) = children.get_mut(path) {
            counts[which] += 1;
            return;
        }
        let path = if children.len() >= MOST_PATHS { OTHERS.into() } else { path.clone() };
        children.entry(path).or_default()[which] += 1;
    }

    /// Reads the counters of this value without those of the children.
    pub(crate) fn totals(&self) -> Counters {
        let [normal, shutdown, error, panic, killed, no_process] =
            [0, 1, 2, 3, 4, 5].map(|class| self.ended[class].load(Ordering::Relaxed));
        Counters {
            ended: EndedCounts { normal, shutdown, error, panic, killed, no_process },
            timed_out: self.timed_out.load(Ordering::Relaxed),
            resumed: self.resumed.load(Ordering::Relaxed),
            ..Counters::default()
        }
    }

    /// Reads the counters of the children after this path, in the order of their paths: at most `most`.
    pub(crate) fn children(&self, after: Option<&SharedStr>, most: usize) -> Vec<ChildCounters> {
        let of = |(path, [restarts, give_ups]): (&SharedStr, &[u64; 2])| ChildCounters {
            path: path.clone(),
            restarts: *restarts,
            give_ups: *give_ups,
        };
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all_after = (after, Bound::Unbounded);
        let children = self.children.lock();
        children.range::<SharedStr, _>(all_after).take(most).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{CounterCells, MOST_PATHS, OTHERS};

    #[test]
    fn the_number_of_paths_is_bounded() {
        let cells = CounterCells::default();
        for n in 0..MOST_PATHS + 5 {
            cells.count_restart(&n.to_string().into());
        }
        cells.count_give_up(&"7".into());
        let children = cells.children(None, usize::MAX);
        assert_eq!(children.len(), MOST_PATHS + 1);
        let of = |path: &str| children.iter().find(|child| child.path == path);
        assert_eq!(of(OTHERS).map(|others| others.restarts), Some(5));
        assert_eq!(of("7").map(|child| (child.restarts, child.give_ups)), Some((1, 1)));
    }

    #[test]
    fn the_children_are_read_in_parts_by_their_paths() {
        let cells = CounterCells::default();
        (0..100).rev().for_each(|n| cells.count_restart(&format!("{n:02}").into()));
        let mut read = Vec::new();
        loop {
            let part = cells.children(read.last(), 7);
            assert!(part.len() <= 7);
            read.extend(part.iter().map(|child| child.path.clone()));
            if part.is_empty() {
                break;
            }
        }
        assert!(read.is_sorted() && read.len() == 100);
    }
}
