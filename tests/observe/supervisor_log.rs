//! The log lines of a supervisor's children.

use crate::support;

use std::time::Duration;

use regrow::{Backoff, ChildSpec, ExitReason, LogLevel, Pid, Restart, StartError, Supervisor};
use support::log::Log;
use support::reporter::{Fixture, Tell};
use support::scripted_children::{ScriptedChildren, Start};
use support::settled;

/// SYS-008, T34: a child that panics is restarted. The restart is logged as the exit of the old
/// incarnation, with its reason, and the spawn of the new one, under the same label.
#[tokio::test]
async fn a_restarted_child_logs_an_exit_and_a_spawn_under_one_label() {
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

/// SYS-007: a clean end of a child logs no error, and a crash logs exactly one.
#[tokio::test]
async fn clean_exits_of_children_log_no_error() {
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

/// SYS-011: a failed start is logged when the supervisor starts, when a child is added at run time,
/// and at a restart.
#[tokio::test(start_paused = true)]
async fn a_failed_start_is_logged_with_child_and_reason() {
    let t = ScriptedChildren::new();
    let log = Log::listen();
    let one_failure = |supervisor: Option<Pid>| {
        let lines = log.take();
        let told: Vec<_> = lines.iter().filter(|line| line.message == "start failed").collect();
        let [line] = told[..] else { panic!("{lines:?}") };
        assert_eq!((line.head().as_str(), line.field("child")), ("WARN start failed", "a"));
        assert_eq!((line.target.as_str(), line.field("label")), ("regrow::supervisor", "top"));
        assert!(line.field("reason").contains("a has no luck"));
        if let Some(supervisor) = supervisor {
            assert_eq!(line.field("supervisor"), supervisor.to_string());
        }
    };
    let top = Supervisor::one_for_one().named("top");
    t.next_starts("a", [Start::Fails]);
    let error = top.clone().child(t.child("a")).start(&t.rt).await.unwrap_err();
    assert!(matches!(error, StartError::Child { .. }));
    one_failure(None);
    let tree = top.start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Fails]);
    tree.start_child(t.child("a")).await.unwrap_err();
    one_failure(tree.pid());
    tree.start_child(t.child("a")).await.unwrap();
    t.next_starts("a", [Start::Fails]);
    t.crash("a");
    settled().await;
    one_failure(tree.pid());
}

/// INT-013: the line has the name of the supervisor and the child that used up its restarts.
#[tokio::test(start_paused = true)]
async fn giving_up_is_logged_once_with_the_child_at_fault() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().named("top").intensity(0, Duration::from_secs(1));
    let tree = spec.child(t.child("a")).child(t.child("b")).start(&t.rt).await.unwrap();
    let log = Log::listen();
    let ended = tree.ended();
    t.crash("a");
    ended.await;
    let lines = log.take();
    let told: Vec<_> = lines.iter().filter(|line| line.message == "gave up").collect();
    let [line] = told[..] else { panic!("{lines:?}") };
    assert_eq!((line.head().as_str(), line.field("child")), ("WARN gave up", "a"));
    assert_eq!(
        (line.field("supervisor"), line.field("label")),
        (&*tree.pid().unwrap().to_string(), "top")
    );
    assert_eq!((line.field("restarts"), line.field("budget_left")), ("0", "0"));
}

/// For each end of a child, the supervisor logs one line with its decision and the rest of the
/// budget. The level follows the exit reason, and is never ERROR.
#[tokio::test(start_paused = true)]
async fn each_supervisor_decision_logs_one_line_with_the_remaining_budget() {
    let t = ScriptedChildren::new();
    t.rt.set_log_level(LogLevel::Debug);
    let waits = t.child("w").backoff(Backoff::new().jitter(0.0));
    let transient = t.child("t").restart(Restart::Transient);
    let tree = Supervisor::one_for_one().child(t.child("a")).child(waits).child(transient);
    let tree = tree.start(&t.rt).await.unwrap();
    let was = ["a", "w", "t"].map(|id| t.rt.whereis(id).unwrap().to_string());
    settled().await;
    let log = Log::listen();
    t.crash("a");
    t.end("w", ExitReason::Normal);
    t.end("t", ExitReason::Normal);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut lines = log.take();
    lines.retain(|line| line.target == "regrow::supervisor");
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            assert_eq!(line.field("supervisor"), tree.pid().unwrap().to_string());
            let fields = ["child", "pid", "reason", "restarts", "budget_left", "delay"];
            [line.head()].into_iter().chain(fields.map(|name| line.field(name).to_owned()))
        })
        .map(Vec::from_iter)
        .collect();
    let [a, w, t] = was.each_ref().map(String::as_str);
    let expected = [
        ["WARN restarting", "a", a, "boom", "1", "2", "0ns"],
        ["DEBUG child ended", "t", t, "normal", "", "", ""],
        ["INFO restarting", "w", w, "normal", "1", "2", "1s"],
    ];
    assert_eq!(told, expected);
}

/// A restart is logged from level Warn on. A supervisor that gives up is logged at any level.
#[tokio::test(start_paused = true)]
async fn restarts_are_logged_from_level_warn_and_giving_up_at_every_level() {
    for (level, restart_is_told) in [
        (LogLevel::Off, false),
        (LogLevel::Error, false),
        (LogLevel::Warn, true),
        (LogLevel::Debug, true),
    ] {
        let t = ScriptedChildren::new();
        t.rt.set_log_level(level);
        let spec = Supervisor::one_for_one().named("top").intensity(1, Duration::from_secs(1));
        let tree = spec.child(t.child("a")).start(&t.rt).await.unwrap();
        let log = Log::listen();
        t.crash("a");
        settled().await;
        let ended = tree.ended();
        t.crash("a");
        ended.await;
        let heads = log.heads();
        let told = |head: &str| heads.iter().any(|line| line == head);
        assert_eq!(told("WARN restarting"), restart_is_told, "{level:?}: {heads:?}");
        assert!(told("WARN gave up") && told("ERROR exit"), "{level:?}: {heads:?}");
    }
}

/// A child that was stopped, or that failed to start, logs no unexpected exit.
#[tokio::test(start_paused = true)]
async fn the_exit_of_a_stopped_child_is_not_logged_as_unexpected() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_all().intensity(9, Duration::from_secs(1));
    let tree = spec.child(t.child("a")).child(t.child("b")).start(&t.rt).await.unwrap();
    let log = Log::listen();
    t.next_starts("b", [Start::Fails]);
    t.crash("a");
    settled().await;
    tree.terminate_child("b").await.unwrap();
    settled().await;
    let heads = log.heads();
    assert!(heads.iter().all(|head| !head.contains("unexpected")), "{heads:?}");
}

/// Two children of a group are killed. The supervisor stops the group for the first child, while
/// the exit of the second is in its mailbox: that exit is not logged as unexpected.
#[tokio::test(start_paused = true)]
async fn the_exit_of_a_child_that_ended_with_its_group_is_not_logged_as_unexpected() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_all().intensity(1, Duration::from_secs(1));
    let tree = spec.child(t.child("a")).child(t.child("b")).start(&t.rt).await.unwrap();
    let log = Log::listen();
    for child in ["a", "b"] {
        t.rt.kill(t.rt.whereis(child).unwrap());
    }
    settled().await;
    let heads = log.heads();
    assert!(heads.iter().all(|head| !head.contains("unexpected")), "{heads:?}");
    assert_eq!(tree.count_children().await.unwrap().active, 2);
}

/// A child that ends before it is ready is logged as a failed start, and not as an unexpected exit
/// as well.
#[tokio::test(start_paused = true)]
async fn the_exit_of_a_child_that_ended_before_ready_is_not_logged_as_unexpected() {
    let rt = regrow::Runtime::new();
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    let pool = regrow::DynamicSupervisor::new().start(&rt).await.unwrap();
    let log = Log::listen();
    let lost = || {
        let lost = ChildSpec::task("lost", |_| async { Err(ExitReason::crashed("no luck")) });
        lost.ready_within(Duration::from_secs(1))
    };
    assert!(tree.start_child(lost()).await.is_err());
    assert!(pool.start_child(lost()).await.is_err());
    settled().await;
    let heads = log.heads();
    assert!(heads.iter().all(|head| !head.contains("unexpected")), "{heads:?}");
}
