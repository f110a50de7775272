//! Whose clock it is that a run goes by.

use std::time::Duration;

use tokio::time::Instant;

/// Whether this tokio's clock is paused: then it stands still while nothing is awaited.
pub(super) fn is_clock_paused() -> bool {
    let (began, before) = (std::time::Instant::now(), Instant::now());
    while began.elapsed() < Duration::from_micros(1) {
        std::hint::spin_loop();
    }
    Instant::now() == before
}
