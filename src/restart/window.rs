//! How many restarts are too many.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::shared_str::SharedStr;
use crate::time::timer_queue::after;

/// How many restarts there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intensity {
    /// At most so many in any window of this length.
    Limited {
        restarts: u32,
        period: Duration,
    },
    Unlimited,
}

impl Default for Intensity {
    /// Three in five seconds.
    fn default() -> Self {
        Intensity::Limited { restarts: 3, period: Duration::from_secs(5) }
    }
}

impl Intensity {
    /// Not one restart is allowed.
    pub(crate) fn forbids_restarts(self) -> bool {
        matches!(self, Intensity::Limited { restarts: 0, .. })
    }
}

/// The child that a restart is counted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Its number: under a dynamic supervisor several children may have one id.
    pub(crate) number: u64,
    pub(crate) id: SharedStr,
}

/// The restarts of the last period, and which children they were of: a window that slides.
#[derive(Debug, Default)]
pub(crate) struct Window(VecDeque<(Instant, Counted)>);

impl Window {
    /// Counts a restart of this child that is due now. One too many is refused; one that is
    /// exactly a period old counts no more.
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

    /// The children of the restarts that count, oldest restart first.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &Counted> {
        self.0.iter().map(|(_, child)| child)
    }

    /// When the next restart is within the limit again, after one was refused. Where none ever
    /// is, a period from now.
    pub(crate) fn next_allowed_at(&self, limit: Intensity, now: Instant) -> Instant {
        let Intensity::Limited { period, .. } = limit else { return now };
        after(self.0.front().map_or(now, |(oldest, _)| *oldest), period)
    }

    /// How many more restarts there may be now; `None` is no limit.
    pub(crate) fn left(&self, limit: Intensity, now: Instant) -> Option<u32> {
        let Intensity::Limited { restarts, period } = limit else { return None };
        let counted = self.0.iter().filter(|(old, _)| now.duration_since(*old) < period).count();
        Some(restarts.saturating_sub(u32::try_from(counted).unwrap_or(u32::MAX)))
    }
}

/// Why a child is not started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// One restart more than the window allows.
    Budget { restarts: u32, period: Duration },
    /// A child with a backoff had no healthy run for so long, in so many delayed restarts.
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
    fn the_window_slides() {
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
    fn zero_is_none_and_unlimited_is_a_word() {
        let now = Instant::now();
        let none = Intensity::Limited { restarts: 0, period: Duration::from_secs(1) };
        assert!(none.forbids_restarts());
        assert!(Window::default().spend(none, now, child).is_err());
        let mut window = Window::default();
        for _ in 0..10_000 {
            assert_eq!(window.spend(Intensity::Unlimited, now, child), Ok(()));
        }
        assert_eq!(window.left(Intensity::Unlimited, now), None);
        assert!(window.0.is_empty(), "nothing is kept that nobody counts");
    }

    /// T54: neither the longest period nor a clock that is younger than it overflows.
    #[test]
    fn a_huge_period_overflows_nothing() {
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
