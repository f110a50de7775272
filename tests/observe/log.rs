//! The lifecycle log: off by default, and one line for each fact when it is on.

use crate::support;

use std::future::pending;

use regrow::{ChildSpec, ExitReason, LogLevel, Pid, Runtime, Supervisor};
use support::log::{Broken, Line, Log};
use support::{Listener, dead, idle, settled};
use tracing::Level;

const ALL_LEVELS: [LogLevel; 5] =
    [LogLevel::Off, LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];

/// Starts a process that has this label and waits for ever.
fn labelled(rt: &Runtime, label: &str) -> Pid {
    let pid = idle(rt);
    rt.set_label(pid, label);
    pid
}

/// Ends a process by an exit signal with this reason.
async fn exited(rt: &Runtime, pid: Pid, reason: ExitReason) {
    let ended = rt.ended(pid);
    assert!(rt.exit(pid, reason.clone()));
    assert_eq!(ended.await, reason);
}

/// Each level includes the less verbose levels. No event is logged with the level `Off`.
#[tokio::test]
async fn a_log_level_includes_all_less_verbose_levels() {
    let rt = Runtime::new();
    assert!(ALL_LEVELS.iter().all(|&level| !rt.wants_log(level)), "off at first");
    for (n, &set) in ALL_LEVELS.iter().enumerate() {
        rt.set_log_level(set);
        assert!(!rt.wants_log(LogLevel::Off));
        let wanted = ALL_LEVELS[1..].iter().filter(|&&level| rt.wants_log(level)).count();
        assert_eq!(wanted, n, "{set:?}");
    }
}

/// The lines that each level logs for starts and ends of labelled processes.
#[tokio::test]
async fn each_log_level_adds_lines_to_the_one_before() {
    let told: [&[&str]; 5] = [
        &[],
        &["ERROR exit"],
        &["ERROR exit", "WARN exit"],
        &["INFO spawn", "ERROR exit", "WARN exit", "INFO exit"],
        &["INFO spawn", "ERROR exit", "WARN exit", "INFO exit"],
    ];
    let log = Log::listen();
    for (level, expected) in ALL_LEVELS.into_iter().zip(told) {
        let rt = Runtime::new();
        rt.set_log_level(level);
        rt.log_spawn(idle(&rt), "worker", "");
        for reason in [ExitReason::crashed("x"), ExitReason::Killed, ExitReason::Shutdown] {
            exited(&rt, labelled(&rt, "worker"), reason).await;
        }
        assert_eq!(log.heads(), expected, "{level:?}");
    }
}

/// The end of a process without a label is not logged if another process or the runtime ended it,
/// whatever the reason.
#[tokio::test]
async fn unlabelled_processes_that_are_ended_by_others_log_no_line() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Debug);
    dead(&rt).await;
    for reason in [ExitReason::crashed("x"), ExitReason::Killed, ExitReason::Shutdown] {
        exited(&rt, idle(&rt), reason).await;
    }
    assert_eq!(log.heads(), [""; 0]);
}

/// A spawn line has the fields pid, label and detail. Every line has the same target.
#[tokio::test]
async fn a_spawn_line_has_pid_label_and_detail() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Info);
    rt.log_spawn(Pid::from_raw(7), "worker", "second try");
    rt.log_spawn(Pid::from_raw(8), "worker", "");
    let lines = log.take();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.target == "regrow::lifecycle"));
    let fields = ["pid", "label", "detail"].map(|name| lines[0].field(name));
    assert_eq!(fields, ["#7", "worker", "second try"]);
    assert_eq!((lines[1].field("pid"), lines[1].field("detail")), ("#8", ""));
}

/// A kill is logged once, before the exit that it causes. A kill of an ended process is not logged.
#[tokio::test]
async fn a_kill_logs_one_line_at_level_info() {
    let (log, rt) = (Log::listen(), Runtime::new());
    for (level, expected) in
        [(LogLevel::Info, &["INFO kill", "WARN exit"][..]), (LogLevel::Warn, &["WARN exit"])]
    {
        rt.set_log_level(level);
        let victim = labelled(&rt, "victim");
        support::killed(&rt, victim).await;
        assert!(!rt.kill(victim));
        let lines = log.take();
        assert_eq!(lines.iter().map(Line::head).collect::<Vec<_>>(), expected);
        assert!(lines.iter().all(|line| line.field("pid") == victim.to_string()));
    }
}

/// A kill of a group logs one line for the group, then one exit line for each member.
#[tokio::test(start_paused = true)]
async fn a_group_kill_logs_one_line_and_each_members_exit() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Info);
    for _ in 0..3 {
        rt.register_tag("g", labelled(&rt, "member"));
    }
    assert_eq!(rt.kill_tag("g"), 3);
    settled().await;
    let lines = log.take();
    let heads: Vec<_> = lines.iter().map(Line::head).collect();
    assert_eq!(heads, ["INFO kill tag", "WARN exit", "WARN exit", "WARN exit"]);
    assert_eq!((lines[0].field("tag"), lines[0].field("killed")), ("g", "3"));
}

/// The exit line is logged before any process is notified of the end.
#[tokio::test]
async fn the_exit_line_is_logged_before_any_down_is_delivered() {
    let (log, rt) = (Log::listen(), Runtime::new());
    let process = rt.spawn(|mut ctx| async move {
        ctx.recv().await;
        panic!("boom")
    });
    let watcher = rt.spawn(move |mut ctx| async move {
        ctx.runtime().monitor(ctx.pid(), process.pid());
        ctx.runtime().send(process.pid(), b"go".to_vec());
        ctx.recv().await;
        tracing::info!(target: "regrow test", "down");
    });
    watcher.join().await;
    assert_eq!(log.heads(), ["ERROR exit", "INFO down"]);
}

/// SYS-008. A restart is logged as the exit of the old incarnation and the spawn of the new one,
/// without a line of its own in the lifecycle log.
#[tokio::test(start_paused = true)]
async fn a_restart_logs_an_exit_line_and_a_spawn_line() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Info);
    let flaky = ChildSpec::task("flaky", |mut ctx| async move {
        ctx.runtime().register("flaky", ctx.pid());
        ctx.recv().await;
        panic!("boom")
    });
    let tree = Supervisor::one_for_one().child(flaky).start(&rt).await.unwrap();
    settled().await;
    let old = rt.whereis("flaky").unwrap().to_string();
    rt.send_named("flaky", b"go".to_vec());
    settled().await;
    let new = rt.whereis("flaky").unwrap().to_string();
    let lines = log.take();
    let of_flaky: Vec<_> = lines.iter().filter(|line| line.field("label") == "flaky").collect();
    let told: Vec<_> = of_flaky.iter().map(|l| (l.head(), l.field("pid").to_owned())).collect();
    let expected = [("INFO spawn", &old), ("ERROR exit", &old), ("INFO spawn", &new)];
    assert_eq!(told, expected.map(|(head, pid)| (head.to_owned(), pid.clone())));
    assert!(of_flaky[1].field("reason").contains("boom"));
    tree.stop().await.unwrap();
}

/// A destructor that panics during the teardown of a process is logged as a warning. The exit
/// reason of the process does not change.
#[tokio::test]
async fn a_panicking_destructor_logs_a_warning() {
    struct Mine;
    impl Drop for Mine {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let (log, rt) = (Log::listen(), Runtime::new());
    let process = rt.spawn(|_| async {
        let _mine = Mine;
        pending().await
    });
    tokio::task::yield_now().await;
    assert!(rt.exit(process.pid(), ExitReason::Shutdown));
    assert_eq!(process.join().await, ExitReason::Shutdown);
    let lines = log.take();
    assert_eq!((lines.len(), lines[0].level), (1, Level::WARN));
    assert_eq!(lines[0].field("pid"), process.pid().to_string());
}

/// T25. A subscriber that panics affects no process: `Down` messages are delivered, and kills
/// return.
#[tokio::test]
async fn a_panicking_tracing_subscriber_does_not_stop_a_teardown() {
    let _broken = tracing::subscriber::set_default(Broken);
    let rt = Runtime::new();
    rt.set_log_level(LogLevel::Debug);
    let mut watcher = Listener::new(&rt);
    rt.log_spawn(watcher.pid, "watcher", "");
    let panics = rt.spawn(|_| async { panic!("boom") });
    let (killed, member) = (labelled(&rt, "killed"), labelled(&rt, "member"));
    rt.register_tag("g", member);
    let ends = [panics.pid(), killed, member].map(|pid| (pid, rt.monitor(watcher.pid, pid)));
    assert!(rt.kill(killed));
    assert_eq!(rt.kill_tag("g"), 1);
    for _ in ends {
        let regrow::Received::Down { pid, reason, .. } = watcher.next().await else { panic!() };
        assert_eq!(reason == ExitReason::Killed, pid != panics.pid());
    }
    assert_eq!(panics.join().await.crash().unwrap().message(), "boom");
}
