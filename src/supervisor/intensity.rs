//! How many restarts are too many.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::exit::ExitReason;

/// At most so many restarts in any window of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intensity {
    pub(crate) restarts: u32,
    pub(crate) period: Duration,
}

impl Default for Intensity {
    /// Three in five seconds.
    fn default() -> Self {
        Intensity { restarts: 3, period: Duration::from_secs(5) }
    }
}

/// The restarts of the last period: a window that slides.
#[derive(Debug, Default)]
pub(crate) struct Window(VecDeque<Instant>);

impl Window {
    /// Counts a restart that is due now; false if it is one too many. One that is exactly
    /// a period old counts no more.
    pub(crate) fn allows(&mut self, limit: Intensity, now: Instant) -> bool {
        while self.0.front().is_some_and(|&old| now.duration_since(old) >= limit.period) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() <= limit.restarts as usize
    }
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
    /// The child whose end was one too many.
    pub child: String,
    /// How many restarts were allowed.
    pub restarts: u32,
    /// In how long a window.
    pub period: Duration,
    /// The reason of the child's last end.
    pub last: ExitReason,
}

impl fmt::Display for RestartLimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RestartLimitReached { child, restarts, period, last } = self;
        write!(f, "child {child:?} ended more than {restarts} times in {period:?}, last: {last}")
    }
}

impl Error for RestartLimitReached {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.last.crash()?.error().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::{Intensity, Window};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn the_window_slides() {
        let limit = Intensity { restarts: 1, period: Duration::from_secs(1) };
        let start = Instant::now();
        let mut window = Window::default();
        assert!(window.allows(limit, start));
        assert!(window.allows(limit, start + Duration::from_secs(1)));
        assert!(!window.allows(limit, start + Duration::from_millis(1999)));
    }

    #[test]
    fn zero_is_none() {
        let limit = Intensity { restarts: 0, period: Duration::from_secs(1) };
        assert!(!Window::default().allows(limit, Instant::now()));
    }
}
