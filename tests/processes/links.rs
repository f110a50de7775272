//! Links: the effect of the end of one process on linked processes.

use crate::support;

use std::future::pending;

use regrow::{ExitReason, Pid, Received, Runtime};
use support::{TestProcess, crash, dead_pid, down, exit, idler};

fn links(rt: &Runtime, pid: Pid) -> usize {
    rt.info(pid).expect("it is alive").links
}

/// SIG-001.
#[tokio::test]
async fn an_abnormal_exit_ends_linked_processes_with_its_reason() {
    let rt = Runtime::new();
    let (a, b, mut watcher) = (TestProcess::new(&rt), TestProcess::new(&rt), TestProcess::new(&rt));
    assert!(rt.link(a.pid(), b.pid()));
    let reference = rt.monitor(watcher.pid(), b.pid());
    a.fail(crash("r"));
    assert_eq!(b.ended().await, crash("r"));
    assert_eq!(watcher.next().await, down(reference, b.pid(), crash("r")));
}

/// SIG-001, for a panic: the linked process ends with the panic message.
#[tokio::test]
async fn a_panic_ends_linked_processes_with_its_message() {
    let rt = Runtime::new();
    let (a, b) = (TestProcess::new(&rt), TestProcess::new(&rt));
    rt.link(b.pid(), a.pid());
    a.panic("boom");
    assert_eq!(b.ended().await.crash().unwrap().message(), "boom");
}

/// SIG-002.
#[tokio::test]
async fn a_normal_exit_does_not_end_linked_processes() {
    let rt = Runtime::new();
    let (a, b) = (TestProcess::new(&rt), TestProcess::new(&rt));
    rt.link(a.pid(), b.pid());
    assert_eq!((links(&rt, a.pid()), links(&rt, b.pid())), (1, 1));
    a.finish();
    a.ended().await;
    assert!(b.lives().await);
    assert_eq!(links(&rt, b.pid()), 0);
}

/// SIG-003.
#[tokio::test]
async fn a_trapping_process_receives_the_exit_and_stays_alive() {
    let rt = Runtime::new();
    let mut b = TestProcess::trapping(&rt);
    for reason in [ExitReason::Normal, ExitReason::Shutdown, crash("r"), ExitReason::Killed] {
        let a = TestProcess::new(&rt);
        rt.link(a.pid(), b.pid());
        a.fail(reason.clone());
        a.ended().await;
        assert_eq!(b.mail().await, [exit(a.pid(), reason)]);
        assert!(b.lives().await);
        assert_eq!(links(&rt, b.pid()), 0);
    }
}

/// SIG-004.
#[tokio::test]
async fn a_shutdown_exit_ends_linked_processes() {
    let rt = Runtime::new();
    for reason in [ExitReason::Shutdown, ExitReason::shutdown_with("x")] {
        let (a, b) = (TestProcess::new(&rt), TestProcess::new(&rt));
        rt.link(a.pid(), b.pid());
        a.fail(reason.clone());
        assert_eq!(b.ended().await, reason);
    }
}

/// SIG-006.
#[tokio::test]
async fn a_kill_ends_a_whole_chain_of_links() {
    let rt = Runtime::new();
    let chain: Vec<_> = (0..10).map(|_| idler(&rt)).collect();
    for pair in chain.windows(2) {
        assert!(rt.link(pair[0].pid(), pair[1].pid()));
    }
    chain[9].kill();
    for process in chain {
        assert_eq!(process.join().await, ExitReason::Killed);
    }
}

/// Guarantee 3. A cascade through a ring of links carries the first reason, in whichever direction
/// it reaches a process.
#[tokio::test]
async fn a_cascade_carries_the_original_reason() {
    let rt = Runtime::new();
    let ring: Vec<_> = (0..100).map(|_| TestProcess::new(&rt)).collect();
    for at in 0..100 {
        assert!(rt.link(ring[at].pid(), ring[(at + 1) % 100].pid()));
        assert!(rt.link(ring[at].pid(), ring[(at + 37) % 100].pid()));
    }
    ring[42].fail(crash("the first"));
    for process in &ring {
        assert_eq!(process.ended().await, crash("the first"));
    }
    support::assert_nothing_left(&rt).await;
}

/// SIG-015.
#[tokio::test]
async fn an_unlink_stops_the_cascade() {
    let rt = Runtime::new();
    for swapped in [false, true] {
        let (a, b) = (TestProcess::new(&rt), TestProcess::new(&rt));
        rt.link(a.pid(), b.pid());
        let (one, other) = if swapped { (&b, &a) } else { (&a, &b) };
        rt.unlink(one.pid(), other.pid());
        assert_eq!((links(&rt, a.pid()), links(&rt, b.pid())), (0, 0));
        a.fail(crash("r"));
        a.ended().await;
        assert!(b.lives().await);
    }
}

/// After `unlink` has returned, the mailbox contains no `Exit` of that link.
#[tokio::test]
async fn an_unlink_removes_the_queued_exit() {
    let rt = Runtime::with_mailbox_depth();
    let (a, stranger) = (TestProcess::new(&rt), TestProcess::new(&rt));
    let (a_pid, stranger_pid) = (a.pid(), stranger.pid());
    let (open, opened) = tokio::sync::oneshot::channel::<()>();
    let b = rt.spawn(move |mut ctx| async move {
        opened.await.unwrap();
        let mut seen = 0;
        let exits = |item: &Received| {
            seen += 1;
            matches!(item, Received::Exit { .. })
        };
        assert_eq!(ctx.recv_match(exits).await, exit(stranger_pid, crash("other")));
        assert_eq!(seen, 1, "the one taken back is not even looked at");
    });
    rt.set_trap_exit(b.pid(), true);
    rt.link(b.pid(), a_pid);
    rt.link(b.pid(), stranger_pid);
    a.fail(crash("r"));
    a.ended().await;
    assert_eq!(rt.info(b.pid()).unwrap().mailbox_depth, 1);
    rt.unlink(b.pid(), a_pid);
    assert_eq!(rt.info(b.pid()).unwrap().mailbox_depth, 0);
    stranger.fail(crash("other"));
    stranger.ended().await;
    open.send(()).unwrap();
    assert_eq!(b.join().await, ExitReason::Normal);
}

/// SIG-016.
#[tokio::test]
async fn linking_twice_makes_one_link() {
    let rt = Runtime::new();
    for unlinked in [true, false] {
        let (a, mut b) = (TestProcess::new(&rt), TestProcess::trapping(&rt));
        for _ in 0..2 {
            assert!(rt.link(a.pid(), b.pid()));
            assert!(rt.link(b.pid(), a.pid()));
        }
        assert_eq!((links(&rt, a.pid()), links(&rt, b.pid())), (1, 1));
        if unlinked {
            rt.unlink(a.pid(), b.pid());
            rt.set_trap_exit(b.pid(), false);
        }
        a.fail(crash("r"));
        a.ended().await;
        let expected = if unlinked { vec![] } else { vec![exit(a.pid(), crash("r"))] };
        assert_eq!(b.mail().await, expected);
        assert!(b.lives().await);
    }
}

/// SIG-018.
#[tokio::test]
async fn linking_to_an_ended_process_sends_noproc_to_a_trapping_linker() {
    let rt = Runtime::new();
    let dead = dead_pid(&rt).await;
    let mut a = TestProcess::trapping(&rt);
    assert!(!rt.link(a.pid(), dead));
    assert_eq!(a.mail().await, [exit(dead, ExitReason::NoProc)]);
    assert_eq!(links(&rt, a.pid()), 0);
    assert!(!rt.link(dead, a.pid()), "an ended linker");
    assert_eq!(a.mail().await, [], "its peer receives nothing");
}

/// SIG-019.
#[tokio::test]
async fn linking_to_an_ended_process_returns_false_and_the_linker_stays_alive() {
    let rt = Runtime::new();
    let dead = dead_pid(&rt).await;
    let mut a = TestProcess::new(&rt);
    assert!(!a.ask(move |ctx| ctx.runtime().link(ctx.pid(), dead)).await);
    assert!(a.lives().await);
    assert_eq!(links(&rt, a.pid()), 0);
    assert_eq!(a.mail().await, []);

    let peer = TestProcess::new(&rt);
    assert!(rt.link(a.pid(), peer.pid()));
    peer.fail(crash("r"));
    assert_eq!(a.ended().await, crash("r"));
}

/// SIG-020.
#[tokio::test]
async fn a_link_to_oneself_has_no_effect() {
    let rt = Runtime::new();
    let (mut a, stranger) = (TestProcess::trapping(&rt), TestProcess::new(&rt));
    let own = a.pid();
    assert!(rt.link(own, own));
    assert_eq!(links(&rt, own), 0);
    rt.unlink(own, own);
    rt.unlink(own, stranger.pid());
    stranger.fail(crash("r"));
    stranger.ended().await;
    assert_eq!(a.mail().await, []);
    assert!(a.lives().await);
}

/// SIG-021 and T10, on one thread; `races_spawns.rs` tests several threads.
#[tokio::test]
async fn a_parent_receives_one_exit_with_the_true_reason_of_each_short_child() {
    let rt = Runtime::new();
    let mut parent = TestProcess::trapping(&rt);
    for round in 0..1_000 {
        let child = parent
            .ask(move |ctx| {
                ctx.runtime().spawn_link(ctx.pid(), move |_| async move {
                    assert!(round % 2 == 0, "odd");
                })
            })
            .await;
        let reason = child.join().await;
        assert_eq!(reason == ExitReason::Normal, round % 2 == 0);
        assert_eq!(parent.mail().await, [exit(child.pid(), reason)]);
    }
    assert_eq!(links(&rt, parent.pid()), 0);
}

/// SIG-025.
#[tokio::test]
async fn a_trapping_process_in_the_middle_stops_the_cascade() {
    let rt = Runtime::new();
    let (a, mut t, b) = (TestProcess::new(&rt), TestProcess::trapping(&rt), TestProcess::new(&rt));
    rt.link(a.pid(), t.pid());
    rt.link(t.pid(), b.pid());
    a.fail(crash("r"));
    assert_eq!(t.next().await, exit(a.pid(), crash("r")));
    assert_eq!(t.mail().await, []);
    assert!(b.lives().await);
    assert_eq!((links(&rt, t.pid()), links(&rt, b.pid())), (1, 1));
}

/// SIG-038.
#[tokio::test]
async fn a_link_and_a_monitor_each_report_an_exit_once() {
    let rt = Runtime::new();
    let (mut a, b) = (TestProcess::trapping(&rt), TestProcess::new(&rt));
    rt.link(a.pid(), b.pid());
    let reference = rt.monitor(a.pid(), b.pid());
    b.fail(crash("r"));
    b.ended().await;
    let mail = a.mail().await;
    assert_eq!(mail.len(), 2);
    assert!(mail.contains(&exit(b.pid(), crash("r"))));
    assert!(mail.contains(&down(reference, b.pid(), crash("r"))));
}

/// SIG-045.
#[tokio::test]
async fn a_killed_parent_ends_its_non_trapping_linked_children() {
    let rt = Runtime::new();
    let parent = TestProcess::new(&rt);
    let plain = rt.spawn_link(parent.pid(), |_| pending());
    let mut trapping = TestProcess::trapping(&rt);
    rt.link(parent.pid(), trapping.pid());
    parent.handle.kill();
    assert_eq!(plain.join().await, ExitReason::Killed);
    assert_eq!(trapping.next().await, exit(parent.pid(), ExitReason::Killed));
    assert!(trapping.lives().await);
}

/// T10. The body of a child of an ended parent never runs.
#[tokio::test]
async fn spawn_link_with_an_ended_parent_never_runs_the_body() {
    let rt = Runtime::new();
    let dead = dead_pid(&rt).await;
    let child = rt.spawn_link(dead, |_| async { unreachable!("an orphan") });
    assert_eq!(child.join().await, ExitReason::NoProc);
    assert!(!rt.is_alive(child.pid()));
    support::assert_nothing_left(&rt).await;
}
