//! Races of timers that fire, are cancelled, or lose their target or their tokio runtime.

use crate::support;

use std::time::Duration;

use regrow::{ExitReason, Leftovers, Runtime, TimerRef};
use support::race::{ROUNDS, race};
use support::{TestProcess, idle, text, until};

const HOUR: Duration = Duration::from_secs(3_600);

/// A process, and a timer that is about to fire for it.
type Made = (TestProcess, TimerRef);

fn due_at_once(rt: &Runtime) -> Made {
    let process = TestProcess::new(rt);
    let timer = rt.send_after(process.pid(), Duration::ZERO, b"m".to_vec());
    (process, timer)
}

/// Two threads cancel a timer that fires. One of the three wins.
#[test]
fn a_timer_is_cancelled_once_or_fires() {
    race(
        |rt| {
            let process = TestProcess::new(rt);
            let timer = rt.send_after(process.pid(), Duration::from_millis(1), b"m".to_vec());
            (process, timer)
        },
        |_, (_, timer)| timer.cancel(),
        |_, (_, timer)| timer.clone().cancel(),
        async |rt, (mut process, timer), left, right| {
            assert!(!(left && right), "it is cancelled twice");
            assert_eq!(timer.remaining(), None);
            let fence = rt.send_after(process.pid(), Duration::from_millis(1), b"fence".to_vec());
            if !(left || right) {
                assert_eq!(process.next().await, text("m"));
            }
            assert_eq!(process.next().await, text("fence"));
            assert!(!fence.cancel());
            process.handle.kill();
        },
    );
}

/// A timer is set and cancelled while earlier timers fire. The cancelled one is not received.
#[test]
fn a_timer_that_is_set_and_cancelled_while_others_fire_is_not_received_if_the_cancel_was_in_time() {
    race(
        due_at_once,
        |rt, (process, _)| {
            let timer = rt.send_after(process.pid(), Duration::ZERO, b"n".to_vec());
            timer.cancel()
        },
        |rt, (process, _)| rt.send_after(process.pid(), Duration::ZERO, b"o".to_vec()),
        async |rt, (mut process, _), cancelled, _| {
            rt.send_after(process.pid(), Duration::from_millis(1), b"fence".to_vec());
            let mut received = Vec::new();
            while received.last() != Some(&text("fence")) {
                received.push(process.next().await);
            }
            assert_eq!(received.contains(&text("n")), !cancelled);
            assert_eq!(received.len(), if cancelled { 3 } else { 4 });
            process.handle.kill();
        },
    );
}

/// A target ends while timers for it fire and others are set. None is pending after the end.
#[test]
fn no_timer_outlives_a_target_that_ends_while_its_timers_fire() {
    race(
        due_at_once,
        |rt, (process, _)| {
            let to = process.pid();
            let interval = rt.send_interval(to, Duration::from_millis(1), b"tick".to_vec());
            [rt.send_after(to, Duration::ZERO, b"m".to_vec()), interval, rt.kill_after(to, HOUR)]
        },
        |rt, (process, _)| rt.kill(process.pid()),
        async |_, (process, timer), timers, _| {
            assert_eq!(process.ended().await, ExitReason::Killed);
            for timer in timers.iter().chain([&timer]) {
                assert_eq!(timer.remaining(), None);
                assert!(!timer.cancel());
            }
        },
    );
}

/// A target ends while so many timers are set for it that they are dropped in slices.
#[test]
fn no_timer_outlives_a_target_that_ends_while_many_are_set() {
    race(
        idle,
        |rt, target| {
            (0..if cfg!(regrow_proof) { 70 } else { 700 })
                .map(|_| rt.send_after(*target, HOUR, b"m".to_vec()))
                .collect::<Vec<_>>()
        },
        |rt, target| rt.kill(*target),
        async |rt, target, timers, _| {
            rt.ended(target).await;
            assert!(timers.iter().all(|timer| !timer.cancel()));
        },
    );
}

/// Threads outside tokio set and cancel timers while tokio shuts down. No timer is pending
/// afterwards.
#[test]
fn no_timer_is_pending_after_tokio_has_shut_down() {
    for round in 0..ROUNDS / 40 {
        let mut tokio = tokio::runtime::Builder::new_multi_thread();
        let tokio = tokio.worker_threads(1 + round % 2).enable_all().build().unwrap();
        let rt = tokio.block_on(async { Runtime::new() });
        let target = idle(&rt);
        let first = rt.send_after(target, HOUR, b"m".to_vec());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let rt = rt.clone();
                std::thread::spawn(move || {
                    let mut timers = Vec::new();
                    for n in 0..100 {
                        let timer = rt.send_after("nobody", HOUR, b"m".to_vec());
                        rt.send_interval(target, Duration::from_millis(1), b"tick".to_vec());
                        if n % 3 == 0 {
                            timer.cancel();
                        }
                        timers.push(timer);
                    }
                    timers
                })
            })
            .collect();
        drop(tokio);
        let timers = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        for timer in timers.chain([first]) {
            assert_eq!((timer.remaining(), timer.cancel()), (None, false));
        }
        let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
        other.block_on(until("no timers", || rt.leftovers() == Leftovers::default()));
    }
}
