//! Monitors: each reports the end of its target once, for every kind of end.

use crate::support;

use regrow::{ExitReason, Pid, Received, Runtime};
use support::{TestProcess, crash, dead_pid, down, idler, text};
use tokio::sync::oneshot;

/// A way to end a process.
type End = fn(&TestProcess, &Runtime);

/// SIG-027.
#[tokio::test]
async fn a_monitor_reports_each_kind_of_end() {
    let rt = Runtime::new();
    let mut watcher = TestProcess::new(&rt);
    let ends: [(End, &str); 4] = [
        (|target, _| target.finish(), "normal"),
        (|target, _| target.panic("boom"), "panic: boom"),
        (|target, rt| assert!(rt.kill(target.pid())), "killed"),
        (|target, rt| assert!(rt.exit(target.pid(), crash("r"))), "r"),
    ];
    for (end, reason) in ends {
        let target = TestProcess::new(&rt);
        let reference = rt.monitor(watcher.pid(), target.pid());
        end(&target, &rt);
        let ended = target.ended().await;
        assert_eq!(ended.to_string(), reason);
        assert_eq!(watcher.mail().await, [down(reference, target.pid(), ended)]);
    }
    assert_eq!(rt.info(watcher.pid()).unwrap().monitoring, 0);
}

/// SIG-028.
#[tokio::test]
async fn a_monitor_of_an_ended_process_reports_noproc_at_once() {
    let rt = Runtime::new();
    let mut watcher = TestProcess::new(&rt);
    let never_issued = Pid::from_raw(1_000_000);
    for nobody in [dead_pid(&rt).await, never_issued] {
        let reference = rt.monitor(watcher.pid(), nobody);
        assert_eq!(watcher.mail().await, [down(reference, nobody, ExitReason::NoProc)]);
    }
}

/// SIG-029.
#[tokio::test]
async fn a_monitor_by_name_reports_the_name() {
    let rt = Runtime::new();
    let (mut watcher, holder) = (TestProcess::new(&rt), TestProcess::new(&rt));
    rt.register("n", holder.pid());
    let reference = rt.monitor_name(watcher.pid(), "n");
    holder.fail(crash("r"));
    holder.ended().await;
    let name = "n".into();
    assert_eq!(watcher.mail().await, [Received::DownName { reference, name, reason: crash("r") }]);

    let reference = rt.monitor_name(watcher.pid(), "n");
    let (name, reason) = ("n".into(), ExitReason::NoProc);
    assert_eq!(watcher.mail().await, [Received::DownName { reference, name, reason }]);
}

/// SIG-029. The monitor watches the process that holds the name when the monitor is made, not the
/// name.
#[tokio::test]
async fn a_monitor_by_name_stays_with_the_process_that_held_the_name() {
    let rt = Runtime::new();
    let (mut watcher, first) = (TestProcess::new(&rt), TestProcess::new(&rt));
    let second = TestProcess::new(&rt);
    rt.register("n", first.pid());
    let reference = rt.monitor_name(watcher.pid(), "n");
    rt.unregister("n");
    rt.register("n", second.pid());
    second.finish();
    second.ended().await;
    assert_eq!(watcher.mail().await, []);
    first.fail(crash("r"));
    let (name, reason) = ("n".into(), crash("r"));
    assert_eq!(watcher.next().await, Received::DownName { reference, name, reason });
}

/// SIG-031.
#[tokio::test]
async fn two_monitors_report_twice() {
    let rt = Runtime::new();
    let (mut watcher, target) = (TestProcess::new(&rt), TestProcess::new(&rt));
    let refs = [(); 2].map(|()| rt.monitor(watcher.pid(), target.pid()));
    assert_ne!(refs[0], refs[1]);
    assert_eq!(rt.info(target.pid()).unwrap().monitors, 2);
    target.fail(crash("r"));
    target.ended().await;
    let mail = watcher.mail().await;
    assert_eq!(mail.len(), 2);
    for reference in refs {
        assert!(mail.contains(&down(reference, target.pid(), crash("r"))));
    }
}

/// SIG-032.
#[tokio::test]
async fn a_demonitor_in_time_leaves_no_down() {
    let rt = Runtime::new();
    for flush in [false, true] {
        let (mut watcher, target) = (TestProcess::new(&rt), TestProcess::new(&rt));
        let kept = rt.monitor(watcher.pid(), target.pid());
        let reference = rt.monitor(watcher.pid(), target.pid());
        let let_go = |r| if flush { rt.demonitor_flush(r) } else { rt.demonitor(r) };
        assert!(let_go(reference));
        assert!(!let_go(reference), "repeated");
        assert_eq!(rt.info(target.pid()).unwrap().monitors, 1);
        target.finish();
        target.ended().await;
        assert_eq!(watcher.mail().await, [down(kept, target.pid(), ExitReason::Normal)]);
        assert!(!let_go(kept), "after its Down was received");
        watcher.handle.kill();
        watcher.ended().await;
        assert!(!let_go(kept), "the watcher has ended");
    }
}

/// A `MonitorRef` contains the pid of its watcher, so a demonitor by another process removes the
/// monitor of that watcher.
#[tokio::test]
async fn a_demonitor_from_another_process_removes_the_watchers_monitor() {
    let rt = Runtime::new();
    for flush in [false, true] {
        let (mut watcher, mut stranger) = (TestProcess::new(&rt), TestProcess::new(&rt));
        let target = TestProcess::new(&rt);
        let reference = rt.monitor(watcher.pid(), target.pid());
        let own = rt.monitor(stranger.pid(), target.pid());
        let let_go = stranger.ask(move |ctx| match flush {
            true => ctx.runtime().demonitor_flush(reference),
            false => ctx.runtime().demonitor(reference),
        });
        assert!(let_go.await);
        target.finish();
        target.ended().await;
        assert_eq!(watcher.mail().await, []);
        let expected = [down(own, target.pid(), ExitReason::Normal)];
        assert_eq!(stranger.mail().await, expected, "its own monitor is another");
    }
}

/// SIG-032. A reference from another runtime is treated as unknown.
#[tokio::test]
async fn a_demonitor_with_an_unknown_reference_has_no_effect() {
    let (rt, elsewhere) = (Runtime::new(), Runtime::new());
    let (mut watcher, target) = (TestProcess::new(&rt), TestProcess::new(&rt));
    let strangers =
        [(); 5].map(|()| elsewhere.monitor(TestProcess::new(&elsewhere).pid(), target.pid()));
    let unknown = strangers[4];
    let reference = rt.monitor(watcher.pid(), target.pid());
    assert!(!rt.demonitor(unknown));
    assert!(!rt.demonitor_flush(unknown));
    target.finish();
    assert_eq!(watcher.next().await, down(reference, target.pid(), ExitReason::Normal));
}

/// SIG-033. The watcher receives nothing until the `Down` is queued.
#[tokio::test]
async fn demonitor_flush_removes_the_queued_down_and_demonitor_does_not() {
    for flush in [true, false] {
        let rt = Runtime::with_mailbox_depth();
        let target = TestProcess::new(&rt);
        let (open, opened) = oneshot::channel::<()>();
        let (report, reported) = oneshot::channel();
        let watcher = rt.spawn(|mut ctx| async move {
            opened.await.unwrap();
            let mut seen = 0;
            let last = |item: &Received| {
                seen += 1;
                *item == text("last")
            };
            ctx.recv_match(last).await;
            report.send(seen).unwrap();
        });
        let reference = rt.monitor(watcher.pid(), target.pid());
        target.finish();
        target.ended().await;
        let depth = || rt.info(watcher.pid()).unwrap().mailbox_depth;
        assert_eq!(depth(), 1);
        assert!(!if flush { rt.demonitor_flush(reference) } else { rt.demonitor(reference) });
        assert_eq!(depth(), if flush { 0 } else { 1 });
        rt.send(watcher.pid(), b"last".to_vec());
        open.send(()).unwrap();
        assert_eq!(reported.await, Ok(if flush { 1 } else { 2 }), "items it looked at");
    }
}

/// SIG-036.
#[tokio::test]
async fn a_monitor_of_oneself_reports_nothing() {
    let rt = Runtime::new();
    let mut test_process = TestProcess::new(&rt);
    let own = test_process.pid();
    rt.register("self", own);
    let references = test_process.ask(move |ctx| {
        let rt = ctx.runtime();
        [rt.monitor(own, own), rt.monitor_name(own, "self")]
    });
    let references = references.await;
    assert_eq!(test_process.mail().await, []);
    assert!(rt.demonitor(references[0]));
    assert_eq!(rt.info(own).unwrap().monitors, 1);
    test_process.finish();
    assert_eq!(test_process.ended().await, ExitReason::Normal);
    assert_eq!(test_process.rest().await, []);
    support::assert_nothing_left(&rt).await;
}

/// SIG-037.
#[tokio::test]
async fn the_monitors_of_an_ended_watcher_are_removed() {
    let rt = Runtime::new();
    let (watcher, target) = (TestProcess::new(&rt), TestProcess::new(&rt));
    rt.monitor(watcher.pid(), target.pid());
    assert_eq!(rt.info(target.pid()).unwrap().monitors, 1);
    watcher.handle.kill();
    watcher.ended().await;
    assert!(target.lives().await);
    assert_eq!(rt.info(target.pid()).unwrap().monitors, 0);
    rt.monitor(watcher.pid(), target.pid());
    assert_eq!(rt.info(target.pid()).unwrap().monitors, 0, "the watcher had ended before");
}

/// T11.
#[tokio::test]
async fn a_thousand_ended_watchers_leave_no_monitors_at_their_target() {
    let rt = Runtime::new();
    let target = idler(&rt);
    let watchers: Vec<_> = (0..1_000).map(|_| idler(&rt)).collect();
    for watcher in &watchers {
        rt.monitor(watcher.pid(), target.pid());
    }
    assert_eq!(rt.info(target.pid()).unwrap().monitors, 1_000);
    for watcher in watchers {
        watcher.kill();
        watcher.join().await;
    }
    assert_eq!(rt.info(target.pid()).unwrap().monitors, 0);
}

/// SIG-039.
#[test]
fn a_down_arrives_after_all_messages_of_its_process() {
    support::race::on_workers(async |rt| {
        let mut watcher = TestProcess::new(&rt);
        let to = watcher.pid();
        for _ in 0..1_000 {
            let (go, going) = oneshot::channel::<()>();
            let sender = rt.spawn(move |ctx| async move {
                going.await.unwrap();
                for word in ["1", "2", "3"] {
                    ctx.runtime().send(to, word.into());
                }
            });
            let reference = rt.monitor(to, sender.pid());
            go.send(()).unwrap();
            for word in ["1", "2", "3"] {
                assert_eq!(watcher.next().await, text(word));
            }
            let reason = ExitReason::Normal;
            assert_eq!(watcher.next().await, down(reference, sender.pid(), reason));
        }
    });
}

/// SIG-042 and T06.
#[test]
fn spawn_monitor_always_reports_the_true_reason() {
    support::race::on_workers(async |rt| {
        let mut watcher = TestProcess::new(&rt);
        for round in 0..1_000 {
            let own = if round % 2 == 0 { ExitReason::Normal } else { crash("own") };
            let body_own = own.clone();
            let (child, reference) = rt.spawn_monitor(watcher.pid(), move |ctx| {
                ctx.runtime().exit(ctx.pid(), body_own);
                std::future::ready(())
            });
            assert_eq!(watcher.next().await, down(reference, child.pid(), own));
        }
        assert_eq!(watcher.mail().await, []);
    });
}

/// For mailboxes of any length, `demonitor_flush` removes its own queued `Down` and no other item.
#[tokio::test]
async fn demonitor_flush_removes_only_its_own_down_from_a_long_mailbox() {
    for (queued, counted) in [(0, false), (0, true), (40, false), (300, true), (300, false)] {
        let rt = if counted { Runtime::with_mailbox_depth() } else { Runtime::new() };
        let (go, going) = oneshot::channel::<usize>();
        let watcher = rt.spawn(move |mut ctx| async move {
            let mut expected = Vec::new();
            for _ in 0..going.await.unwrap() {
                expected.push(ctx.recv().await);
            }
            (ctx.recv_timeout(std::time::Duration::ZERO).await).map_or(Ok(expected), Err).unwrap();
        });
        let pid = watcher.pid();
        let mut left = queued;
        for number in 0..queued {
            assert!(rt.send(pid, vec![0; number]));
        }
        for round in 0..200 {
            let reference = rt.monitor(pid, dead_pid(&rt).await);
            if round % 5 == 0 {
                left += 1;
            } else {
                assert!(!rt.demonitor_flush(reference));
            }
        }
        assert!(!counted || rt.info(pid).unwrap().mailbox_depth == left);
        go.send(left).unwrap();
        assert_eq!(watcher.join().await, ExitReason::Normal);
    }
}
