//! How many restarts are too many.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::exit::ExitReason;
use crate::kernel::Kernel;
use crate::one_line::{PAGE, excerpt};
use crate::pid::Pid;
use crate::timer_queue::after;

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
    pub(crate) fn is_none(self) -> bool {
        matches!(self, Intensity::Limited { restarts: 0, .. })
    }
}

/// The restarts of the last period: a window that slides.
#[derive(Debug, Default)]
pub(crate) struct Window(VecDeque<Instant>);

impl Window {
    /// Counts a restart that is due now. One too many is refused; one that is exactly a period old
    /// counts no more.
    pub(crate) fn spend(&mut self, limit: Intensity, now: Instant) -> Result<(), Exceeded> {
        let Intensity::Limited { restarts, period } = limit else { return Ok(()) };
        while self.0.front().is_some_and(|&old| now.duration_since(old) >= period) {
            self.0.pop_front();
        }
        if self.0.len() >= restarts as usize {
            return Err(Exceeded::Budget { restarts, period });
        }
        self.0.push_back(now);
        Ok(())
    }

    /// When the next restart is within the limit again, after one was refused. Where none ever
    /// is, a period from now.
    pub(crate) fn next(&self, limit: Intensity, now: Instant) -> Instant {
        let Intensity::Limited { period, .. } = limit else { return now };
        after(self.0.front().copied().unwrap_or(now), period)
    }

    /// How many more restarts there may be now; `None` is no limit.
    pub(crate) fn left(&self, limit: Intensity, now: Instant) -> Option<u32> {
        let Intensity::Limited { restarts, period } = limit else { return None };
        let counted = self.0.iter().filter(|&&old| now.duration_since(old) < period).count();
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

impl Exceeded {
    /// The reason that the supervisor of this child ends with.
    pub(crate) fn by(self, child: &str, last: ExitReason, origin: Origin) -> RestartLimitReached {
        let (limit, restarts, period) = match self {
            Exceeded::Budget { restarts, period } => (Limit::Budget, restarts, period),
            Exceeded::NoHealthyRun { tries, within } => (Limit::NoHealthyRun, tries, within),
        };
        RestartLimitReached { child: child.to_owned(), limit, restarts, period, last, origin }
    }
}

/// Which limit a supervisor, or a child alone, was given up by.
/// [`Backoff::give_up_after`](crate::Backoff::give_up_after) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// One restart more was due than the budget allows: all children that share the budget count
    /// against it.
    Budget,
    /// The child had no healthy run for as long as its [`Backoff`](crate::Backoff) allows.
    NoHealthyRun,
}

/// What a supervisor ends with when it gives up: in OTP it would be `shutdown`, and a
/// transient subtree would be silently gone.
///
/// It is the error inside of the supervisor's [`ExitReason`]:
///
/// ```
/// use regrow::{ChildSpec, ExitReason, RestartLimitReached, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let failing = ChildSpec::task("failing", |_| async { Err(ExitReason::crashed("no luck")) });
/// let tree = Supervisor::one_for_one().child(failing).start(&rt).await.unwrap();
/// let reason = tree.ended().await;
/// let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
/// assert_eq!((limit.child.as_str(), limit.restarts), ("failing", 3));
/// assert_eq!(limit.last, ExitReason::crashed("no luck"));
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartLimitReached {
    /// The child that would have been started next.
    pub child: String,
    /// Which limit it was.
    pub limit: Limit,
    /// Of the budget: how many restarts it allows in any `period`. Of a child without a healthy
    /// run: how often it was started again in vain.
    pub restarts: u32,
    /// Of the budget: the length of its window. Of a child without a healthy run: for how long it
    /// may be without one.
    pub period: Duration,
    /// The reason of that child's last end.
    pub last: ExitReason,
    /// Which supervisor gave up. It tells an own error from one that was passed on by `?`.
    pub(crate) origin: Origin,
}

/// The supervisor that gave up, and the last incarnation of the child that it gave up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// Its runtime: pids of different runtimes may be equal.
    pub(crate) kernel: Weak<Kernel>,
    pub(crate) supervisor: Option<Pid>,
    /// `None` if its last start failed.
    pub(crate) child: Option<Pid>,
}

impl Origin {
    /// Whether this very process gave up.
    pub(crate) fn is(&self, kernel: &Arc<Kernel>, pid: Option<Pid>) -> bool {
        std::ptr::eq(self.kernel.as_ptr(), Arc::as_ptr(kernel))
            && pid.is_some()
            && self.supervisor == pid
    }
}

/// Where an error comes from is no part of what it says.
impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl fmt::Display for RestartLimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RestartLimitReached { child, limit, restarts, period, last, .. } = self;
        // It may be that of a supervisor that gave up for the same reason, and so on.
        let last = excerpt(last, PAGE);
        match limit {
            Limit::Budget => write!(
                f,
                "more than {restarts} restarts in {period:?}, the last end was that of child \
                 {child:?}: {last}"
            ),
            Limit::NoHealthyRun => write!(
                f,
                "child {child:?} had no healthy run for {period:?}, in {restarts} restarts, its \
                 last end: {last}"
            ),
        }
    }
}

impl Error for RestartLimitReached {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last.crash()?.error().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::{Exceeded, Intensity, Window};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn the_window_slides() {
        let period = Duration::from_secs(1);
        let limit = Intensity::Limited { restarts: 1, period };
        let start = Instant::now();
        let mut window = Window::default();
        assert_eq!(window.left(limit, start), Some(1));
        assert_eq!(window.spend(limit, start), Ok(()));
        assert_eq!(window.left(limit, start), Some(0));
        let second = start + period;
        assert_eq!(window.left(limit, second), Some(1));
        assert_eq!(window.spend(limit, second), Ok(()));
        let early = second + Duration::from_millis(999);
        assert_eq!(window.spend(limit, early), Err(Exceeded::Budget { restarts: 1, period }));
    }

    #[test]
    fn zero_is_none_and_unlimited_is_a_word() {
        let now = Instant::now();
        let none = Intensity::Limited { restarts: 0, period: Duration::from_secs(1) };
        assert!(none.is_none());
        assert!(Window::default().spend(none, now).is_err());
        let mut window = Window::default();
        for _ in 0..10_000 {
            assert_eq!(window.spend(Intensity::Unlimited, now), Ok(()));
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
            assert_eq!(window.spend(limit, now), Ok(()));
        }
        assert_eq!(window.left(limit, start), Some(0));
        assert!(window.spend(limit, start).is_err());
    }
}
