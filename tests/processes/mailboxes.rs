//! Mailboxes: their order, selective and timed receives, bounds and depth.

use crate::support;

use std::time::Duration;

use regrow::{Context, ExitReason, ProcessHandle, Received, Runtime};
use support::{down, idler, text};
use tokio::sync::oneshot;

/// Starts a process that receives nothing until the returned sender is used. By then all items of
/// the test are queued.
fn process_behind_a_gate<F, Fut>(rt: &Runtime, body: F) -> (ProcessHandle, oneshot::Sender<()>)
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (open, opened) = oneshot::channel();
    let process = rt.spawn(|ctx| async {
        opened.await.unwrap();
        body(ctx).await;
    });
    (process, open)
}

/// Runs `body` in a process with these messages queued in its mailbox. A failed assertion in `body`
/// is a crash.
async fn with_queued<F, Fut>(rt: &Runtime, queued: &[&str], body: F)
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (process, open) = process_behind_a_gate(rt, body);
    for message in queued {
        assert!(rt.send(process.pid(), (*message).into()));
    }
    open.send(()).unwrap();
    assert_eq!(process.join().await, ExitReason::Normal);
}

fn is(wanted: &str) -> impl FnMut(&Received) -> bool {
    move |item| *item == text(wanted)
}

/// PROC-005.
#[tokio::test]
async fn messages_of_one_sender_arrive_in_order() {
    let rt = Runtime::new();
    let receiver = rt.spawn(|mut ctx| async move {
        for number in 1..=1_000_u32 {
            assert_eq!(ctx.recv().await.message(), Some(number.to_be_bytes().into()));
        }
    });
    let pid = receiver.pid();
    rt.spawn(move |ctx| async move {
        for number in 1..=1_000_u32 {
            assert!(ctx.runtime().send(pid, number.to_be_bytes().into()));
        }
    });
    assert_eq!(receiver.join().await, ExitReason::Normal);
}

/// PROC-007.
#[tokio::test]
async fn a_selective_receive_leaves_the_rest_in_order() {
    with_queued(&Runtime::new(), &["a", "b", "c"], |mut ctx| async move {
        assert_eq!(ctx.recv_match(is("b")).await, text("b"));
        assert_eq!(ctx.recv().await, text("a"));
        assert_eq!(ctx.recv().await, text("c"));
    })
    .await;
}

/// PROC-008.
#[tokio::test]
async fn a_selective_receive_finds_messages_that_an_earlier_one_skipped() {
    with_queued(&Runtime::new(), &["a", "b", "c"], |mut ctx| async move {
        assert_eq!(ctx.recv_match(is("c")).await, text("c"));
        assert_eq!(ctx.recv_match(is("b")).await, text("b"));
        assert_eq!(ctx.recv().await, text("a"));
    })
    .await;
}

/// A message that arrives while a selective receive waits is examined at once. If it does not
/// match, it keeps its place in the order.
#[tokio::test]
async fn a_waiting_selective_receive_takes_a_later_match() {
    let rt = Runtime::new();
    let process = rt.spawn(|mut ctx| async move {
        assert_eq!(ctx.recv_match(is("match")).await, text("match"));
        for kept in ["1", "2", "3"] {
            assert_eq!(ctx.recv().await, text(kept));
        }
    });
    for message in ["1", "2", "match", "3"] {
        tokio::task::yield_now().await;
        rt.send(process.pid(), message.into());
    }
    assert_eq!(process.join().await, ExitReason::Normal);
}

/// PROC-010.
#[tokio::test(start_paused = true)]
async fn a_receive_with_zero_timeout_takes_only_queued_messages() {
    with_queued(&Runtime::new(), &["queued", "other"], |mut ctx| async move {
        let zero = Duration::ZERO;
        assert_eq!(ctx.recv_match_timeout(is("other"), zero).await, Some(text("other")));
        assert_eq!(ctx.recv_timeout(zero).await, Some(text("queued")));
        assert_eq!(ctx.recv_timeout(zero).await, None);
        assert_eq!(ctx.recv_match_timeout(is("other"), zero).await, None);
    })
    .await;
}

/// PROC-010. There are more receives than tokio's budget for one poll allows. A receive that has to
/// yield first still finds the queued messages.
#[tokio::test(start_paused = true)]
async fn a_thousand_zero_timeout_receives_take_a_thousand_messages() {
    let queued = vec!["x"; 1_000];
    with_queued(&Runtime::new(), &queued, |mut ctx| async move {
        for _ in 0..1_000 {
            assert_eq!(ctx.recv_timeout(Duration::ZERO).await, Some(text("x")));
        }
        assert_eq!(ctx.recv_timeout(Duration::ZERO).await, None);
    })
    .await;
}

/// A receive that timed out has removed no message.
#[tokio::test(start_paused = true)]
async fn a_receive_that_times_out_loses_no_message() {
    with_queued(&Runtime::new(), &["a", "b"], |mut ctx| async move {
        let limit = Duration::from_secs(1);
        let started = tokio::time::Instant::now();
        assert_eq!(ctx.recv_match_timeout(is("never"), limit).await, None);
        assert_eq!(started.elapsed(), limit);
        assert_eq!(ctx.recv_timeout(limit).await, Some(text("a")));
        assert_eq!(ctx.recv_timeout(limit).await, Some(text("b")));
    })
    .await;
}

/// A receive that lost a `select!` has removed no message, even after many repetitions.
#[tokio::test]
async fn a_dropped_receive_loses_no_message() {
    with_queued(&Runtime::new(), &["a", "b"], |mut ctx| async move {
        for _ in 0..100 {
            tokio::select! {
                biased;
                _ = ctx.recv_match(is("never")) => unreachable!("nobody sends that"),
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(ctx.recv().await, text("a"));
        assert_eq!(ctx.recv().await, text("b"));
    })
    .await;
}

/// PROC-022.
#[tokio::test]
async fn a_full_mailbox_rejects_messages_and_counts_them() {
    let rt = Runtime::with_mailbox_capacity(3);
    let (process, open) = process_behind_a_gate(&rt, |mut ctx| async move {
        for kept in ["0", "1", "2", "room again"] {
            assert_eq!(ctx.recv().await, text(kept));
        }
    });
    let pid = process.pid();
    let accepted = (0..10).map(|number| rt.send(pid, number.to_string().into()));
    let accepted: Vec<_> = accepted.collect();
    assert_eq!(accepted, [[true; 3].as_slice(), &[false; 7]].concat());
    assert_eq!(rt.dropped_messages(), 7);
    assert_eq!(rt.info(pid).unwrap().mailbox_depth, 3);

    open.send(()).unwrap();
    support::until("room", || rt.info(pid).unwrap().mailbox_depth == 0).await;
    assert!(rt.send(pid, b"room again".to_vec()));
    assert_eq!(process.join().await, ExitReason::Normal);
    assert_eq!(rt.dropped_messages(), 7);
}

/// PROC-023.
#[tokio::test]
async fn a_full_mailbox_still_accepts_signals() {
    let rt = Runtime::with_mailbox_capacity(2);
    let target = idler(&rt);
    let target_pid = target.pid();
    let (reference, referred) = oneshot::channel();
    let (process, open) = process_behind_a_gate(&rt, move |mut ctx| async move {
        assert_eq!(ctx.recv().await, text("a"));
        assert_eq!(ctx.recv().await, text("b"));
        let reference = referred.await.unwrap();
        assert_eq!(ctx.recv().await, down(reference, target_pid, ExitReason::Killed));
    });
    let pid = process.pid();
    reference.send(rt.monitor(pid, target_pid)).unwrap();
    let accepted = ["a", "b", "shed"].map(|message| rt.send(pid, message.into()));
    assert_eq!(accepted, [true, true, false]);

    target.kill();
    target.join().await;
    assert_eq!(rt.info(pid).unwrap().mailbox_depth, 3, "two messages and the Down");
    assert!(!rt.send(pid, b"shed".to_vec()), "the Down takes no room from messages");
    open.send(()).unwrap();
    assert_eq!(process.join().await, ExitReason::Normal);
    assert_eq!(rt.dropped_messages(), 2);
}

/// Guarantee 4: a mailbox with room for one message accepts a thousand signals.
#[tokio::test]
async fn a_mailbox_of_capacity_one_accepts_a_thousand_signals() {
    let rt = Runtime::with_mailbox_capacity(1);
    let mut watcher = support::TestProcess::trapping(&rt);
    let watched: Vec<_> = (0..1_000).map(|_| idler(&rt)).collect();
    for target in &watched {
        rt.monitor(watcher.pid(), target.pid());
        rt.link(watcher.pid(), target.pid());
        target.kill();
    }
    let mut signals = 0;
    while signals < 2_000 {
        match watcher.next().await {
            Received::Down { reason, .. } | Received::Exit { reason, .. } => {
                assert_eq!(reason, ExitReason::Killed);
                signals += 1;
            }
            other => panic!("not a signal: {other:?}"),
        }
    }
    assert_eq!(rt.dropped_messages(), 0);
}

/// PROC-025.
#[tokio::test]
async fn the_mailbox_depth_counts_messages_that_a_selective_receive_skipped() {
    with_queued(&Runtime::with_mailbox_depth(), &["a", "b", "c"], |mut ctx| async move {
        let (rt, pid) = (ctx.runtime(), ctx.pid());
        let depth = || rt.info(pid).unwrap().mailbox_depth;
        assert_eq!(depth(), 3);
        assert_eq!(ctx.recv_match(is("b")).await, text("b"));
        assert_eq!(depth(), 2);
        ctx.recv().await;
        ctx.recv().await;
        assert_eq!(depth(), 0);
    })
    .await;
}
