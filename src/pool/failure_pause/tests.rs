//! Unit tests of the pauses.

use std::time::Duration;

use crate::pool::failure_pause::Failures;

#[test]
fn the_pause_doubles_once_for_each_round() {
    let mut failures = Failures::default();
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let round = failures.round();
        (0..10).for_each(|_| failures.failed(round));
        pauses.extend(failures.take_pause());
        failures.failed(round); // a start that took longer than the pause
        assert_eq!(failures.take_pause(), None);
    }
    let expected = [10, 20, 40, 80, 160, 320, 640, 1280, 2000, 2000];
    assert_eq!(pauses, expected.map(Duration::from_millis));
}

#[test]
fn only_a_worker_of_the_present_round_ends_the_growth() {
    let mut failures = Failures::default();
    for expected in [10, 20] {
        failures.failed(failures.round());
        failures.succeeded(0); // an old worker
        assert_eq!(failures.take_pause(), Some(Duration::from_millis(expected)));
    }
    failures.succeeded(failures.round());
    failures.failed(failures.round());
    assert_eq!(failures.take_pause(), Some(Duration::from_millis(10)));
}
