//! Whether the clock of this tokio is paused.

use std::time::Duration;

use tokio::time::Instant;

/// Whether tokio's clock is paused: a paused clock stands still while the task does not await.
pub(super) fn is_clock_paused() -> bool {
    let (began, before) = (std::time::Instant::now(), Instant::now());
    while began.elapsed() < Duration::from_micros(1) {
        std::hint::spin_loop();
    }
    Instant::now() == before
}
