use super::{Admitted, LineKind, LineLimit, LogFlood};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_kind_has_its_lines_in_a_window_and_the_next_window_reports_the_rest() {
    let (flood, now) = (LogFlood::default(), Instant::now());
    flood.set(LineLimit { max: 2, within: SECOND });
    let exit = |now| flood.admit(LineKind::Exit, now, true);
    let written = |left_out| Admitted::Written { left_out };
    assert_eq!([exit(now), exit(now)], [written(0), written(0)]);
    assert_eq!(exit(now), Admitted::LeftOut { report_at: Some(now + SECOND) });
    assert_eq!(exit(now), Admitted::LeftOut { report_at: None });
    assert_eq!(flood.admit(LineKind::Kill, now, true), written(0), "each kind has its own limit");
    assert_eq!([exit(now + SECOND), exit(now + SECOND)], [written(2), written(0)]);
    assert_eq!((flood.left_out(), flood.take_left_out(LineKind::Exit, None)), (2, 0));
}

/// Each window has its own report, also if the report of the window before is late.
#[test]
fn a_line_that_is_left_out_has_a_report_that_is_due() {
    let (flood, now) = (LogFlood::default(), Instant::now());
    let exit = |now| flood.admit(LineKind::Exit, now, true);
    let due = |report_at| Admitted::LeftOut { report_at };
    flood.set(LineLimit { max: 0, within: SECOND });
    assert_eq!([exit(now), exit(now)], [due(Some(now + SECOND)), due(None)]);
    let late = now + SECOND * 3 / 2;
    assert_eq!([exit(late), exit(late)], [due(Some(late + SECOND)), due(None)]);
    assert_eq!(flood.take_left_out(LineKind::Exit, Some(now + SECOND)), 4);
    assert_eq!(exit(late), due(None), "the second report is still due");
    assert_eq!(flood.take_left_out(LineKind::Exit, Some(late + SECOND)), 1);
    assert_eq!(exit(late), due(Some(late + SECOND)), "a line that was counted too late");
}

/// The drop of the task with tokio reports; the lines after it in the window start no other task.
#[test]
fn in_a_window_whose_task_was_dropped_no_other_task_is_started() {
    let (flood, now) = (LogFlood::default(), Instant::now());
    flood.set(LineLimit { max: 0, within: SECOND });
    flood.admit(LineKind::Exit, now, true);
    assert_eq!(flood.take_left_out(LineKind::Exit, None), 1);
    let next = flood.admit(LineKind::Exit, now, true);
    assert_eq!(next, Admitted::LeftOut { report_at: None });
}

#[test]
fn without_a_limit_every_line_is_written() {
    let (flood, now) = (LogFlood::default(), Instant::now());
    flood.set(LineLimit { max: u32::MAX, within: SECOND });
    for _ in 0..10_000 {
        assert_eq!(flood.admit(LineKind::Exit, now, true), Admitted::Written { left_out: 0 });
    }
}
