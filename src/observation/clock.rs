//! The times of tokio's clock as times of the system, for people.

use std::time::SystemTime;

use tokio::time::Instant;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) now: Instant,
    pub(super) system: SystemTime,
}

impl Clock {
    pub(super) fn read() -> Self {
        Clock { now: Instant::now(), system: SystemTime::now() }
    }

    /// Returns the time of the system at this instant.
    pub(super) fn system(&self, at: Instant) -> SystemTime {
        let time = match at.checked_duration_since(self.now) {
            Some(ahead) => self.system.checked_add(ahead),
            None => self.system.checked_sub(self.now.saturating_duration_since(at)),
        };
        // A time that the system cannot represent is shown as the present.
        time.unwrap_or(self.system)
    }
}
