//! The time of day, for the header of a recording and for the warning that the connection was lost.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the milliseconds since 1970, by the clock of the system.
pub(crate) fn time_of_day_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
