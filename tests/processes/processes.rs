//! The life of one process: spawn, pid, end, removal.

use crate::support;

use std::collections::HashSet;
use std::future::{Ready, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regrow::{CrashKind, ExitReason, Received, Runtime};
use support::{TestProcess, crash, dead_pid, idler};
use tokio::sync::oneshot;

/// PROC-001.
#[tokio::test]
async fn a_process_runs_to_its_end_and_is_removed_from_the_table() {
    let rt = Runtime::new();
    let process = rt.spawn(|_| async {});
    assert!(rt.is_alive(process.pid()));
    assert_eq!(process.join().await, ExitReason::Normal);
    assert!(!rt.is_alive(process.pid()));
    assert_eq!((rt.process_count(), rt.spawned(), rt.finished()), (0, 1, 1));
    assert_eq!(process.join().await, ExitReason::Normal, "a join long after the end");
}

tokio::task_local! {
    static TENANT: u32;
}

/// Task-locals replace OTP's process dictionary. A value that is set around a body is visible at
/// any depth in that body, and in no other process.
#[tokio::test]
async fn a_task_local_is_visible_only_in_the_body_it_is_set_around() {
    let rt = Runtime::new();
    let process = rt.spawn(|ctx| {
        TENANT.scope(7, async move {
            tokio::task::yield_now().await;
            assert_eq!(TENANT.get(), 7);
            let child =
                ctx.runtime().spawn(|_| async { assert!(TENANT.try_with(|_| ()).is_err()) });
            assert_eq!(child.join().await, ExitReason::Normal, "it inherits nothing");
        })
    });
    assert_eq!(process.join().await, ExitReason::Normal);
}

/// PROC-002.
#[tokio::test]
async fn pids_increase_and_are_never_reused() {
    let rt = Runtime::new();
    let mut pids = Vec::new();
    for _ in 0..10_000 {
        let process = rt.spawn(|_| async {});
        pids.push(process.pid());
        process.join().await;
    }
    pids.push(rt.spawn(|_| async {}).pid());
    assert!(pids.is_sorted());
    assert_eq!(pids.iter().collect::<HashSet<_>>().len(), 10_001);
}

/// PROC-003. On one thread, the message is queued before the first poll of the body.
#[tokio::test]
async fn a_message_sent_right_after_spawn_is_received() {
    let rt = Runtime::new();
    let (report, reported) = oneshot::channel();
    let process = rt.spawn(|mut ctx| async move {
        let first = ctx.recv().await;
        report.send((ctx.pid(), first)).unwrap();
    });
    assert!(rt.send(process.pid(), b"at once".to_vec()));
    assert_eq!(reported.await, Ok((process.pid(), support::text("at once"))));
}

/// PROC-004.
#[tokio::test]
async fn a_send_to_a_missing_process_returns_false() {
    let rt = Runtime::new();
    let mut bystander = TestProcess::new(&rt);
    let never_issued = regrow::Pid::from_raw(bystander.pid().raw() + 1_000_000);
    assert!(!rt.send(dead_pid(&rt).await, b"x".to_vec()));
    assert!(!rt.send(never_issued, b"x".to_vec()));
    assert_eq!(bystander.mail().await, []);
}

/// PROC-013. Observers of the process receive the panic message, and no other process is affected.
#[tokio::test]
async fn a_panic_ends_only_its_process_with_the_panic_message() {
    let rt = Runtime::new();
    let other = TestProcess::new(&rt);
    let reason = rt.spawn(|_| async { panic!("boom") }).join().await;
    assert!(reason.is_abnormal());
    let crash = reason.crash().unwrap();
    assert_eq!((crash.kind(), crash.message()), (CrashKind::Panic, "boom"));
    assert_eq!((rt.spawned(), rt.finished()), (2, 1));
    assert!(other.lives().await);

    let formatted = rt.spawn(|_| async { panic!("{} of {}", 1, 2) }).join().await;
    assert_eq!(formatted.crash().unwrap().message(), "1 of 2");
    let odd = rt.spawn(|_| async { std::panic::panic_any(7_u8) }).join().await;
    assert_eq!(odd.crash().unwrap().kind(), CrashKind::Panic);
}

/// T05. The closure that makes the body runs inside the process as well.
#[tokio::test]
async fn a_panic_while_the_body_is_created_ends_the_process() {
    let rt = Runtime::new();
    let captured = Arc::new(());
    let held = Arc::clone(&captured);
    let process = rt.spawn(move |_| -> Ready<()> {
        let _held = held;
        panic!("no future")
    });
    assert_eq!(process.join().await.crash().unwrap().message(), "no future");
    assert_eq!((rt.process_count(), rt.finished()), (0, 1));
    assert_eq!(Arc::strong_count(&captured), 1);
}

/// PROC-015.
#[tokio::test]
async fn a_kill_ends_a_process_that_waits_in_recv() {
    let rt = Runtime::new();
    let process = rt.spawn(|mut ctx| async move {
        ctx.recv().await;
        unreachable!("nobody sends");
    });
    tokio::task::yield_now().await;
    assert!(process.kill());
    assert_eq!(process.join().await, ExitReason::Killed);
    assert!(!rt.is_alive(process.pid()));
    assert_eq!(rt.finished(), 1);
    assert!(!process.kill());
}

/// A process that is killed before its first poll never runs its body, but the captures of the body
/// are dropped.
#[tokio::test]
async fn a_kill_before_the_first_poll_drops_the_body_without_running_it() {
    let rt = Runtime::new();
    let captured = Arc::new(AtomicUsize::new(0));
    let held = Arc::clone(&captured);
    let process = rt.spawn(|_| async move {
        held.fetch_add(1, Ordering::SeqCst);
    });
    assert!(process.kill());
    assert_eq!(process.join().await, ExitReason::Killed);
    assert_eq!(captured.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&captured), 1);
}

/// PROC-018.
#[test]
fn four_threads_spawn_ten_thousand_processes() {
    support::race::on_workers(async |rt| {
        let spawner =
            |rt: Runtime| move || (0..2_500).map(|_| rt.spawn(|_| async {})).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(spawner(rt.clone()))).collect();
        for thread in threads {
            for process in thread.join().unwrap() {
                assert_eq!(process.join().await, ExitReason::Normal);
            }
        }
        assert_eq!((rt.spawned(), rt.finished(), rt.process_count()), (10_000, 10_000, 0));
    });
}

/// PROC-020.
#[tokio::test]
async fn a_shutdown_kills_every_process_and_a_second_one_counts_none() {
    let rt = Runtime::new();
    let processes: Vec<_> = (0..5).map(|_| idler(&rt)).collect();
    assert_eq!(rt.shutdown(), 5);
    assert_eq!(rt.shutdown(), 0);
    for process in processes {
        assert_eq!(process.join().await, ExitReason::Killed);
    }
    assert_eq!(rt.process_count(), 0);
    assert_eq!(rt.shutdown(), 0);
}

/// A runtime that was shut down starts no process: a spawn returns the handle of an ended process.
#[tokio::test]
async fn spawns_after_a_shutdown_return_ended_processes() {
    let rt = Runtime::new();
    rt.shutdown();
    let late = rt.spawn(|_| async { unreachable!("the runtime is closed") });
    assert_eq!(late.join().await, ExitReason::Killed);
    let named = rt.whereis_or_spawn("late", |_| async { unreachable!("closed as well") });
    assert!(!rt.is_alive(named));
    assert_eq!((rt.process_count(), rt.whereis("late")), (0, None));
    support::assert_nothing_left(&rt).await;
}

/// PROC-026.
#[tokio::test]
async fn trap_exit_is_initially_off_and_not_inherited() {
    let rt = Runtime::new();
    let parent = TestProcess::new(&rt);
    rt.register("parent", parent.pid());
    assert!(!rt.info(parent.pid()).unwrap().trap_exit);
    assert_eq!(rt.set_trap_exit(parent.pid(), true), Some(false));
    assert_eq!(rt.set_trap_exit(parent.pid(), false), Some(true));
    assert_eq!(rt.set_trap_exit(parent.pid(), true), Some(false));

    let child = parent.ask(|ctx| ctx.runtime().spawn(|_| pending())).await;
    let child = rt.info(child.pid()).unwrap();
    assert!(!child.trap_exit);
    assert_eq!((child.links, child.names), (0, vec![]));
    assert_eq!(rt.info(parent.pid()).unwrap().links, 0);
}

/// A process whose body returns an error ends with this error, unchanged, as its reason.
#[tokio::test]
async fn a_fallible_body_ends_with_the_reason_it_returns() {
    let rt = Runtime::new();
    let stopped = rt.spawn_fallible(|_| async { Err(ExitReason::Shutdown) });
    assert_eq!(stopped.join().await, ExitReason::Shutdown);
    let crashed = rt.spawn_fallible(|_| async { Err(crash("own words")) });
    assert_eq!(crashed.join().await, crash("own words"));
    let fine = rt.spawn_fallible(|_| async { Ok(()) });
    assert_eq!(fine.join().await, ExitReason::Normal);
    let error = rt.spawn_fallible(|_| async {
        "x".parse::<u8>()?;
        Ok(())
    });
    let reason = error.join().await;
    assert!(reason.crash().unwrap().downcast_ref::<std::num::ParseIntError>().is_some());
}

/// The drop of its handles, or of a clone of the runtime, does not stop a process.
#[tokio::test]
async fn a_process_keeps_running_when_its_handles_are_dropped() {
    let rt = Runtime::new();
    let (go, going) = oneshot::channel::<()>();
    let (report, reported) = oneshot::channel();
    drop(rt.spawn(|mut ctx| async move {
        going.await.unwrap();
        assert_eq!(ctx.recv().await, Received::Message(b"still here".to_vec()));
        report.send(()).unwrap();
    }));
    let pid = rt.list()[0];
    drop(rt.clone());
    let ended = rt.ended(pid);
    go.send(()).unwrap();
    rt.send(pid, b"still here".to_vec());
    assert_eq!(reported.await, Ok(()));
    assert_eq!(ended.await, ExitReason::Normal);
}
