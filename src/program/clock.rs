//! Detects a paused tokio clock.

use std::time::Duration;

use tokio::time::Instant;

/// Returns whether tokio's clock is paused. A paused clock stands still while the task does not
/// await.
pub(super) fn is_clock_paused() -> bool {
    let (began, before) = (std::time::Instant::now(), Instant::now());
    while began.elapsed() < Duration::from_micros(1) {
        std::hint::spin_loop();
    }
    Instant::now() == before
}
