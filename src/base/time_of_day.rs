//! The time of day, for people.
//!
//! The clock of the system can be set forward and back, which would change a duration that is
//! measured by it. So this is the only file that reads it, and a [`TimeOfDay`] has no differences:
//! durations are measured by an `Instant`.

use std::fmt;
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A time of day and its date, in milliseconds, by the clock of the system. It is for people: the
/// clock may be set, so a later event may have an earlier time.
///
/// ```
/// use std::time::SystemTime;
/// use regrow::Runtime;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let pid = rt.spawn(|_| std::future::pending()).pid();
/// let time = rt.process_detail(pid).unwrap().time;
/// assert!(time.unix_millis() > 1_700_000_000_000);
/// assert!(SystemTime::from(time) <= SystemTime::now());
/// # }));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(
    /// The milliseconds since 1970, and one: so an `Option` takes no more memory.
    NonZeroU64,
);

impl TimeOfDay {
    /// Returns the milliseconds since 1970, in UTC. [`TimeOfDay`] has an example.
    pub fn unix_millis(self) -> u64 {
        self.0.get() - 1
    }

    fn new(millis: u64) -> Self {
        TimeOfDay(NonZeroU64::MIN.saturating_add(millis))
    }

    /// Reads the clock of the system. A time before 1970 counts as 1970.
    pub(crate) fn now() -> Self {
        TimeOfDay::new(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis))
    }

    /// Returns the time of day that the clock of the system will show at this instant, or has
    /// shown, unless it is set.
    pub(crate) fn at(at: Instant) -> Self {
        let (now, time) = (Instant::now(), TimeOfDay::now());
        match at.checked_duration_since(now) {
            Some(ahead) => time.after(ahead),
            None => time.before(now.saturating_duration_since(at)),
        }
    }

    /// Returns the time from `earlier` to this time, as the clock of the system shows both; zero if
    /// `earlier` is later. It is for texts only.
    pub(crate) fn since(self, earlier: TimeOfDay) -> Duration {
        Duration::from_millis(self.unix_millis().saturating_sub(earlier.unix_millis()))
    }

    /// Returns the time after this span.
    pub(crate) fn after(self, span: Duration) -> Self {
        TimeOfDay::new(self.unix_millis().saturating_add(millis(span)))
    }

    /// Returns the time before this span.
    pub(crate) fn before(self, span: Duration) -> Self {
        TimeOfDay::new(self.unix_millis().saturating_sub(millis(span)))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimeOfDay").field(&self.unix_millis()).finish()
    }
}

/// For a library of dates.
impl From<TimeOfDay> for SystemTime {
    fn from(time: TimeOfDay) -> Self {
        let since_1970 = Duration::from_millis(time.unix_millis());
        SystemTime::UNIX_EPOCH.checked_add(since_1970).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}
