//! The properties of every kind of child: the same restarts, stops, names and log lines.

use crate::support;

use std::time::Duration;

use regrow::{
    ChildSpec, ChildState, ExitReason, LogLevel, Restart, RestartLimitReached, Runtime, Shutdown,
    Supervisor, SupervisorRef,
};
use support::injected_panics::hush_injected_panics;
use support::kinds::{Does, Heard, KINDS, Kind, telling};
use support::log::Log;
use support::reporter::settle;

const HOUR: Duration = Duration::from_secs(3600);

/// Starts a supervisor with one child of this kind, and waits until the child runs.
async fn up(rt: &Runtime, (_, make): Kind, does: Does) -> (SupervisorRef, Heard) {
    up_with(rt, make, does, |spec| spec).await
}

async fn up_with(
    rt: &Runtime,
    make: support::kinds::Make,
    does: Does,
    set: impl FnOnce(ChildSpec) -> ChildSpec,
) -> (SupervisorRef, Heard) {
    let (say, mut heard) = telling();
    let spec = Supervisor::one_for_one().intensity(1, HOUR);
    let tree = spec.child(set(make(does, say))).start(rt).await.unwrap();
    assert_eq!(heard.next().await, "up");
    (tree, heard)
}

async fn pid(tree: &SupervisorRef) -> regrow::Pid {
    tree.which_child("child").await.unwrap().pid().expect("it runs")
}

/// ONE-001, ONE-002, ONE-003, ONE-004.
#[tokio::test]
async fn every_kind_of_child_restarts_by_its_restart_type() {
    hush_injected_panics();
    let ends = [Does::Ends, Does::Fails("no luck"), Does::Panics("boom")];
    for (kind, make) in KINDS {
        for does in &ends {
            let rt = Runtime::new();
            let permanent = |spec: ChildSpec| spec.restart(Restart::Permanent);
            let (tree, mut heard) = up_with(&rt, make, does.clone(), permanent).await;
            assert_eq!(heard.next().await, "up", "{kind}: started again");
            let reason = tree.ended().await;
            let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
            let words = ["normal", "error: no luck", "panic: boom"];
            assert!(words.contains(&limit.last.to_string().as_str()), "{kind}: {}", limit.last);

            let (tree, mut heard) =
                up_with(&rt, make, does.clone(), |spec| spec.restart(Restart::Transient)).await;
            match does {
                Does::Ends => {
                    settle(&tree, (1, 0, 0, 1)).await;
                    let state = tree.which_child("child").await.unwrap().state;
                    assert_eq!(state, ChildState::Stopped, "{kind}");
                    tree.stop().await.unwrap();
                }
                _ => assert_eq!(heard.next().await, "up", "{kind}: started again"),
            }

            let temporary = |spec: ChildSpec| spec.restart(Restart::Temporary);
            let (tree, _) = up_with(&rt, make, does.clone(), temporary).await;
            settle(&tree, (0, 0, 0, 0)).await;
            tree.stop().await.unwrap();
        }
    }
}

/// SHU-001, SHU-009: a child that is asked to stop ends as requested, without a warning.
#[tokio::test]
async fn every_kind_of_child_stops_when_asked() {
    for kind in KINDS {
        let rt = Runtime::new();
        let log = Log::listen();
        let (tree, mut heard) = up(&rt, kind, Does::Stops).await;
        let ended = rt.ended(pid(&tree).await);
        tree.stop().await.unwrap();
        assert_eq!(heard.next().await, "stopping", "{}", kind.0);
        assert_eq!(ended.await, ExitReason::Shutdown, "{}", kind.0);
        assert_eq!(log.heads(), [""; 0], "{}", kind.0);
        assert_eq!(rt.process_count(), 0);
    }
}

/// SHU-009: a failure during the stop is reported.
#[tokio::test]
async fn a_failure_during_the_stop_of_every_kind_is_reported() {
    for kind in KINDS {
        let rt = Runtime::new();
        let log = Log::listen();
        let (tree, _heard) = up(&rt, kind, Does::FailsAtStop).await;
        let ended = rt.ended(pid(&tree).await);
        tree.stop().await.unwrap();
        assert_eq!(ended.await.to_string(), "error: fails at stop", "{}", kind.0);
        assert_eq!(log.heads(), ["ERROR exit", "WARN shutdown error"], "{}", kind.0);
    }
}

/// SHU-003: a child that exceeds its shutdown time is killed and logged.
#[tokio::test(start_paused = true)]
async fn every_kind_of_child_is_killed_after_its_shutdown_time() {
    for kind in KINDS {
        let rt = Runtime::new();
        let log = Log::listen();
        let (tree, mut heard) = up_with(&rt, kind.1, Does::Ignores, |spec| {
            spec.shutdown(Shutdown::Timeout(Duration::from_secs(7)))
        })
        .await;
        let ended = rt.ended(pid(&tree).await);
        let begin = tokio::time::Instant::now();
        tree.stop().await.unwrap();
        assert_eq!(heard.next().await, "stopping", "{}", kind.0);
        assert_eq!(ended.await, ExitReason::Killed, "{}", kind.0);
        assert!(begin.elapsed() >= Duration::from_secs(7));
        let overran = "WARN shutdown error: it overran its time";
        assert!(log.heads().iter().any(|head| head == overran), "{}", kind.0);
    }
}

/// SHU-002.
#[tokio::test]
async fn brutal_kill_kills_every_kind_of_child_at_once() {
    for kind in KINDS {
        let rt = Runtime::new();
        let log = Log::listen();
        let brutal = |spec: ChildSpec| spec.shutdown(Shutdown::BrutalKill);
        let (tree, _heard) = up_with(&rt, kind.1, Does::Stops, brutal).await;
        let ended = rt.ended(pid(&tree).await);
        tree.stop().await.unwrap();
        assert_eq!(ended.await, ExitReason::Killed, "{}", kind.0);
        assert_eq!(log.heads(), [""; 0], "{}", kind.0);
    }
}

/// T36, T37: a killed supervisor leaves no process behind, and its children still have their
/// shutdown times.
#[tokio::test]
async fn a_killed_supervisor_stops_every_kind_of_child() {
    for kind in KINDS {
        let rt = Runtime::new();
        let (tree, mut heard) = up(&rt, kind, Does::Stops).await;
        let ended = rt.ended(pid(&tree).await);
        rt.kill(tree.pid().unwrap());
        assert_eq!(heard.next().await, "stopping", "{}", kind.0);
        assert_eq!(ended.await, ExitReason::Shutdown, "{}", kind.0);
        assert_eq!(rt.process_count(), 0);
    }
}

/// A child that ignores the stop request of its killed supervisor is killed after its shutdown
/// time.
#[tokio::test(start_paused = true)]
async fn every_kind_ends_within_its_shutdown_time_after_a_killed_supervisor() {
    for kind in KINDS {
        let rt = Runtime::new();
        let (tree, mut heard) = up(&rt, kind, Does::Ignores).await;
        let ended = rt.ended(pid(&tree).await);
        rt.kill(tree.pid().unwrap());
        assert_eq!(heard.next().await, "stopping", "{}", kind.0);
        assert_eq!(ended.await, ExitReason::Killed, "{}", kind.0);
    }
}

/// ONE-016, SYS-008: each incarnation has the name and the label of the child.
#[tokio::test]
async fn every_kind_of_child_has_its_name_and_label() {
    for kind in KINDS {
        let rt = Runtime::new();
        rt.set_log_level(LogLevel::Info);
        let log = Log::listen();
        let named = |spec: ChildSpec| spec.named("name").shutdown(Shutdown::Infinity);
        let (tree, mut heard) = up_with(&rt, kind.1, Does::Stops, named).await;
        let old = pid(&tree).await;
        assert_eq!(rt.whereis("name"), Some(old), "{}", kind.0);
        rt.kill(old);
        while heard.next().await != "up" {}
        let new = pid(&tree).await;
        assert_ne!(old, new);
        assert_eq!(rt.whereis("name"), Some(new), "{}", kind.0);
        tree.stop().await.unwrap();
        assert_eq!(rt.whereis("name"), None, "{}", kind.0);
        let mut lines = log.take();
        lines.retain(|line| line.field("label") == "child");
        let told: Vec<_> = lines.iter().map(support::log::Line::head).collect();
        assert_eq!(told, ["INFO spawn", "WARN exit", "INFO spawn", "INFO exit"], "{}", kind.0);
    }
}

/// SYS-007: a crash is logged as one ERROR line with its message.
#[tokio::test]
async fn a_crash_of_every_kind_logs_one_error() {
    hush_injected_panics();
    for kind in KINDS {
        for (does, words) in
            [(Does::Fails("no"), "error: no"), (Does::Panics("boom"), "panic: boom")]
        {
            let rt = Runtime::new();
            let log = Log::listen();
            let temporary = |spec: ChildSpec| spec.restart(Restart::Temporary);
            let (tree, _heard) = up_with(&rt, kind.1, does, temporary).await;
            settle(&tree, (0, 0, 0, 0)).await;
            let lines = log.take();
            let errors: Vec<_> = lines.iter().filter(|line| line.head() == "ERROR exit").collect();
            let [line] = errors[..] else { panic!("{}: {lines:?}", kind.0) };
            assert!(line.field("reason").starts_with(words), "{}: {line:?}", kind.0);
            assert_eq!(line.field("label"), "child");
        }
    }
}

/// A child that handles only the stop request of its supervisor ends by any other exit signal like
/// an ordinary process.
#[tokio::test]
async fn an_exit_signal_of_another_process_ends_a_non_trapping_child() {
    for kind in KINDS.into_iter().filter(|(name, _)| *name != "task") {
        let rt = Runtime::new();
        let temporary = |spec: ChildSpec| spec.restart(Restart::Temporary);
        let (tree, _heard) = up_with(&rt, kind.1, Does::Stops, temporary).await;
        let child = pid(&tree).await;
        assert!(rt.exit(child, ExitReason::Normal)); // does nothing
        let ended = rt.ended(child);
        rt.exit(child, ExitReason::crashed("by a stranger"));
        assert_eq!(ended.await, ExitReason::crashed("by a stranger"), "{}", kind.0);
    }
}
