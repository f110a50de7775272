//! What a supervisor's children leave in the log.

mod support;

use std::time::Duration;

use regrow::{ExitReason, LogLevel, Restart, StartError, Supervisor};
use support::log::Log;
use support::reporter::{Fixture, Tell};

/// SYS-008: a restart is the old instance's exit, with its reason, then the new one's
/// spawn, under the same label.
#[tokio::test]
async fn a_restart_reads_as_an_exit_then_a_spawn() {
    let mut f = Fixture::new();
    f.rt.set_log_level(LogLevel::Info);
    let tree = Supervisor::one_for_one().child(f.child("a")).start(&f.rt).await.unwrap();
    let old = f.started("a").await;
    let log = Log::listen();
    f.tell("a", Tell::Panic);
    f.stopped("a").await;
    let new = f.started("a").await;
    let mut lines = log.take();
    lines.retain(|line| line.target == "regrow::lifecycle");
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.head(), line.field("pid").to_owned(), line.field("label").to_owned()))
        .collect();
    let line = |head: &str, pid: regrow::Pid| (head.to_owned(), pid.to_string(), "a".to_owned());
    assert_eq!(told, [line("ERROR exit", old), line("INFO spawn", new)]);
    assert!(lines[0].field("reason").contains("told to"), "{lines:?}");
    drop(log);
    tree.stop().await.unwrap();
}

/// SYS-007: a clean end is no error, a crash is one, and only one.
#[tokio::test]
async fn clean_ends_leave_no_error() {
    let mut f = Fixture::new();
    f.rt.set_log_level(LogLevel::Debug);
    let spec = Supervisor::one_for_one().intensity(9, Duration::from_secs(9));
    let tree = spec.child(f.child("a")).start(&f.rt).await.unwrap();
    f.started("a").await;
    let log = Log::listen();
    let clean = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with("done")];
    for reason in clean {
        f.tell("a", Tell::End(reason));
        f.stopped("a").await;
        f.started("a").await;
    }
    assert!(log.heads().iter().all(|head| !head.starts_with("ERROR")));
    f.tell("a", Tell::Panic);
    f.stopped("a").await;
    f.started("a").await;
    let errors = log.heads().into_iter().filter(|head| head.starts_with("ERROR"));
    assert_eq!(errors.collect::<Vec<_>>(), ["ERROR exit"]);
    drop(log);
    tree.stop().await.unwrap();
}

/// SYS-011.
#[tokio::test]
async fn a_failed_start_is_told_with_child_and_reason() {
    let f = Fixture::new();
    let log = Log::listen();
    let error = Supervisor::one_for_one().child(f.child("bad")).start(&f.rt).await.unwrap_err();
    assert!(matches!(error, StartError::Child { .. }));
    let lines = log.take();
    let told: Vec<_> = lines.iter().filter(|line| line.message == "start failed").collect();
    let [line] = told[..] else { panic!("{lines:?}") };
    assert_eq!(line.field("child"), "bad");
    assert!(line.field("reason").contains("bad child"));
    assert_eq!(line.target, "regrow::supervisor");
}

/// INT-013.
#[tokio::test]
async fn giving_up_is_told_once_with_the_child_at_fault() {
    let mut f = Fixture::new();
    let spec = Supervisor::one_for_one().intensity(0, Duration::from_secs(1));
    let tree = spec.child(f.child("a").restart(Restart::Permanent)).start(&f.rt).await.unwrap();
    f.started("a").await;
    let log = Log::listen();
    let ended = tree.ended();
    f.tell("a", Tell::Panic);
    ended.await;
    let lines = log.take();
    let told: Vec<_> = lines.iter().filter(|line| line.message == "gave up").collect();
    let [line] = told[..] else { panic!("{lines:?}") };
    assert_eq!((line.head().as_str(), line.field("child")), ("WARN gave up", "a"));
    assert_eq!(line.field("supervisor"), tree.pid().to_string());
}
