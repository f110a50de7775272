//! The restart limit of a supervisor, or of one dynamic child: a sliding window of counted
//! restarts.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::SharedStr;
use crate::time::timer_queue::after;

/// How many restarts are allowed. OTP: `intensity` and `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intensity {
    /// At most `restarts` within any `period`.
    Limited {
        restarts: u32,
        period: Duration,
    },
    Unlimited,
}

impl Default for Intensity {
    /// Three restarts within five seconds.
    fn default() -> Self {
        Intensity::Limited { restarts: 3, period: Duration::from_secs(5) }
    }
}

impl Intensity {
    /// Refuses a period of zero. The error names `setting` as the setting to change.
    pub(crate) fn check(self, setting: &str) -> Result<(), String> {
        match self {
            Intensity::Limited { period: Duration::ZERO, .. } => {
                Err(format!("the restart period is zero: give `{setting}` a period above zero"))
            }
            _ => Ok(()),
        }
    }

    /// Returns how many restarts are allowed within a period; `None` if there is no limit.
    pub(crate) fn restarts(self) -> Option<u32> {
        match self {
            Intensity::Limited { restarts, .. } => Some(restarts),
            Intensity::Unlimited => None,
        }
    }

    /// Returns whether the limit allows no restart at all.
    pub(crate) fn forbids_restarts(self) -> bool {
        matches!(self, Intensity::Limited { restarts: 0, .. })
    }
}

/// The child that a restart is counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    /// A number that identifies the child. The id does not: under a dynamic supervisor several
    /// children may have the same id.
    pub(crate) number: u64,
    pub(crate) id: SharedStr,
}

/// The counted restarts, oldest first, each with its time and its child. Restarts that are a period
/// old or older are removed only by the next [`spend`](Self::spend).
#[derive(Debug, Default)]
pub(crate) struct Window(VecDeque<(Instant, Counted)>);

impl Window {
    /// Counts a restart of this child at `now`, or refuses the restart if it would exceed the
    /// limit. Restarts that are a period old or older no longer count, and are removed.
    pub(crate) fn spend(
        &mut self,
        limit: Intensity,
        now: Instant,
        child: impl FnOnce() -> Counted,
    ) -> Result<(), Exceeded> {
        let Intensity::Limited { restarts, period } = limit else { return Ok(()) };
        while self.0.front().is_some_and(|(old, _)| now.duration_since(*old) >= period) {
            self.0.pop_front();
        }
        if self.0.len() >= restarts as usize {
            return Err(Exceeded::Budget { restarts, period });
        }
        self.0.push_back((now, child()));
        Ok(())
    }

    /// Returns the children of the counted restarts, oldest restart first.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &Counted> {
        self.0.iter().map(|(_, child)| child)
    }

    /// Returns the time at which the limit allows the next restart, after a restart was refused:
    /// one period after the oldest counted restart. If no restart is counted, returns one period
    /// after `now`. Without a limit, returns `now`.
    pub(crate) fn next_allowed_at(&self, limit: Intensity, now: Instant) -> Instant {
        let Intensity::Limited { period, .. } = limit else { return now };
        after(self.0.front().map_or(now, |(oldest, _)| *oldest), period)
    }

    /// Returns how many more restarts are allowed now; `None` if there is no limit.
    pub(crate) fn left(&self, limit: Intensity, now: Instant) -> Option<u32> {
        let Intensity::Limited { restarts, period } = limit else { return None };
        // The restarts are in order of time, so a binary search finds the first that counts.
        let past = self.0.partition_point(|(old, _)| now.duration_since(*old) >= period);
        let counted = self.0.len() - past;
        Some(restarts.saturating_sub(u32::try_from(counted).unwrap_or(u32::MAX)))
    }

    /// Returns the budget at `now`; `None` if there is no limit.
    pub(crate) fn budget(&self, limit: Intensity, now: Instant) -> Option<RestartBudget> {
        let left = self.left(limit, now)?;
        let Intensity::Limited { restarts, period } = limit else { return None };
        Some(RestartBudget { left, restarts, period })
    }
}

/// The number of restarts that a supervisor allows, and the number of restarts that are left.
/// [`TreeSnapshot`](crate::TreeSnapshot) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartBudget {
    /// How many restarts are left, as the supervisor last published it.
    pub left: u32,
    /// How many restarts the supervisor allows within any `period`.
    pub restarts: u32,
    /// The length of the window.
    pub period: Duration,
}

/// The limit that a restart would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// The restart would be one more than the window allows.
    Budget { restarts: u32, period: Duration },
    /// The child, which has a backoff, had no healthy run for the time `within`, in spite of
    /// `tries` delayed restarts.
    NoHealthyRun { tries: u32, within: Duration },
}

#[cfg(test)]
mod tests {
    use super::{Counted, Exceeded, Intensity, Window};
    use std::time::Duration;
    use tokio::time::Instant;

    fn child() -> Counted {
        Counted { number: 1, id: "child".into() }
    }

    #[test]
    fn a_restart_that_is_a_period_old_counts_no_more() {
        let period = Duration::from_secs(1);
        let limit = Intensity::Limited { restarts: 1, period };
        let start = Instant::now();
        let mut window = Window::default();
        assert_eq!(window.left(limit, start), Some(1));
        assert_eq!(window.spend(limit, start, child), Ok(()));
        assert_eq!(window.left(limit, start), Some(0));
        let second = start + period;
        assert_eq!(window.left(limit, second), Some(1));
        assert_eq!(window.spend(limit, second, child), Ok(()));
        let early = second + Duration::from_millis(999);
        assert_eq!(
            window.spend(limit, early, child),
            Err(Exceeded::Budget { restarts: 1, period })
        );
    }

    #[test]
    fn a_limit_of_zero_refuses_all_restarts_and_unlimited_refuses_none() {
        let now = Instant::now();
        let none = Intensity::Limited { restarts: 0, period: Duration::from_secs(1) };
        assert!(none.forbids_restarts());
        assert!(Window::default().spend(none, now, child).is_err());
        let mut window = Window::default();
        for _ in 0..10_000 {
            assert_eq!(window.spend(Intensity::Unlimited, now, child), Ok(()));
        }
        assert_eq!(window.left(Intensity::Unlimited, now), None);
        assert!(window.0.is_empty(), "an unlimited window keeps nothing");
    }

    /// T54: the longest period does not overflow, nor does a period that is longer than the age of
    /// the clock.
    #[test]
    fn a_huge_period_does_not_overflow() {
        let limit = Intensity::Limited { restarts: 2, period: Duration::MAX };
        let start = Instant::now();
        let mut window = Window::default();
        for years in 0..2 {
            let now = start + Duration::from_secs(years * 365 * 24 * 3600);
            assert_eq!(window.spend(limit, now, child), Ok(()));
        }
        assert_eq!(window.left(limit, start), Some(0));
        assert!(window.spend(limit, start, child).is_err());
    }
}
