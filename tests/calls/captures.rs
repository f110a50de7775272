//! Captures of the log lines and events of one runtime.

use crate::support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::testing::{Capture, LogLine, capture};
use regrow::{ExitReason, LifecycleEvent, LogLevel, Pid, Runtime};
use support::log::Log;
use support::{crash, from_one, settled};
use tracing::Level;

/// Runs a labelled process that writes a line and crashes, and returns its pid.
async fn crashing(rt: &Runtime, word: &'static str) -> Pid {
    let job = rt.spawn_fallible(async move |_| {
        tracing::info!(target: "app", word, "at work");
        tokio::task::yield_now().await;
        Err(crash("no ink"))
    });
    rt.set_label(job.pid(), word);
    job.join().await;
    job.pid()
}

fn texts(capture: &mut Capture) -> Vec<String> {
    capture.take_lines().iter().map(ToString::to_string).collect()
}

/// Two runtimes on one thread: each capture has the lines of its own processes, written by regrow
/// and by the code of the processes.
#[tokio::test]
async fn a_capture_has_the_lines_of_its_own_runtime_only() {
    let [one, two, third] = [Runtime::new(), Runtime::new(), Runtime::new()];
    let (mut first, mut second) = (capture(&one), capture(&two));
    tracing::info!(target: "app", "from the test itself");
    for (rt, word) in [(&one, "one"), (&two, "two"), (&third, "three")] {
        crashing(rt, word).await;
    }
    let (first, second) = (texts(&mut first), texts(&mut second));
    assert_eq!(
        (&*first[0], &*second[0]),
        ("INFO app: at work word=one", "INFO app: at work word=two")
    );
    assert_eq!((first.len(), second.len()), (2, 2), "{first:?} {second:?}");
    assert!(
        from_one(&first[1]).starts_with("ERROR regrow::lifecycle: exit label=one pid=#1 "),
        "{first:?}"
    );
    assert!(second[1].contains("no ink"), "{second:?}");
}

/// Processes on other threads, whose lines no subscriber of the test's thread sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_has_lines_of_other_threads() {
    let rt = Runtime::new();
    let mut captured = capture(&rt);
    for _ in 0..20 {
        crashing(&rt, "job").await;
    }
    let lines = captured.take_lines();
    let count = |message: &str| lines.iter().filter(|line| line.message() == message).count();
    assert_eq!((count("at work"), count("exit")), (20, 20));
}

/// The subscriber that was there before still gets every line, and the level of the log is that of
/// before when the capture has ended.
#[tokio::test]
async fn a_capture_passes_lines_on_and_restores_the_level() {
    let log = Log::listen();
    let rt = Runtime::new();
    rt.set_log_level(LogLevel::Warn);
    let mut captured = capture(&rt);
    assert!(rt.wants_log(LogLevel::Debug));
    let killed = rt.spawn(|_| std::future::pending());
    rt.kill(killed.pid());
    killed.join().await;
    let lines: Vec<_> =
        captured.take_lines().iter().map(|line| line.message().to_owned()).collect();
    assert_eq!(lines, ["kill"]);
    assert_eq!(log.heads(), ["INFO kill"]);
    drop(captured);
    assert!(!rt.wants_log(LogLevel::Info));

    crashing(&rt, "later").await;
    assert_eq!(log.heads(), ["ERROR exit", "WARN crash report"]);
    let mut again = capture(&rt);
    assert_eq!(texts(&mut again), [""; 0]);
    let twice = catch_unwind(AssertUnwindSafe(|| drop(capture(&rt)))).unwrap_err();
    let text = twice.downcast::<&str>().unwrap();
    assert_eq!(*text, "this runtime is captured already: use that capture");
}

/// The parts of a line can be read, and lines that a task of the runtime writes are there.
#[tokio::test(start_paused = true)]
async fn a_captured_line_has_a_level_a_target_and_fields() {
    let rt = Runtime::new();
    let mut captured = capture(&rt);
    rt.process_spans(true);
    let pid = crashing(&rt, "job").await;
    rt.log_spawn(pid, "job", "by hand");
    // The census is written by a task of the runtime, two seconds after a change.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lines = captured.take_lines();
    let find = |message: &str| lines.iter().find(|line| line.message() == message).unwrap();
    let exit: &LogLine = find("exit");
    assert_eq!((exit.level(), exit.target()), (Level::ERROR, "regrow::lifecycle"));
    assert_eq!((exit.field("label"), exit.field("name")), (Some("job"), None));
    assert_eq!(find("spawn").field("detail"), Some("by hand"));
    assert_eq!(find("census").level(), Level::INFO);
}

/// Events stay until they are taken, also those that the test has waited for.
#[tokio::test(start_paused = true)]
async fn a_capture_has_the_events_of_its_runtime() {
    let (rt, other) = (Runtime::new(), Runtime::new());
    let mut captured = capture(&rt);
    crashing(&other, "other").await;
    let pid = crashing(&rt, "job").await;
    let ended = |event: &LifecycleEvent| matches!(event, LifecycleEvent::Exited { .. });
    let event = captured.await_event(ended).await;
    assert_eq!(captured.await_event(ended).await, event, "it was not taken");
    let LifecycleEvent::Exited { pid: of, reason, .. } = &event else { panic!() };
    assert_eq!((*of, reason), (pid, &crash("no ink")));
    let events = captured.take_events();
    assert_eq!(events.first(), Some(&event));
    assert!(matches!(&events[1..], [LifecycleEvent::CrashReport(_)]), "{events:?}");
    assert_eq!(captured.take_events(), []);

    let late = rt.clone();
    tokio::spawn(async move {
        settled().await;
        let job = late.spawn(|_| async {});
        late.set_label(job.pid(), "late");
    });
    let event = captured.await_event(ended).await;
    assert!(matches!(event, LifecycleEvent::Exited { reason: ExitReason::Normal, .. }));
}

/// A wait for an event that never comes, and events that were missed, fail with the test's line.
#[tokio::test(start_paused = true)]
async fn the_failures_of_a_capture_name_the_line() {
    let rt = Runtime::new();
    let mut captured = capture(&rt);
    let (line, event) = (line!(), captured.await_event(|_| false));
    let panic = AssertUnwindSafe(event).catch_unwind().await.unwrap_err();
    let text = panic.downcast::<String>().unwrap();
    assert!(text.starts_with(&format!("tests/calls/captures.rs:{line}:")), "{text}");
    let said = ": waited a day for an event that the closure accepts: nothing else is due";
    assert!(text.ends_with(said), "{text}");

    for _ in 0..1_030 {
        let job = rt.spawn(|_| std::future::pending());
        rt.set_label(job.pid(), "job");
        job.kill();
        job.join().await;
    }
    let panic = catch_unwind(AssertUnwindSafe(|| captured.take_events())).unwrap_err();
    let text = panic.downcast::<String>().unwrap();
    assert!(text.ends_with(": 6 events were missed: take them more often"), "{text}");
}
