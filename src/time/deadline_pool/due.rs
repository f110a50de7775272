//! The deadline of a wait, as its caller gives it.

use std::time::Duration;

use tokio::time::Instant;

use crate::time::deadline_pool::FREQUENT;
use crate::time::deadline_pool::cached_slot::LATEST_DUE;
use crate::time::deadline_pool::slot_pool::NEVER;

/// The deadline of a wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Due {
    At(Instant),
    /// This long after the next sweep, while sweeps are frequent.
    After(Duration),
}

impl Due {
    /// The instant of this deadline, if the wait begins now.
    pub(crate) fn instant(self) -> Instant {
        match self {
            Due::At(at) => at,
            Due::After(limit) => Instant::now() + limit,
        }
    }
}

pub(super) fn is_frequent(next_sweep: u64) -> bool {
    next_sweep & FREQUENT != 0 && next_sweep != NEVER
}

pub(super) fn as_nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).map_or(LATEST_DUE, |nanos| nanos.min(LATEST_DUE))
}
