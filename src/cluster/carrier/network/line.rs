//! The state of the way from one node to another.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::base::random::Random;

/// The way from one node to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) is_cut: bool,
    /// The shortest and the longest delay.
    pub(super) delay: (Duration, Duration),
}

impl Line {
    /// Draws the delay of the next bytes.
    pub(super) fn draw_delay(&self, random: &mut Random) -> Duration {
        let (shortest, longest) = self.delay;
        let spread = longest.saturating_sub(shortest);
        if spread.is_zero() { shortest } else { shortest + spread.mul_f64(random.unit()) }
    }
}

/// Returns the ends of a range of delays.
///
/// # Panics
///
/// If the range is empty.
pub(super) fn ends(delay: &RangeInclusive<Duration>) -> (Duration, Duration) {
    assert!(!delay.is_empty(), "the shortest delay is not above the longest");
    (*delay.start(), *delay.end())
}
