//! Exit signals and kills: which signals end a process, which it can trap, and which reason is
//! final.

use crate::support;

use std::time::Duration;

use regrow::{ExitReason, Pid, Runtime};
use support::{TestProcess, crash, dead_pid, down, exit, idler, text};
use tokio::sync::oneshot;

/// SIG-005.
#[tokio::test]
async fn a_kill_ends_a_trapping_process() {
    let rt = Runtime::new();
    let trapping = TestProcess::trapping(&rt);
    let mut watcher = TestProcess::new(&rt);
    let reference = rt.monitor(watcher.pid(), trapping.pid());
    assert!(rt.kill(trapping.pid()));
    assert_eq!(trapping.ended().await, ExitReason::Killed);
    assert_eq!(watcher.next().await, down(reference, trapping.pid(), ExitReason::Killed));
}

/// SIG-008. The signal comes from another process.
#[tokio::test]
async fn an_exit_signal_ends_a_process_unless_it_traps_exits() {
    let rt = Runtime::new();
    for reason in [crash("r"), ExitReason::Shutdown, ExitReason::Killed, ExitReason::NoProc] {
        let (plain, mut trapping) = (TestProcess::new(&rt), TestProcess::trapping(&rt));
        let sender = TestProcess::new(&rt);
        for target in [plain.pid(), trapping.pid()] {
            let reason = reason.clone();
            assert!(sender.ask(move |ctx| ctx.runtime().exit(target, reason)).await);
        }
        assert_eq!(plain.ended().await, reason);
        assert_eq!(trapping.mail().await, [exit(sender.pid(), reason)]);
        assert!(trapping.lives().await && sender.lives().await);
    }
}

/// SIG-008. A signal from outside has `Pid::OUTSIDE` as `from`.
#[tokio::test]
async fn an_exit_signal_from_outside_any_process_has_the_sender_outside() {
    let rt = Runtime::new();
    let mut trapping = TestProcess::trapping(&rt);
    assert!(rt.exit(trapping.pid(), crash("r")));
    assert_eq!(trapping.next().await, exit(Pid::OUTSIDE, crash("r")));

    let target = trapping.pid();
    let task_inside = trapping
        .ask(move |ctx| {
            let rt = ctx.runtime();
            tokio::spawn(async move { rt.exit(target, crash("task")) })
        })
        .await;
    assert!(task_inside.await.unwrap());
    assert_eq!(trapping.next().await, exit(Pid::OUTSIDE, crash("task")));
}

/// T12. A process that traps exits receives a normal exit signal from another process as a message.
/// A process that doesn't trap exits ignores the signal.
#[tokio::test]
async fn a_normal_exit_signal_does_not_end_another_process() {
    let rt = Runtime::new();
    let (mut plain, mut trapping) = (TestProcess::new(&rt), TestProcess::trapping(&rt));
    assert!(rt.exit(plain.pid(), ExitReason::Normal));
    assert!(rt.exit(trapping.pid(), ExitReason::Normal));
    assert_eq!(plain.mail().await, []);
    assert_eq!(trapping.mail().await, [exit(Pid::OUTSIDE, ExitReason::Normal)]);
    assert!(plain.lives().await && trapping.lives().await);
}

/// T12. An exit signal that a process sends to itself ends the process, or is trapped. This
/// includes the reason `Normal`.
#[tokio::test]
async fn an_exit_signal_to_oneself_takes_effect_for_every_reason() {
    let rt = Runtime::new();
    for reason in [ExitReason::Normal, ExitReason::Shutdown, crash("own")] {
        let own = reason.clone();
        let process = rt.spawn(|mut ctx| async move {
            assert!(ctx.runtime().exit(ctx.pid(), own));
            ctx.recv().await;
            unreachable!("it ends at its next await");
        });
        assert_eq!(process.join().await, reason);

        let mut trapping = TestProcess::trapping(&rt);
        let own = reason.clone();
        trapping.ask(|ctx| ctx.runtime().exit(ctx.pid(), own)).await;
        assert_eq!(trapping.next().await, exit(trapping.pid(), reason));
        assert!(trapping.lives().await);
    }
}

/// SIG-011.
#[tokio::test]
async fn an_exit_signal_to_a_missing_process_returns_false() {
    let rt = Runtime::new();
    let mut bystander = TestProcess::trapping(&rt);
    let never_issued = Pid::from_raw(bystander.pid().raw() + 1_000_000);
    for nobody in [dead_pid(&rt).await, never_issued, Pid::OUTSIDE] {
        assert!(!rt.exit(nobody, crash("x")));
        assert!(!rt.kill(nobody));
    }
    assert_eq!(bystander.mail().await, []);
    assert_eq!(rt.process_count(), 1);
}

/// SIG-012 and T13.
#[tokio::test]
async fn the_first_accepted_exit_reason_is_final() {
    let rt = Runtime::new();
    let mut watcher = TestProcess::trapping(&rt);
    let target = idler(&rt).pid();
    let (ended, reference) = (rt.ended(target), rt.monitor(watcher.pid(), target));
    rt.link(watcher.pid(), target);
    let sender = TestProcess::new(&rt);
    let sent = sender.ask(move |ctx| {
        let rt = ctx.runtime();
        rt.exit(target, crash("first")) && rt.exit(target, crash("second")) && rt.kill(target)
    });
    assert!(sent.await);
    assert_eq!(ended.await, crash("first"));
    assert_eq!(watcher.next().await, down(reference, target, crash("first")));
    assert_eq!(watcher.next().await, exit(target, crash("first")));
    assert_eq!(watcher.mail().await, []);
}

/// T13. A `Normal` signal from outside is not accepted, so the kill that follows is the first
/// accepted signal.
#[tokio::test]
async fn an_ignored_exit_signal_does_not_set_the_reason() {
    let rt = Runtime::new();
    let process = idler(&rt);
    rt.exit(process.pid(), ExitReason::Normal);
    rt.kill(process.pid());
    assert_eq!(process.join().await, ExitReason::Killed);
}

/// T13. If a process panics before it handles an accepted signal, the panic is its reason.
#[tokio::test]
async fn a_panic_takes_precedence_over_a_signal_that_was_accepted_before() {
    let rt = Runtime::new();
    let process = rt.spawn(|ctx| async move {
        ctx.runtime().exit(ctx.pid(), crash("signal"));
        panic!("real");
    });
    assert_eq!(process.join().await.crash().unwrap().message(), "real");
}

/// T13. If a body returns while an accepted signal is pending, the signal is the reason.
#[tokio::test]
async fn a_pending_signal_takes_precedence_over_a_later_return() {
    let rt = Runtime::new();
    let process = rt.spawn(|ctx| async move {
        ctx.runtime().exit(ctx.pid(), crash("signal"));
    });
    assert_eq!(process.join().await, crash("signal"));
}

/// A signal is trapped only if the process traps exits when the signal arrives.
#[tokio::test]
async fn trap_exit_applies_at_the_arrival_of_a_signal() {
    let rt = Runtime::new();
    let mut test_process = TestProcess::trapping(&rt);
    rt.exit(test_process.pid(), crash("trapped"));
    rt.set_trap_exit(test_process.pid(), false);
    assert_eq!(test_process.next().await, exit(Pid::OUTSIDE, crash("trapped")));
    rt.exit(test_process.pid(), crash("fatal"));
    rt.set_trap_exit(test_process.pid(), true);
    assert_eq!(test_process.ended().await, crash("fatal"));
}

/// Architecture 3.2. A fatal signal also prevents the handling of messages that were queued before
/// it. A send after the signal returns `false`.
#[tokio::test]
async fn queued_messages_are_not_handled_after_a_fatal_signal() {
    let rt = Runtime::new();
    for kill in [true, false] {
        let mut test_process = TestProcess::new(&rt);
        assert_eq!(test_process.mail().await, []);
        assert!(rt.send(test_process.pid(), b"before".to_vec()));
        if kill {
            rt.kill(test_process.pid())
        } else {
            rt.exit(test_process.pid(), crash("r"))
        };
        assert!(!rt.send(test_process.pid(), b"after".to_vec()));
        assert!(rt.is_alive(test_process.pid()), "until it is torn down");
        test_process.ended().await;
        assert_eq!(test_process.rest().await, []);
    }
}

/// T22. Neither queued messages nor a selective receive delay a kill.
#[tokio::test]
async fn a_kill_takes_effect_before_queued_messages() {
    let rt = Runtime::new();
    let process = rt.spawn(|mut ctx| async move {
        ctx.recv_match(|item| *item == text("never sent")).await;
    });
    for _ in 0..1_000 {
        rt.send(process.pid(), b"x".to_vec());
    }
    tokio::task::yield_now().await;
    process.kill();
    assert_eq!(process.join().await, ExitReason::Killed);
}

/// T22. A kill ends the body at any await; none of the futures in this test ever completes.
#[tokio::test(start_paused = true)]
async fn a_kill_ends_a_process_inside_any_await() {
    let rt = Runtime::new();
    let (_keep, never) = oneshot::channel::<()>();
    let other = idler(&rt);
    let waiting = [
        rt.spawn(|_| async { tokio::time::sleep(Duration::from_secs(3_600)).await }),
        rt.spawn(|_| async { drop(never.await) }),
        rt.spawn(|_| async move { drop(other.join().await) }),
        rt.spawn(|mut ctx| async move {
            tokio::select! {
                _ = ctx.recv() => {}
                () = std::future::pending() => {}
            }
        }),
        rt.spawn(|mut ctx| async move {
            let endless = Box::pin(async move { drop(ctx.recv().await) });
            futures_util::future::select_all([endless]).await;
        }),
        rt.spawn(|_| async {
            loop {
                tokio::task::yield_now().await;
            }
        }),
    ];
    tokio::task::yield_now().await;
    for process in waiting {
        assert!(process.kill());
        assert_eq!(process.join().await, ExitReason::Killed);
    }
}

/// T22. A process that waits for a blocking thread ends before that thread does.
#[tokio::test]
async fn a_kill_does_not_wait_for_a_blocking_thread() {
    let rt = Runtime::new();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let process = rt.spawn(|_| async move {
        tokio::task::spawn_blocking(move || released.recv()).await.unwrap().unwrap();
    });
    tokio::task::yield_now().await;
    process.kill();
    assert_eq!(process.join().await, ExitReason::Killed);
    release.send(()).expect("the thread still waits");
}

/// The reason `Killed` is not the signal kill.
#[tokio::test]
async fn an_exit_signal_with_the_reason_killed_is_trapped_as_any_other() {
    let rt = Runtime::new();
    let mut trapping = TestProcess::trapping(&rt);
    rt.exit(trapping.pid(), ExitReason::Killed);
    assert_eq!(trapping.next().await, exit(Pid::OUTSIDE, ExitReason::Killed));
    assert!(trapping.lives().await);
    let other = TestProcess::new(&rt);
    rt.exit(other.pid(), ExitReason::Killed);
    assert_eq!(other.ended().await, ExitReason::Killed);
}
