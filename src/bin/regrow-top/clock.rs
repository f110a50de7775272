//! The time of day. The header of a recording contains it, and a warning shows the time since which
//! a program can't be reached.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the milliseconds since 1970, by the clock of the system.
pub(crate) fn time_of_day_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
