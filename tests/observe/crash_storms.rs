//! Storms of crashes: the ERROR lines and the spawn lines are complete, the reports are limited.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use regrow::{ChildSpec, DynamicSupervisor, LogLevel, Restart, Runtime, Supervisor};
use support::log::{Line, Log};
use support::settled;

/// Returns a child that crashes at its first `crashes` starts, and once more when it gets a message.
fn unlucky(crashes: u32) -> ChildSpec {
    let starts = Arc::new(AtomicU32::new(0));
    let body = move |mut ctx: regrow::TaskContext| {
        let start = starts.fetch_add(1, Ordering::Relaxed);
        async move {
            if start >= crashes {
                ctx.recv().await;
            }
            Err(regrow::ExitReason::crashed("as planned"))
        }
    };
    ChildSpec::task("unlucky", body).named("unlucky")
}

fn count(lines: &[Line], head: &str) -> usize {
    lines.iter().filter(|line| line.head() == head && line.field("label") != "app").count()
}

/// 10,000 crashes of one child: each has exactly one ERROR line and one spawn line. Five reports are
/// made, and the next one, after the window, says how many were left out.
#[tokio::test(start_paused = true)]
async fn of_ten_thousand_crashes_each_has_its_error_line_and_its_spawn_line_and_five_are_reported()
{
    const CRASHES: u32 = 10_000;
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Info);
    rt.limit_log_lines(u32::MAX, Duration::ZERO);
    let tree = Supervisor::one_for_one().with_id("app").unlimited_restarts();
    let tree = tree.child(unlucky(CRASHES)).start(&rt).await.unwrap();
    while rt.spawned() < u64::from(CRASHES) + 2 {
        tokio::task::yield_now().await;
    }
    let lines = log.take();
    assert_eq!(count(&lines, "ERROR exit"), CRASHES as usize);
    assert_eq!(count(&lines, "INFO spawn"), CRASHES as usize + 1);
    assert_eq!(count(&lines, "WARN crash report"), 5);
    assert_eq!(rt.left_out_crash_reports(), u64::from(CRASHES) - 5);

    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(rt.send_named("unlucky", b"crash".to_vec()));
    settled().await;
    let lines = log.take();
    let report = lines.iter().find(|line| line.head() == "WARN crash report").unwrap();
    assert_eq!(report.field("left_out"), "9995");
    assert_eq!((report.field("path"), report.field("incarnation")), ("app/unlucky", "10001"));
    tree.stop().await.unwrap();
}

/// Dynamic children with ids of their own, more than the limiter remembers: the reports are bounded,
/// and what was made and what was left out add up.
#[tokio::test(start_paused = true)]
async fn a_storm_of_children_with_different_ids_has_a_bounded_number_of_reports() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Warn);
    rt.limit_crash_reports(1, Duration::from_secs(60));
    rt.limit_log_lines(u32::MAX, Duration::ZERO);
    let jobs = DynamicSupervisor::new().with_id("jobs").start(&rt).await.unwrap();
    for n in 0..2_000 {
        let job = ChildSpec::task(format!("job {n}"), |_| async { panic!("boom") });
        let pid = jobs.start_child(job.restart(Restart::Temporary)).await.unwrap();
        rt.ended(pid).await;
    }
    let lines = log.take();
    assert_eq!(count(&lines, "ERROR exit"), 2_000);
    assert_eq!(count(&lines, "WARN crash report"), 1_025);
    assert_eq!(rt.left_out_crash_reports(), 975);
}

/// With a limit of zero no report is made, and without a limit every report is.
#[tokio::test(start_paused = true)]
async fn the_limit_of_reports_can_be_set() {
    for (max, within, made) in [(0, 60, 0), (2, 60, 2), (1, 0, 9)] {
        let (log, rt) = (Log::listen(), Runtime::new());
        rt.set_log_level(LogLevel::Warn);
        rt.limit_crash_reports(max, Duration::from_secs(within));
        for _ in 0..9 {
            rt.spawn(|_| async { panic!("boom") }).join().await;
        }
        let lines = log.take();
        assert_eq!((count(&lines, "ERROR exit"), count(&lines, "WARN crash report")), (9, made));
    }
}

/// Without a listener, and below level warn, nothing is counted or made.
#[tokio::test(start_paused = true)]
async fn a_crash_that_nothing_listens_to_is_not_counted_as_left_out() {
    let rt = Runtime::new();
    for _ in 0..9 {
        rt.spawn(|_| async { panic!("boom") }).join().await;
    }
    assert_eq!(rt.left_out_crash_reports(), 0);
}
