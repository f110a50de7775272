//! A function applied to every item of a stream, several items at a time.

use crate::support;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use regrow::{ExitReason, Runtime, TaskError, TaskStream};
use support::{OnDrop, assert_nothing_left, crash, settled};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Sleeps for `time` milliseconds, and returns `time`.
async fn nap(time: u64) -> u64 {
    sleep(ms(time)).await;
    time
}

/// TSK-026.
#[tokio::test(start_paused = true)]
async fn results_keep_the_input_order_and_the_concurrency_limit() {
    let rt = Runtime::new();
    let [now, most] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let peak = Arc::clone(&most);
    let body = rt.spawn(|ctx| async move {
        let start = Instant::now();
        let doubled = TaskStream::new(&ctx, stream::iter(1..=100), move |number| async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            nap(10 + number % 4).await;
            now.fetch_sub(1, SeqCst);
            2 * number
        });
        let doubled: Vec<_> = doubled.concurrency(4).collect().await;
        assert_eq!(doubled, (1..=100).map(|number| Ok(2 * number)).collect::<Vec<_>>());
        assert!(start.elapsed() >= ms(250) && start.elapsed() < ms(350));
        assert_eq!(ctx.runtime().process_count(), 1);
        assert_eq!(ctx.runtime().info(ctx.pid()).unwrap().links, 0);
    });
    assert_eq!(body.join().await, ExitReason::Normal);
    assert_eq!(peak.load(SeqCst), 4);
    assert_nothing_left(&rt).await;
}

/// TSK-027.
#[tokio::test(start_paused = true)]
async fn unordered_results_arrive_as_they_finish() {
    let rt = Runtime::new();
    let naps = TaskStream::nolink(&rt, stream::iter([40, 30, 20, 10]), nap);
    let naps: Vec<_> = naps.concurrency(4).unordered().collect().await;
    assert_eq!(naps, [Ok(10), Ok(20), Ok(30), Ok(40)]);
    assert_nothing_left(&rt).await;
}

/// TSK-029: a linked caller that does not trap exits is not notified of killed items.
#[tokio::test(start_paused = true)]
async fn an_item_that_times_out_is_killed_and_the_others_continue() {
    let late = || Err(TaskError::Timeout(ms(50)));
    for (concurrency, time) in [(1, 102), (2, 100), (4, 50)] {
        let rt = Runtime::new();
        let body = rt.spawn(move |ctx| async move {
            let start = Instant::now();
            let naps = TaskStream::new(&ctx, stream::iter([100, 1, 100, 1]), nap);
            let naps: Vec<_> = naps.concurrency(concurrency).timeout(ms(50)).collect().await;
            assert_eq!(naps, [late(), Ok(1), late(), Ok(1)]);
            // The time limit of an item begins with its own start. With two items at a time, in
            // order, the third item starts when the first has timed out.
            assert_eq!(start.elapsed(), ms(time), "with {concurrency} at a time");
            assert_eq!(ctx.runtime().process_count(), 1);
        });
        assert_eq!(body.join().await, ExitReason::Normal);
        assert_nothing_left(&rt).await;
    }
}

/// The second item exceeds its time limit while the stream is not polled. The exit reason of its
/// process is `Killed`.
#[tokio::test(start_paused = true)]
async fn an_item_is_killed_on_time_while_the_stream_is_not_polled() {
    let rt = Runtime::new();
    let mut naps = TaskStream::nolink(&rt, stream::iter([1, 1_000, 1]), nap);
    naps = naps.concurrency(2).timeout(ms(50));
    assert_eq!(naps.next().await, Some(Ok(1)));
    let [pid] = rt.list()[..] else { panic!("one is under way") };
    let start = Instant::now();
    assert_eq!(rt.ended(pid).await, ExitReason::Killed);
    assert_eq!(start.elapsed(), ms(49));
    sleep(ms(1_000)).await;
    assert_eq!(naps.next().await, Some(Err(TaskError::Timeout(ms(50)))));
    assert_eq!(naps.next().await, Some(Ok(1)));
    assert_eq!(naps.next().await, None);
    assert_eq!(naps.next().await, None);
}

/// An item has no time limit after `no_timeout`.
#[tokio::test(start_paused = true)]
async fn an_item_has_five_seconds_by_default() {
    let rt = Runtime::new();
    let slow = || stream::iter([5_001]);
    let naps: Vec<_> = TaskStream::nolink(&rt, slow(), nap).collect().await;
    assert_eq!(naps, [Err(TaskError::Timeout(ms(5_000)))]);
    let naps: Vec<_> = TaskStream::nolink(&rt, slow(), nap).no_timeout().collect().await;
    assert_eq!(naps, [Ok(5_001)]);
}

/// TSK-031.
#[test]
#[should_panic(expected = "a concurrency of no tasks at all lets none run")]
fn a_concurrency_of_zero_panics() {
    let rt = Runtime::new();
    let _ = TaskStream::nolink(&rt, stream::iter([1]), nap).concurrency(0);
}

/// The crash of an item fails this item only, if the item is not linked or the caller traps exits.
/// No `Exit` message is left in the mailbox of the caller.
#[tokio::test(start_paused = true)]
async fn a_crash_fails_one_item_only() {
    async fn odd(number: u32) -> u32 {
        assert!(number % 2 == 1, "{number} is even");
        number
    }
    fn texts(results: Vec<Result<u32, TaskError>>) -> Vec<String> {
        let text = |error| match error {
            TaskError::Exited(reason) => reason.crash().unwrap().message().to_owned(),
            other => panic!("{other}"),
        };
        results.into_iter().map(|result| result.map_or_else(text, |n| n.to_string())).collect()
    }
    let rt = Runtime::new();
    let expected = ["1", "2 is even", "3"];
    let results = TaskStream::nolink(&rt, stream::iter([1, 2, 3]), odd).collect().await;
    assert_eq!(texts(results), expected);

    let body = rt.spawn(move |mut ctx| async move {
        ctx.runtime().set_trap_exit(ctx.pid(), true);
        let results = TaskStream::new(&ctx, stream::iter([1, 2, 3]), odd).collect().await;
        assert_eq!(texts(results), expected);
        settled().await;
        assert_eq!(ctx.recv_timeout(Duration::ZERO).await, None);
    });
    assert_eq!(body.join().await, ExitReason::Normal);
    assert_nothing_left(&rt).await;
}

/// The crash of an item ends a linked caller that does not trap exits. The other items end with the
/// caller.
#[tokio::test(start_paused = true)]
async fn a_crash_of_an_item_ends_a_linked_caller() {
    let rt = Runtime::new();
    let body = rt.spawn(|ctx| async move {
        let naps = TaskStream::new(&ctx, stream::iter([1_000, 10]), |time| async move {
            nap(time).await;
            panic!("after {time}")
        });
        let _: Vec<Result<(), _>> = naps.concurrency(2).collect().await;
    });
    assert_eq!(body.join().await.crash().unwrap().message(), "after 10");
    for pid in rt.list() {
        rt.ended(pid).await;
    }
    assert_nothing_left(&rt).await;
}

/// The items end when their caller ends normally, crashes or is killed.
#[tokio::test(start_paused = true)]
async fn items_end_with_their_caller() {
    for reason in [ExitReason::Normal, crash("r"), ExitReason::Killed] {
        let rt = Runtime::new();
        let end = reason.clone();
        let caller = rt.spawn_fallible(|ctx| async move {
            let mut endless = TaskStream::new(&ctx, stream::iter([(); 9]), |()| pending::<()>());
            let _ = tokio::time::timeout(ms(10), endless.next()).await;
            assert!(ctx.runtime().process_count() > 1);
            Err(end)
        });
        assert_eq!(caller.join().await, reason);
        settled().await;
        assert_eq!(rt.process_count(), 0);
        assert_nothing_left(&rt).await;
    }
}

/// The caller gets no exit signal of the killed items.
#[tokio::test(start_paused = true)]
async fn dropping_a_stream_kills_its_running_items() {
    let rt = Runtime::new();
    let body = rt.spawn(|mut ctx| async move {
        let (tell, mut dropped) = unbounded_channel();
        let mut naps = TaskStream::new(&ctx, stream::iter([1, 1_000, 1_000]), move |time| {
            let held = OnDrop::new(move || tell.send(time).unwrap());
            async move {
                let time = nap(time).await;
                drop(held);
                time
            }
        })
        .concurrency(3);
        assert_eq!(naps.next().await, Some(Ok(1)));
        let start = Instant::now();
        drop(naps);
        let gone = [dropped.recv().await, dropped.recv().await, dropped.recv().await];
        assert_eq!((gone, start.elapsed()), ([1, 1_000, 1_000].map(Some), Duration::ZERO));
        settled().await;
        assert_eq!(ctx.runtime().process_count(), 1);
        assert_eq!(ctx.recv_timeout(Duration::ZERO).await, None);
    });
    assert_eq!(body.join().await, ExitReason::Normal);
    assert_nothing_left(&rt).await;
}

/// The stream takes an item from its input only while it has room. Results that wait for a slow
/// item before them occupy room. Before the first poll the stream takes nothing.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_limits_what_is_taken_from_the_input() {
    let rt = Runtime::new();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let input = stream::iter([100, 1, 1, 1, 1, 1]).inspect(move |_| {
        count.fetch_add(1, SeqCst);
    });
    let mut naps = TaskStream::nolink(&rt, input, nap).concurrency(3);
    settled().await;
    assert_eq!(taken.load(SeqCst), 0);
    assert_eq!(naps.next().await, Some(Ok(100)));
    assert_eq!(taken.load(SeqCst), 3); // two have finished, and wait to be returned
    assert_eq!(naps.next().await, Some(Ok(1)));
    assert_eq!(taken.load(SeqCst), 4);
    drop(naps);
    assert_nothing_left(&rt).await;
}

/// A pending input does not delay the results of running items.
#[tokio::test(start_paused = true)]
async fn results_arrive_while_the_input_is_pending() {
    let rt = Runtime::new();
    let (feed, input) = unbounded_channel();
    let input = stream::unfold(input, async |mut input| Some((input.recv().await?, input)));
    let mut naps = TaskStream::nolink(&rt, input, nap);
    feed.send(1).unwrap();
    assert_eq!(naps.next().await, Some(Ok(1)));
    let waiting = tokio::time::timeout(ms(100), naps.next());
    assert!(waiting.await.is_err());
    feed.send(2).unwrap();
    assert_eq!(naps.next().await, Some(Ok(2)));
    drop(feed);
    assert_eq!(naps.next().await, None);
    assert_nothing_left(&rt).await;
}

/// The function is called inside the task. A panic before it has returned its future fails one item
/// only.
#[tokio::test(start_paused = true)]
async fn a_panic_before_the_first_await_fails_its_item() {
    let rt = Runtime::new();
    let bad = |number: u32| {
        assert!(number == 1, "no");
        async move { number }
    };
    let results: Vec<_> = TaskStream::nolink(&rt, stream::iter([1, 2]), bad).collect().await;
    assert_eq!(results[0], Ok(1));
    assert!(matches!(results[1], Err(TaskError::Exited(_))));
}
