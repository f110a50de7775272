//! The time of day at which a line is made. It is written into the line, and never compared with
//! another time: the clock may be set forward and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the time since the beginning of 1970, UTC; zero before that.
pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
