//! The bound of log lines in a storm of crashes.

use std::time::Duration;

use futures_util::FutureExt;
use regrow::{ChildSpec, Exhausted, ExitReason, LogLevel, Runtime, Supervisor};

use super::{SECOND, idle};
use crate::support::log::{Line, Log};

/// The lines of this kind, and the sum of the numbers that were left out.
fn count(lines: &[Line], kind: &str) -> (usize, u64) {
    let written = lines.iter().filter(|line| line.message == kind).count();
    let reports = lines.iter().filter(|line| line.message == "log lines left out");
    let of_kind = reports.filter(|line| line.field("kind") == kind);
    (written, of_kind.map(|line| line.field("left_out").parse::<u64>().unwrap()).sum())
}

const CRASHES: u64 = 100_000;

/// 100,000 crashes within one window.
#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_crashes_write_a_bounded_number_of_lines_and_the_rest_is_counted() {
    let (log, rt) = (Log::listen(), Runtime::new());
    for _ in 0..CRASHES {
        rt.spawn(|_| async { regrow_panic() });
        if rt.process_count() > 1_000 {
            tokio::task::yield_now().await;
        }
    }
    while rt.process_count() > 0 {
        tokio::task::yield_now().await;
    }
    let during = log.take();
    assert_eq!(count(&during, "exit"), (500, 0));
    assert!(during.len() < 600, "{}", during.len());
    assert_eq!(rt.left_out_log_lines(), CRASHES - 500);
    assert_eq!(rt.counters().ended.panic, CRASHES);
    tokio::time::sleep(2 * SECOND).await;
    let after = log.take();
    assert_eq!(count(&after, "exit"), (0, CRASHES - 500));
    assert_eq!(after.len(), 1, "one line says it");
}

fn regrow_panic() {
    std::panic::resume_unwind(Box::new("no message, no hook"));
}

/// Every line is written, or counted in exactly one report, in each window and at its end.
#[tokio::test(start_paused = true)]
async fn written_and_left_out_lines_add_up_over_many_windows() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.limit_log_lines(7, Duration::from_millis(100));
    let mut crashes = 0;
    for round in 0..40_u64 {
        for _ in 0..round {
            rt.spawn(|_| async { regrow_panic() }).join().await;
            crashes += 1;
        }
        tokio::time::sleep(Duration::from_millis(10 * (round % 13))).await;
    }
    tokio::time::sleep(SECOND).await;
    let (written, left_out) = count(&log.take(), "exit");
    assert_eq!(written as u64 + left_out, crashes);
    assert_eq!(left_out, rt.left_out_log_lines());
    assert!(left_out > 100 && written < 7 * 40);
}

/// Each kind is limited by itself: a storm of restarts does not hide that the child is given up.
#[tokio::test(start_paused = true)]
async fn a_restart_loop_does_not_hide_other_kinds_of_lines() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Warn);
    rt.limit_log_lines(5, 60 * SECOND);
    let child = ChildSpec::task("loop", |_| async { Err(ExitReason::crashed("again")) });
    let child = child.restart_budget(200, SECOND, Exhausted::GiveUp);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    idle().await;
    tokio::time::sleep(61 * SECOND).await;
    let lines = log.take();
    assert_eq!(count(&lines, "restarting"), (5, 195));
    assert_eq!(count(&lines, "exit"), (5, 196));
    assert_eq!(count(&lines, "child given up"), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_all_lines_are_written_and_with_zero_only_their_number() {
    let crashed = async |max| {
        let (log, rt) = (Log::listen(), Runtime::new());
        rt.limit_log_lines(max, SECOND);
        for _ in 0..1_000 {
            rt.spawn(|_| async { regrow_panic() }).join().await;
        }
        tokio::time::sleep(2 * SECOND).await;
        count(&log.take(), "exit")
    };
    assert_eq!(crashed(u32::MAX).await, (1_000, 0));
    assert_eq!(crashed(0).await, (0, 1_000));
}

/// tokio drops the task that waits for the end of the window, which reports the number then.
#[test]
fn a_program_that_ends_within_the_window_still_writes_the_number() {
    let log = Log::listen();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio.block_on(async {
        let rt = Runtime::new();
        rt.limit_log_lines(3, 3_600 * SECOND);
        for _ in 0..10 {
            rt.spawn(|_| async { regrow_panic() }).join().await;
        }
    });
    drop(tokio);
    assert_eq!(count(&log.take(), "exit"), (3, 7));
}

/// Two runtimes have their own limits.
#[tokio::test(start_paused = true)]
async fn the_limit_is_one_of_each_runtime() {
    let log = Log::listen();
    let runtimes = [Runtime::new(), Runtime::new()];
    for rt in &runtimes {
        rt.limit_log_lines(2, SECOND);
        for _ in 0..3 {
            rt.spawn(|_| async { regrow_panic() }).join().await;
        }
    }
    let lines = log.take();
    assert_eq!(count(&lines, "exit").0, 4);
}

async fn crash(rt: &Runtime, times: u32) {
    for _ in 0..times {
        rt.spawn(|_| async { regrow_panic() }).join().await;
    }
}

/// A window that never ends: each process is torn down nevertheless, and the drop of tokio reports.
#[test]
fn in_a_window_of_any_length_each_process_ends_and_the_number_is_written() {
    let log = Log::listen();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio.block_on(async {
        let rt = Runtime::new();
        rt.limit_log_lines(1, Duration::MAX);
        tokio::time::timeout(60 * SECOND, crash(&rt, 5)).await.expect("each end is announced");
        assert_eq!(rt.process_count(), 0);
    });
    drop(tokio);
    assert_eq!(count(&log.take(), "exit"), (1, 4));
}

/// A line arrives between the end of a window and the report of that window.
#[tokio::test(start_paused = true)]
async fn a_line_before_the_late_report_of_a_window_does_not_silence_the_windows_after_it() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.limit_log_lines(0, SECOND);
    crash(&rt, 1).await;
    // The clock advances, and tokio has not looked for timers yet.
    assert!(tokio::time::advance(3 * SECOND / 2).now_or_never().is_none());
    crash(&rt, 1).await;
    tokio::time::sleep(SECOND / 10).await;
    assert_eq!(count(&log.take(), "exit"), (0, 2), "the report of the first window");
    crash(&rt, 1).await;
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(count(&log.take(), "exit"), (0, 1), "the report of the second window");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_lowered_below_what_was_counted_reports_the_lines_that_follow() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.limit_log_lines(500, SECOND);
    crash(&rt, 300).await;
    rt.limit_log_lines(10, SECOND);
    crash(&rt, 20).await;
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(count(&log.take(), "exit"), (300, 20));
}

/// The next line that is written reports the number.
#[test]
fn without_the_time_of_tokio_the_next_line_reports_the_number() {
    let log = Log::listen();
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(async {
        let rt = Runtime::new();
        rt.limit_log_lines(2, 3_600 * SECOND);
        crash(&rt, 10).await;
        assert_eq!(count(&log.take(), "exit"), (2, 0));
        assert_eq!(rt.process_count(), 0);
        rt.limit_log_lines(u32::MAX, SECOND);
        crash(&rt, 1).await;
    });
    assert_eq!(count(&log.take(), "exit"), (1, 8));
}
