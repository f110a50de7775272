//! A bound of log lines that programs elsewhere can cause: so many in each second, and the number of
//! those that were left out.

use std::time::{Duration, Instant};

use crate::base::PlainMutex;

/// The lines in each [`PERIOD`].
pub(crate) const MOST_LOGGED: u32 = 10;
const PERIOD: Duration = Duration::from_secs(1);

/// What was logged since the begin of a period.
#[derive(Debug)]
pub(crate) struct LogLimit(PlainMutex<Logged>);

#[derive(Debug)]
struct Logged {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl LogLimit {
    pub(crate) const fn new() -> Self {
        LogLimit(PlainMutex::new(Logged { since: None, lines: 0, left_out: 0 }))
    }

    /// Counts a line. If it is to be logged now, returns the number of those before it that were not.
    pub(crate) fn line(&self, now: Instant) -> Option<u64> {
        let mut logged = self.0.lock();
        if logged.since.is_none_or(|since| now.saturating_duration_since(since) >= PERIOD) {
            (logged.since, logged.lines) = (Some(now), 0);
        }
        if logged.lines >= MOST_LOGGED {
            logged.left_out += 1;
            return None;
        }
        logged.lines += 1;
        Some(std::mem::take(&mut logged.left_out))
    }
}

impl Default for LogLimit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{LogLimit, MOST_LOGGED};

    #[test]
    fn lines_beyond_the_bound_are_counted_until_the_next_second() {
        let (limit, now) = (LogLimit::new(), Instant::now());
        for _ in 0..MOST_LOGGED {
            assert_eq!(limit.line(now), Some(0));
        }
        assert_eq!((limit.line(now), limit.line(now)), (None, None));
        let later = now + Duration::from_secs(1);
        assert_eq!((limit.line(later), limit.line(later)), (Some(2), Some(0)));
    }
}
