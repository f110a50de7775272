//! All timers are created, then all are cancelled, so they are in memory at once. And a process ends
//! that 200,000 or 1,000,000 timers are addressed to. Its end has cost what it costs when all of its
//! timers are freed, which is after it was announced.
//!
//! The end is also measured by the longest time for which another task on the same thread is not
//! polled. Its target, a millisecond, is far below the sum of all slices and above the switches of a
//! shared machine.
//!
//! Raw: a task that sleeps and then sends, and is aborted. Beside it a bare `DelayQueue`, which has
//! no lock, no owner and no target.

use std::time::{Duration, Instant};

use regrow::{ExitReason, Pid, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::time::DelayQueue;

use crate::support::{Bench, Row, Target, eight_bytes, nanos_each, wait_until_idle};

const DELAY: Duration = Duration::from_secs(600);

pub(crate) fn rows(bench: &Bench) {
    let row = |text, target, size| Row { text, unit: "ns", target, size };
    let first = row("200,000 created, then cancelled", Target::Ratio(0.3), 200_000);
    bench.compare(&first, raw, |n| regrow(n, 1));
    let spread = "200,000 created for 1,000 processes, then cancelled";
    bench.compare(&row(spread, Target::Ratio(0.3), 200_000), raw, |n| regrow(n, 1_000));
    let first = row("1,000,000 created, then cancelled", Target::Ratio(0.3), 1_000_000);
    bench.compare(&first, raw, |n| regrow(n, 1));
    let queue = "200,000 created, then cancelled; raw: a DelayQueue";
    bench.compare(&row(queue, Target::None, 200_000), delay_queue, |n| regrow(n, 1));
    let end = |text, size| Row { unit: "ns/timer", ..row(text, Target::Cost(100.0), size) };
    bench.compare(&end("end of a process with 200,000 timers", 200_000), raw_end, end_of_target);
    bench.compare(
        &end("end of a process with 1,000,000 timers", 1_000_000),
        raw_end,
        end_of_target,
    );
    let pause = "longest pause of other tasks at that end";
    let pause = Row { unit: "µs", ..row(pause, Target::Cost(1_000.0), 1_000_000) };
    bench.compare(&pause, raw_pause, pause_at_end);
}

fn raw_timer(sender: &mpsc::UnboundedSender<Vec<u8>>, n: usize) -> tokio::task::JoinHandle<()> {
    let sender = sender.clone();
    tokio::spawn(async move {
        tokio::time::sleep(DELAY).await;
        let _ = sender.send(eight_bytes(n));
    })
}

async fn raw(size: usize) -> f64 {
    let (sender, _receiver) = mpsc::unbounded_channel();
    let start = Instant::now();
    let timers: Vec<_> = (0..size).map(|n| raw_timer(&sender, n)).collect();
    for timer in timers {
        timer.abort();
    }
    nanos_each(start, size)
}

async fn delay_queue(size: usize) -> f64 {
    let mut queue = DelayQueue::new();
    let start = Instant::now();
    let timers: Vec<_> = (0..size).map(|n| queue.insert(eight_bytes(n), DELAY)).collect();
    for timer in timers {
        queue.remove(&timer);
    }
    nanos_each(start, size)
}

fn idle(rt: &Runtime) -> Pid {
    rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }).pid()
}

async fn regrow(size: usize, targets: usize) -> f64 {
    let rt = Runtime::new();
    let targets: Vec<_> = (0..targets).map(|_| idle(&rt)).collect();
    let start = Instant::now();
    let timers: Vec<_> = (0..size)
        .map(|n| rt.send_after(targets[n % targets.len()], DELAY, eight_bytes(n)))
        .collect();
    for timer in timers {
        assert!(timer.cancel());
    }
    let cost = nanos_each(start, size);
    crate::support::shut_down(&rt).await;
    cost
}

/// Aborts all timers of a target, as its owner has to.
async fn raw_end(size: usize) -> f64 {
    let (sender, _receiver) = mpsc::unbounded_channel();
    let timers: Vec<_> = (0..size).map(|n| raw_timer(&sender, n)).collect();
    wait_until_idle().await;
    let start = Instant::now();
    for timer in &timers {
        timer.abort();
    }
    for timer in timers {
        assert!(timer.await.is_err());
    }
    nanos_each(start, size)
}

async fn end_of_target(size: usize) -> f64 {
    let rt = Runtime::new();
    let (target, freed) = with_timers(&rt, size);
    wait_until_idle().await;
    let start = Instant::now();
    rt.kill(target);
    rt.ended(target).await;
    assert!(freed.await.is_err());
    let cost = nanos_each(start, size);
    crate::support::shut_down(&rt).await;
    cost
}

/// An error that holds one end of a channel.
#[derive(Debug, thiserror::Error)]
#[error("held")]
struct Held(oneshot::Sender<()>);

/// Returns a target, and the other end of a channel that is held by the first and by the last of its
/// timers.
fn with_timers(rt: &Runtime, size: usize) -> (Pid, oneshot::Receiver<()>) {
    let (held, freed) = oneshot::channel();
    let (target, reason) = (idle(rt), ExitReason::from(Held(held)));
    // A timer that is not cancelled stays with its target.
    drop(rt.exit_after(target, DELAY, reason.clone()));
    for n in 0..size {
        drop(rt.send_after(target, DELAY, eight_bytes(n)));
    }
    drop(rt.exit_after(target, DELAY, reason));
    (target, freed)
}

#[allow(clippy::async_yields_async)] // the outer future prepares what the inner one does
async fn raw_pause(size: usize) -> f64 {
    longest_pause(move || {
        let (sender, receiver) = mpsc::unbounded_channel();
        let timers: Vec<_> = (0..size).map(|n| raw_timer(&sender, n)).collect();
        async move {
            for timer in &timers {
                timer.abort();
                tokio::task::consume_budget().await;
            }
            for timer in timers {
                assert!(timer.await.is_err());
            }
            drop(receiver);
        }
    })
    .await
}

#[allow(clippy::async_yields_async)] // as above
async fn pause_at_end(size: usize) -> f64 {
    longest_pause(move || {
        let rt = Runtime::new();
        let (target, freed) = with_timers(&rt, size);
        async move {
            rt.kill(target);
            rt.ended(target).await;
            assert!(freed.await.is_err());
        }
    })
    .await
}

/// The longest time between two polls of a task that always yields, on one thread with the work that
/// `prepare` returns, in microseconds.
async fn longest_pause<W>(prepare: impl FnOnce() -> W + Send + 'static) -> f64
where
    W: Future<Output = ()> + Send + 'static,
{
    let measured = tokio::task::spawn_blocking(|| {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        tokio.expect("tokio starts").block_on(async move {
            let work = prepare();
            wait_until_idle().await;
            let work = tokio::spawn(work);
            let (mut longest, mut last) = (Duration::ZERO, Instant::now());
            while !work.is_finished() {
                tokio::task::yield_now().await;
                let now = Instant::now();
                longest = longest.max(now - last);
                last = now;
            }
            work.await.expect("a bench does not panic");
            longest.as_nanos() as f64 / 1_000.0
        })
    });
    measured.await.expect("a bench does not panic")
}
