//! Durations as readable text.

use std::time::Duration;

/// Formats a duration in the unit that fits: `340ms`, `4.0s`, `12m 05s`, `3h 07m`, `2d 04h`.
pub(super) fn short_elapsed(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if span.is_zero() => "0s".to_owned(),
        0 => format!("{}ms", span.as_millis()),
        1..60 => format!("{:.1}s", span.as_secs_f64()),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::short_elapsed;
    use std::time::Duration;

    #[test]
    fn a_duration_is_shown_in_the_unit_that_fits() {
        let shown = [0, 340, 4_000, 725_000, 11_220_000, 187_200_000];
        let shown = shown.map(|millis| short_elapsed(Duration::from_millis(millis)));
        assert_eq!(shown, ["0s", "340ms", "4.0s", "12m 05s", "3h 07m", "2d 04h"]);
    }
}
