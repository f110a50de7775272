//! The times of tokio's clock as times of day, for people.

use tokio::time::Instant;

use crate::base::TimeOfDay;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) now: Instant,
    pub(super) time: TimeOfDay,
}

impl Clock {
    pub(super) fn read() -> Self {
        Clock { now: Instant::now(), time: TimeOfDay::now() }
    }

    /// Returns the time of day at this instant.
    pub(super) fn time_at(&self, at: Instant) -> TimeOfDay {
        // Nearly all times of a picture are past, and a difference that is negative is computed twice.
        match self.now.checked_duration_since(at) {
            Some(ago) => self.time.before(ago),
            None => self.time.after(at.saturating_duration_since(self.now)),
        }
    }
}
