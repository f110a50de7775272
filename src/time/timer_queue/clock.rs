//! Instants of timers, as nanoseconds since the first timer.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// An instant that never comes. No timer is due then: [`LATEST`] comes before.
pub(crate) const NEVER: u64 = u64::MAX;

/// The instant at which a timer is due whose delay goes beyond the range of `u64`: 584 years after
/// the first timer.
const LATEST: u64 = NEVER - 1;

/// The delay that replaces a delay for which the clock has no instant.
const FAR_FUTURE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Returns the instant that is `delay` after `start`. A delay beyond the end of the clock is
/// replaced by [`FAR_FUTURE`].
pub(crate) fn after(start: Instant, delay: Duration) -> Instant {
    start.checked_add(delay).unwrap_or(start + FAR_FUTURE)
}

/// Converts between instants and nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The instant from which all others are counted: that of the first timer.
    base: OnceLock<Instant>,
}

impl Clock {
    pub(super) fn nanos(&self, at: Instant) -> u64 {
        let base = self.base.get_or_init(|| at);
        nanos(at.saturating_duration_since(*base))
    }

    /// The inverse of [`nanos`](Self::nanos).
    pub(super) fn instant(&self, nanos: u64) -> Instant {
        let base = self.base.get().copied().unwrap_or_else(Instant::now);
        after(base, Duration::from_nanos(nanos))
    }
}

/// Returns when a timer is due that is armed at `now`.
#[inline]
pub(super) fn due_after(now: u64, delay: Duration) -> u64 {
    now.saturating_add(nanos(delay)).min(LATEST)
}

/// The part of a delay that [`due_after`] leaves out, if the delay goes beyond [`LATEST`].
#[inline]
pub(super) fn left_out(now: u64, delay: Duration) -> Duration {
    if due_after(now, delay) < LATEST {
        return Duration::ZERO;
    }
    delay.saturating_sub(Duration::from_nanos(LATEST.saturating_sub(now)))
}

#[inline]
pub(super) fn nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(u64::from(duration.subsec_nanos()))
}
