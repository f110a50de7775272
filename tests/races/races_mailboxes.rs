//! Races at a mailbox: many senders, one reader, and threads that read its depth.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use regrow::{ExitReason, Pid, Received, Runtime};
use support::race::{ROUNDS, race};
use support::{TestProcess, crash, exit, idler, text};

/// Sends `count` messages from a thread outside tokio; returns how many were accepted.
fn send_from_a_thread(rt: &Runtime, to: Pid, count: usize) -> JoinHandle<usize> {
    let rt = rt.clone();
    std::thread::spawn(move || (0..count).filter(|_| rt.send(to, b"x".to_vec())).count())
}

/// Receives until the message `last` arrives, and reports how many messages came before it.
fn counter(rt: &Runtime) -> (Pid, tokio::sync::oneshot::Receiver<usize>) {
    let (report, reported) = tokio::sync::oneshot::channel();
    let process = rt.spawn(|mut ctx| async move {
        let (last, mut got) = (text("last"), 0);
        while ctx.recv().await != last {
            got += 1;
        }
        report.send(got).unwrap();
    });
    (process.pid(), reported)
}

/// T07. The depth never exceeds the capacity. Every accepted message is received, and every other
/// message is refused and counted.
#[test]
fn a_bounded_mailbox_never_holds_more_than_its_capacity() {
    const CAPACITY: usize = 1_000;
    for workers in support::race::WORKERS {
        let mut tokio = tokio::runtime::Builder::new_multi_thread();
        let tokio = tokio.worker_threads(workers).enable_all().build().unwrap();
        let _inside = tokio.enter();
        let rt = Runtime::with_mailbox_capacity(CAPACITY);
        let (reader, got) = counter(&rt);
        let senders = [(); 3].map(|()| send_from_a_thread(&rt, reader, 3 * ROUNDS));
        let mut deepest = 0;
        while !senders.iter().all(JoinHandle::is_finished) {
            deepest = deepest.max(rt.info(reader).unwrap().mailbox_depth);
        }
        assert!(deepest <= CAPACITY, "{deepest} in a mailbox for {CAPACITY}");
        let taken: usize = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
        let mut refused = 0;
        while !rt.send(reader, b"last".to_vec()) {
            refused += 1;
            std::thread::yield_now();
        }
        assert_eq!(tokio.block_on(got), Ok(taken));
        assert_eq!(rt.dropped_messages(), (9 * ROUNDS - taken + refused) as u64);
    }
}

/// T07 and T48. Two threads send while the reader receives: all messages are received.
#[test]
fn a_message_sent_while_the_reader_parks_is_received() {
    race(
        TestProcess::new,
        |rt, reader| assert!(rt.send(reader.pid(), b"left".to_vec())),
        |rt, reader| assert!(rt.send(reader.pid(), b"right".to_vec())),
        async |_, mut reader, (), ()| {
            let mail = reader.mail().await;
            assert_eq!(mail.len(), 2);
            assert!(mail.contains(&text("left")) && mail.contains(&text("right")));
            reader.handle.kill();
        },
    );
}

/// T48. A wake-up that arrives while the reader is about to wait is not lost: two processes that
/// take turns never both wait.
#[test]
fn two_processes_in_a_ping_pong_never_both_wait() {
    support::race::on_workers(async |rt| {
        let test_process = || {
            rt.spawn(|mut ctx| async move {
                // The other process may send its first turn before this process receives the pid.
                let introduction = |item: &Received| *item != text("your turn");
                let other = ctx.recv_match(introduction).await.message().expect("a pid");
                let other = Pid::from_raw(u64::from_be_bytes(other.try_into().unwrap()));
                for _ in 0..ROUNDS {
                    ctx.runtime().send(other, b"your turn".to_vec());
                    ctx.recv().await;
                }
            })
        };
        let (one, other) = (test_process(), test_process());
        rt.send(one.pid(), other.pid().raw().to_be_bytes().into());
        rt.send(other.pid(), one.pid().raw().to_be_bytes().into());
        assert_eq!(one.join().await, ExitReason::Normal);
        assert_eq!(other.join().await, ExitReason::Normal);
    });
}

/// T22. A kill that arrives while a selective receive is about to wait is not lost.
#[test]
fn a_kill_while_the_reader_parks_takes_effect() {
    race(
        |rt| {
            rt.spawn(|mut ctx| async move {
                loop {
                    ctx.recv_match(|item| *item == text("never sent")).await;
                }
            })
        },
        |_, reader| assert!(reader.kill()),
        |rt, reader| rt.send(reader.pid(), b"x".to_vec()),
        async |_, reader, (), _| assert_eq!(reader.join().await, ExitReason::Killed),
    );
}

/// Two senders send messages and signals at once: those of each sender arrive in order.
#[test]
fn messages_of_each_concurrent_sender_keep_their_order() {
    race(
        TestProcess::trapping,
        |rt, receiver| {
            rt.send(receiver.pid(), b"left 1".to_vec());
            rt.exit(receiver.pid(), crash("left 2"));
            rt.send(receiver.pid(), b"left 3".to_vec());
        },
        |rt, receiver| {
            for message in ["right 1", "right 2", "right 3"] {
                rt.send(receiver.pid(), message.into());
            }
        },
        async |_, mut receiver, (), ()| {
            let is_right = |item: &Received| matches!(item, Received::Message(message) if message.starts_with(b"right"));
            let (right, left): (Vec<_>, Vec<_>) =
                receiver.mail().await.into_iter().partition(is_right);
            let signal = exit(Pid::OUTSIDE, crash("left 2"));
            assert_eq!(left, [text("left 1"), signal, text("left 3")]);
            assert_eq!(right, ["right 1", "right 2", "right 3"].map(text));
            receiver.handle.kill();
        },
    );
}

/// Processes are spawned during a shutdown, and all of them end.
#[test]
fn processes_spawned_during_a_shutdown_end() {
    for _ in 0..100 {
        support::race::on_workers(async |rt| {
            let stop = Arc::new(AtomicBool::new(false));
            let spawned = Arc::new(AtomicUsize::new(0));
            let spawner = {
                let (rt, stop, spawned) = (rt.clone(), Arc::clone(&stop), Arc::clone(&spawned));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        idler(&rt);
                        spawned.fetch_add(1, Ordering::SeqCst);
                    }
                })
            };
            support::until("some are there", || spawned.load(Ordering::SeqCst) > 20).await;
            rt.shutdown();
            stop.store(true, Ordering::SeqCst);
            spawner.join().unwrap();
            // There is no second shutdown, because it would end the processes that the first one
            // has missed.
            let all_ended = || rt.process_count() == 0 && rt.spawned() == rt.finished();
            support::until("all end", all_ended).await;
        });
    }
}
