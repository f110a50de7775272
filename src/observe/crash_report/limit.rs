//! The limit of crash reports in a storm of crashes.
//!
//! **Guarantee.** Of each path at most [`max`](Limits::max) reports are made in a window of the
//! length [`within`](Limits::within). Each crash is either reported, or counted as left out in a later
//! report: the next one with its path, as long as at most [`MAX_PATHS`] paths crash in a window. What
//! further paths have left out is counted by the next report of any path. The memory is bounded,
//! however many paths there are.
//!
//! A window begins with the first report after the end of the window before. So a path that is
//! silent has no window that runs.
//!
//! **Invariants**
//! 1. The numbers of reports that were made and left out add up to the number of crashes.
//! 2. At most [`MAX_PATHS`] paths have an entry of their own. Further paths share one entry: their
//!    reports are limited together. The next report of any path counts what was left out of all of
//!    them.
//! 3. When the table is full, entries whose window is over make room. What they had left out is
//!    added to the shared entry, so no count is lost.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::random::MapHasher;
use crate::base::{PlainMutex, SharedStr};

/// The number of paths that have an entry of their own.
const MAX_PATHS: usize = 1_024;

/// The time between two searches of a full table for entries that can make room.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// The limit of the reports of each path: five in a minute by default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max: u32,
    pub(crate) within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max: 5, within: Duration::from_secs(60) }
    }
}

/// The limiter of a runtime.
#[derive(Debug, Default)]
pub(crate) struct ReportLimiter(PlainMutex<State>);

#[derive(Debug, Default)]
struct State {
    limits: Limits,
    paths: HashMap<SharedStr, Window, MapHasher>,
    /// The entry of the paths that have none of their own.
    shared: Window,
    searched: Option<Instant>,
    left_out: u64,
}

/// The reports of one path.
#[derive(Debug, Default)]
struct Window {
    /// When the window began; `None` before the first report.
    since: Option<Instant>,
    /// The number of reports in this window.
    made: u32,
    /// The number of reports that were left out since the last report.
    left_out: u64,
}

impl ReportLimiter {
    pub(crate) fn set(&self, limits: Limits) {
        self.0.lock().limits = limits;
    }

    /// The number of all reports that were left out.
    pub(crate) fn left_out(&self) -> u64 {
        self.0.lock().left_out
    }

    /// Decides whether a report with this path is made at `now`. If it is, returns how many reports
    /// were left out since the last one.
    pub(crate) fn admit(&self, path: &SharedStr, now: Instant) -> Option<u64> {
        let state = &mut *self.0.lock();
        let limits = state.limits;
        let admitted = state.window(path, now).admit(limits, now);
        state.left_out += u64::from(admitted.is_none());
        // A path of the shared entry may have an entry of its own by now.
        admitted.map(|left_out| left_out + std::mem::take(&mut state.shared.left_out))
    }
}

impl State {
    /// Returns the entry of a path, or the shared entry (invariant 2).
    fn window(&mut self, path: &SharedStr, now: Instant) -> &mut Window {
        let is_new = !self.paths.contains_key(path);
        if is_new && self.paths.len() >= MAX_PATHS {
            self.make_room(now);
            if self.paths.len() >= MAX_PATHS {
                return &mut self.shared;
            }
        }
        self.paths.entry(path.clone()).or_default()
    }

    /// Removes the entries whose window is over (invariant 3).
    fn make_room(&mut self, now: Instant) {
        let searched_at = self.searched.filter(|at| now.duration_since(*at) < SEARCH_EVERY);
        if searched_at.is_some() {
            return;
        }
        self.searched = Some(now);
        let State { limits, paths, shared, .. } = self;
        paths.retain(|_, window| {
            let is_over = window.is_over(*limits, now);
            if is_over {
                shared.left_out += window.left_out;
            }
            !is_over
        });
    }
}

impl Window {
    fn is_over(&self, limits: Limits, now: Instant) -> bool {
        self.since.is_none_or(|since| now.duration_since(since) >= limits.within)
    }

    fn admit(&mut self, limits: Limits, now: Instant) -> Option<u64> {
        if self.is_over(limits, now) {
            (self.since, self.made) = (Some(now), 0);
        }
        if self.made >= limits.max {
            self.left_out += 1;
            return None;
        }
        self.made += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, MAX_PATHS, ReportLimiter};
    use crate::base::SharedStr;
    use std::time::Duration;
    use tokio::time::Instant;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn each_path_has_five_reports_a_minute_and_the_next_report_counts_what_was_left_out() {
        let (limiter, start) = (ReportLimiter::default(), Instant::now());
        let (path, other): (SharedStr, SharedStr) = ("a/b".into(), "a/c".into());
        let admitted = (0..12).filter_map(|_| limiter.admit(&path, start)).collect::<Vec<_>>();
        assert_eq!(admitted, [0; 5]);
        assert_eq!(limiter.admit(&other, start), Some(0), "the limit is one of each path");
        assert_eq!(limiter.admit(&path, start + MINUTE / 2), None);
        assert_eq!(limiter.admit(&path, start + MINUTE), Some(8));
        assert_eq!(limiter.admit(&path, start + MINUTE), Some(0), "the count begins anew");
        assert_eq!(limiter.left_out(), 8);
        limiter.set(Limits { max: 0, within: MINUTE });
        assert_eq!(limiter.admit(&other, start + MINUTE * 9), None);
    }

    #[test]
    fn what_a_path_without_an_entry_left_out_is_counted_when_it_has_one() {
        let (limiter, start) = (ReportLimiter::default(), Instant::now());
        for n in 0..MAX_PATHS {
            limiter.admit(&format!("a/{n}").into(), start);
        }
        let late: SharedStr = "late".into();
        let made = (0..7).filter_map(|_| limiter.admit(&late, start)).collect::<Vec<_>>();
        assert_eq!(made, [0; 5]);
        assert_eq!(limiter.admit(&late, start + MINUTE), Some(2));
        assert!(limiter.0.lock().paths.contains_key(&late), "it has an entry of its own");
    }

    #[test]
    fn any_number_of_paths_takes_bounded_memory_and_loses_no_count() {
        let (limiter, start) = (ReportLimiter::default(), Instant::now());
        let (mut made, mut told, mut crashes) = (0, 0, 0);
        for round in 0..4 {
            let now = start + MINUTE * round;
            for n in 0..2 * MAX_PATHS {
                let path = format!("a/{round}/{n}").into();
                for _ in 0..7 {
                    crashes += 1;
                    if let Some(left_out) = limiter.admit(&path, now) {
                        (made, told) = (made + 1, told + left_out);
                    }
                }
            }
            assert!(limiter.0.lock().paths.len() <= MAX_PATHS);
        }
        assert_eq!(made + limiter.left_out(), crashes);
        let state = limiter.0.lock();
        let waiting: u64 = state.paths.values().map(|window| window.left_out).sum();
        assert_eq!(told + waiting + state.shared.left_out, state.left_out);
    }
}
