//! Pipelines: demand, order, batches, crashes, the end and the stop.

use crate::support;

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt, stream};
use regrow::{
    ExitReason, Pipeline, PipelineCounts, PipelineSpec, Runtime, StartError, Supervisor,
    SupervisorRef,
};
use support::{OnDrop, assert_nothing_left, drained, killed, settled, until};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A source that counts the items that were taken from it.
struct Counted {
    next: usize,
    end: usize,
    taken: Arc<AtomicUsize>,
}

impl Stream for Counted {
    type Item = usize;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<usize>> {
        if self.next == self.end {
            return Poll::Ready(None);
        }
        self.next += 1;
        self.taken.fetch_add(1, SeqCst);
        Poll::Ready(Some(self.next - 1))
    }
}

fn counted(end: usize) -> (Arc<AtomicUsize>, Pipeline<usize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let source = move || Counted { next: count.load(SeqCst), end, taken: count.clone() };
    (taken, Pipeline::from_stream("counted", source))
}

fn numbers(end: usize) -> Pipeline<usize> {
    Pipeline::from_stream("numbers", move || stream::iter(0..end))
}

/// Ends the pipeline by a consumer that sends each item to the receiver.
fn collected<T: Send + 'static>(
    pipeline: Pipeline<T>,
) -> (PipelineSpec, PipelineCounts, UnboundedReceiver<T>) {
    let (sender, receiver) = unbounded_channel();
    let spec = pipeline.for_each("collect", move |item| sent(sender.clone(), item));
    let counts = spec.counts();
    (spec, counts, receiver)
}

async fn sent<T: Send + 'static>(sender: UnboundedSender<T>, item: T) -> regrow::Result {
    sender.send(item).map_err(|_| "the test has ended")?;
    Ok(())
}

async fn run<T: Send + 'static>(pipeline: Pipeline<T>) -> (Vec<T>, PipelineCounts) {
    let rt = Runtime::new();
    let (spec, counts, mut receiver) = collected(pipeline);
    assert_eq!(spec.start(&rt).await.unwrap().ended().await, ExitReason::Shutdown);
    assert_nothing_left(&rt).await;
    (drained(&mut receiver), counts)
}

fn lost(counts: &PipelineCounts, stage: &str) -> (u64, u64, u64) {
    let stage = counts.stage(stage).unwrap();
    (stage.finished, stage.lost, stage.redelivered)
}

/// Panics the first `times` times that it is called.
fn fuse(times: usize) -> impl Fn() + Send + Sync + 'static {
    let left = AtomicUsize::new(times);
    move || {
        if left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            panic!("the fuse has blown");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn workers_keep_the_order_of_their_input_and_run_concurrently() {
    let start = Instant::now();
    let slow = |n: usize| async move {
        sleep(ms(10 + (n as u64 % 4) * 10)).await;
        Ok(n)
    };
    let (items, counts) = run(numbers(40).concurrency(4).map("slow", slow)).await;
    assert_eq!(items, (0..40).collect::<Vec<_>>());
    assert!(start.elapsed() < ms(500), "{:?}", start.elapsed());
    assert_eq!(lost(&counts, "slow"), (40, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn unordered_workers_pass_on_each_result_at_once() {
    let slow = |n: usize| async move {
        sleep(ms(40 - 10 * n as u64)).await;
        Ok(n)
    };
    let (items, _) = run(numbers(4).concurrency(4).unordered().map("slow", slow)).await;
    assert_eq!(items, [3, 2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn items_of_one_key_are_handled_in_order_by_one_worker() {
    let slow = |n: usize| async move {
        sleep(ms((n as u64 * 7) % 13)).await;
        Ok(n)
    };
    let keyed = numbers(100).concurrency(4).partition_by(|n| n % 5).map("slow", slow);
    let (items, _) = run(keyed).await;
    let mut by_key = BTreeMap::<_, Vec<_>>::new();
    for n in items {
        by_key.entry(n % 5).or_default().push(n);
    }
    assert_eq!(by_key.len(), 5);
    assert!(by_key.values().all(|items| items.len() == 20 && items.is_sorted()));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_passed_on_when_it_is_full_late_or_the_last() {
    let rt = Runtime::new();
    let (sender, receiver) = unbounded_channel::<u32>();
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let source = move || {
        stream::unfold(receiver.clone(), |receiver| async move {
            let item = receiver.lock().await.recv().await?;
            Some((item, receiver))
        })
    };
    let batches = Pipeline::from_stream("channel", source).batch(3, ms(100));
    let (spec, _, mut receiver) = collected(batches);
    let tree = spec.start(&rt).await.unwrap();
    let start = Instant::now();
    for n in 0..4 {
        sender.send(n).unwrap();
    }
    assert_eq!(receiver.recv().await, Some(vec![0, 1, 2]));
    assert_eq!(start.elapsed(), ms(0));
    assert_eq!(receiver.recv().await, Some(vec![3]));
    assert!((ms(100)..=ms(101)).contains(&start.elapsed()));
    sender.send(4).unwrap();
    drop(sender);
    assert_eq!(receiver.recv().await, Some(vec![4]));
    assert!(start.elapsed() <= ms(102));
    tree.ended().await;
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_demand_is_filled() {
    let (items, counts) = run(numbers(10).max_demand(2).batch(5, Duration::MAX)).await;
    assert_eq!(items, [vec![0, 1, 2, 3, 4], vec![5, 6, 7, 8, 9]]);
    assert_eq!(counts.stage("batch").unwrap().max_demand, 5);
}

#[tokio::test(start_paused = true)]
async fn a_source_of_a_million_items_is_read_only_as_far_as_the_stages_demand() {
    let rt = Runtime::new();
    let (taken, source) = counted(1_000_000);
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let most = Arc::new(AtomicUsize::new(0));
    let [peak, source_taken] = [most.clone(), taken.clone()];
    let done = AtomicUsize::new(0);
    let spec = source
        .max_demand(8)
        .concurrency(2)
        .map("first", |n| async move { Ok(n) })
        .max_demand(8)
        .map("second", |n| async move { Ok(n) })
        .max_demand(8)
        .for_each("slow", move |_| {
            peak.fetch_max(source_taken.load(SeqCst) - done.fetch_add(1, SeqCst), SeqCst);
            let gate = gate.clone();
            async move {
                gate.acquire().await?.forget();
                Ok(())
            }
        });
    let counts = spec.counts();
    let tree = spec.start(&rt).await.unwrap();
    for handled in 0..1_000 {
        if handled % 100 == 0 {
            settled().await;
            let in_stages: u64 = counts.stages().iter().map(|stage| stage.in_stage()).sum();
            assert_eq!((taken.load(SeqCst) - handled, in_stages), (24, 24));
        }
        opened.add_permits(1);
    }
    // The item whose permit is taken is finished a moment later than it is counted here.
    assert!(most.load(SeqCst) <= 25, "{most:?}");
    rt.kill(tree.pid().unwrap());
    tree.ended().await;
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_producer_function_is_called_with_the_demand_and_may_exceed_it() {
    let rt = Runtime::new();
    let demands = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = demands.clone();
    let calls = AtomicUsize::new(0);
    let source = Pipeline::from_demand("burst", move |demand| {
        seen.lock().unwrap().push(demand);
        let call = calls.fetch_add(1, SeqCst);
        async move { Ok(if call < 3 { vec![call; 10] } else { vec![] }) }
    });
    let (spec, counts, mut receiver) = collected(source.max_demand(4));
    let tree = spec.start(&rt).await.unwrap();
    tree.ended().await;
    assert_eq!(lost(&counts, "collect"), (30, 0, 0));
    let demands = demands.lock().unwrap().clone();
    assert_eq!(demands[0], 4);
    assert!(demands.iter().all(|demand| (1..=4).contains(demand)), "{demands:?}");
    let items = drained(&mut receiver);
    assert!(items.len() == 30 && items.is_sorted());
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_the_item_of_its_worker_only() {
    let risky = || {
        let blow = fuse(1);
        move |n: usize| {
            if n == 5 {
                blow();
            }
            async move { Ok(n) }
        }
    };
    for workers in [1, 3] {
        let (items, counts) = run(numbers(10).concurrency(workers).map("risky", risky())).await;
        assert_eq!(items, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
        assert_eq!(lost(&counts, "risky"), (9, 1, 0));
    }
    let (items, counts) = run(numbers(10).at_least_once().map("risky", risky())).await;
    assert_eq!(items, (0..10).collect::<Vec<_>>());
    assert_eq!(lost(&counts, "risky"), (10, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_item_that_crashes_twice_is_lost_and_the_rest_goes_on() {
    let poisoned = |n: usize| async move { if n == 3 { Err("poison")? } else { Ok(n) } };
    let (items, counts) = run(numbers(6).at_least_once().map("poisoned", poisoned)).await;
    assert_eq!(items, [0, 1, 2, 4, 5]);
    assert_eq!(lost(&counts, "poisoned"), (5, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_killed_worker_puts_back_the_item_that_it_may_redeliver() {
    let rt = Runtime::new();
    let first = AtomicBool::new(true);
    let source = numbers(3).at_least_once().map("hangs", move |n| {
        let hangs = first.swap(false, SeqCst);
        async move { if hangs { pending().await } else { Ok(n) } }
    });
    let (spec, counts, mut receiver) = collected(source);
    let tree = spec.start(&rt).await.unwrap();
    settled().await;
    rt.kill(tree.which_child("hangs").await.unwrap().pid().unwrap());
    tree.ended().await;
    let items = [receiver.recv().await, receiver.recv().await, receiver.recv().await];
    assert_eq!(items, [Some(0), Some(1), Some(2)]);
    assert_eq!(lost(&counts, "hangs"), (3, 0, 1));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn the_items_of_a_batch_whose_worker_is_killed_keep_their_order() {
    let rt = Runtime::new();
    let go = Arc::new(Semaphore::new(3));
    let allowed = go.clone();
    let source = numbers(5).map("gate", move |n| {
        let allowed = allowed.clone();
        async move {
            allowed.acquire().await?.forget();
            Ok(n)
        }
    });
    let (spec, counts, mut receiver) = collected(source.batch(5, ms(1_000)));
    let tree = spec.start(&rt).await.unwrap();
    settled().await;
    // The worker holds three items.
    rt.kill(tree.which_child("batch").await.unwrap().pid().unwrap());
    go.add_permits(2);
    assert_eq!(receiver.recv().await, Some(vec![0, 1, 2, 3, 4]));
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
    assert_eq!(lost(&counts, "batch"), (5, 0, 0));
    assert_nothing_left(&rt).await;
}

/// The consumer ends while the producer waits for demand, and while it has reserved demand.
#[tokio::test(start_paused = true)]
async fn a_consumer_that_ends_while_demand_is_reserved_gets_the_item_after_its_restart() {
    let rt = Runtime::new();
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let source = Pipeline::from_demand("late", move |_| {
        let wait = wait.clone();
        async move {
            wait.notified().await;
            Ok(vec![1])
        }
    });
    let (spec, counts, mut receiver) = collected(source.max_demand(1));
    let tree = spec.start(&rt).await.unwrap();
    settled().await;
    let consumer = tree.which_child("collect").await.unwrap().pid().unwrap();
    rt.kill(consumer);
    go.notify_one();
    assert_eq!(receiver.recv().await, Some(1));
    go.notify_one();
    assert_eq!(receiver.recv().await, Some(1));
    tree.stop().await.unwrap();
    assert_eq!(lost(&counts, "collect"), (2, 0, 0));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_crashes_is_restarted_with_a_new_source() {
    let starts = Arc::new(AtomicUsize::new(0));
    let count = starts.clone();
    let source = move || {
        let first = count.fetch_add(1, SeqCst) == 0;
        stream::iter(0..4).map(move |n| {
            assert!(!first || n < 2, "the source is broken");
            n
        })
    };
    let (items, _) = run(Pipeline::from_stream("broken", source)).await;
    assert_eq!(items, [0, 1, 0, 1, 2, 3]);
    assert_eq!(starts.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_drains_from_the_producer_down() {
    let rt = Runtime::new();
    let (taken, source) = counted(usize::MAX);
    let slow = |n: usize| async move {
        sleep(ms(10)).await;
        Ok(n)
    };
    let source = source.max_demand(5).concurrency(2).map("first", slow).batch(4, ms(1_000));
    let (spec, counts, mut receiver) = collected(source);
    let tree = Supervisor::one_for_one().child(spec).start(&rt).await.unwrap();
    sleep(ms(105)).await;
    tree.stop().await.unwrap();
    let taken = taken.load(SeqCst);
    assert_eq!(drained(&mut receiver).concat(), (0..taken).collect::<Vec<_>>());
    assert!(counts.stages().iter().all(|stage| stage.lost == 0), "{counts:?}");
    assert_nothing_left(&rt).await;
}

/// A function that waits for the semaphore, and then fails: for item 0 by an error, for item 3 by a
/// panic.
fn failing_during_a_stop(
    allowed: Arc<Semaphore>,
) -> impl Fn(usize) -> BoxFuture<'static, regrow::Result<usize>> {
    move |n| {
        let allowed = allowed.clone();
        Box::pin(async move {
            allowed.acquire().await?.forget();
            match n {
                0 => Err("no".into()),
                3 => panic!("a test panic"),
                _ => Ok(n),
            }
        })
    }
}

async fn stop_while_held(tree: SupervisorRef, go: &Semaphore) {
    settled().await;
    let stopping = tokio::spawn(async move { tree.stop().await });
    settled().await;
    go.add_permits(1_000);
    let start = Instant::now();
    stopping.await.unwrap().unwrap();
    assert!(start.elapsed() < ms(1_000), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failure_during_a_stop_costs_one_item_and_the_worker_goes_on() {
    let rt = Runtime::new();
    let go = Arc::new(Semaphore::new(0));
    for partitioned in [false, true] {
        let (_, mut source) = counted(usize::MAX);
        source = source.max_demand(6);
        if partitioned {
            source = source.concurrency(2).partition_by(|n| *n);
        }
        let (spec, counts, mut receiver) =
            collected(source.map("risky", failing_during_a_stop(go.clone())));
        stop_while_held(spec.start(&rt).await.unwrap(), &go).await;
        let mut items = drained(&mut receiver);
        items.sort_unstable();
        assert_eq!(items, [1, 2, 4, 5]);
        assert_eq!(lost(&counts, "risky"), (4, 2, 0));
        go.forget_permits(1_000);
    }
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_consumer_during_a_stop_is_redelivered() {
    let rt = Runtime::new();
    let go = Arc::new(Semaphore::new(0));
    let (_, source) = counted(usize::MAX);
    let risky = failing_during_a_stop(go.clone());
    let spec = source.max_demand(6).at_least_once().for_each("risky", move |n| {
        let done = risky(n);
        async move { done.await.map(drop) }
    });
    let counts = spec.counts();
    stop_while_held(spec.start(&rt).await.unwrap(), &go).await;
    assert_eq!(lost(&counts, "risky"), (4, 2, 2));
    assert_nothing_left(&rt).await;
}

/// A function that passes an item on when it has a permit.
fn gated(
    permits: &Arc<Semaphore>,
) -> impl Fn(usize) -> BoxFuture<'static, regrow::Result<usize>> + use<> {
    let permits = permits.clone();
    move |n| {
        let permits = permits.clone();
        Box::pin(async move {
            permits.acquire().await?.forget();
            Ok(n)
        })
    }
}

/// Starts the pipeline, stops it, and kills the worker before the stage that waits gets its permits.
async fn kill_during_a_stop(rt: &Runtime, spec: PipelineSpec, worker: &str, go: &Semaphore) {
    let tree = spec.start(rt).await.unwrap();
    settled().await;
    let worker = tree.which_child(worker).await.unwrap().pid().unwrap();
    let stopping = tokio::spawn(async move { tree.stop().await });
    settled().await;
    killed(rt, worker).await;
    settled().await;
    assert!(!stopping.is_finished());
    go.add_permits(1_000);
    let start = Instant::now();
    stopping.await.unwrap().unwrap();
    assert!(start.elapsed() < ms(1_000), "{:?}", start.elapsed());
    go.forget_permits(1_000);
}

fn received<T>(receiver: &mut UnboundedReceiver<T>) -> Vec<T> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_worker_killed_during_a_stop_is_replaced_and_costs_at_most_its_item() {
    let rt = Runtime::new();
    let go = Arc::new(Semaphore::new(0));
    for (redelivers, partitioned) in [(false, false), (true, false), (false, true), (true, true)] {
        let (_, mut source) = counted(usize::MAX);
        source = source.max_demand(6);
        let mut worker = "held";
        if partitioned {
            source = source.concurrency(2).partition_by(|n| *n);
            worker = "held 1";
        }
        if redelivers {
            source = source.at_least_once();
        }
        let (spec, counts, mut receiver) = collected(source.map("held", gated(&go)));
        kill_during_a_stop(&rt, spec, worker, &go).await;
        assert_eq!(received(&mut receiver).len(), if redelivers { 6 } else { 5 });
        let expected = if redelivers { (6, 0, 1) } else { (5, 1, 0) };
        assert_eq!(lost(&counts, "held"), expected, "{redelivers} {partitioned}");
        assert_eq!(counts.stage("collect").unwrap().lost, 0);
    }
    assert_nothing_left(&rt).await;
}

/// The stage before waits for demand of the killed worker, so it would end if no worker were left.
#[tokio::test(start_paused = true)]
async fn the_stages_before_a_worker_killed_during_a_stop_lose_nothing() {
    let rt = Runtime::new();
    let go = Arc::new(Semaphore::new(0));
    let (taken, source) = counted(usize::MAX);
    let source = source.max_demand(4).map("first", |n| async move { Ok(n) });
    let (spec, counts, mut receiver) = collected(source.max_demand(3).map("held", gated(&go)));
    kill_during_a_stop(&rt, spec, "held", &go).await;
    let taken = taken.load(SeqCst);
    assert_eq!(taken, 7);
    assert_eq!(received(&mut receiver), (1..taken).collect::<Vec<_>>());
    assert_eq!((lost(&counts, "first"), lost(&counts, "held")), ((7, 0, 0), (6, 1, 0)));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_killed_during_a_stop_is_replaced_before_the_pipeline_ends() {
    let rt = Runtime::new();
    let go = Arc::new(Semaphore::new(0));
    let (_, source) = counted(usize::MAX);
    let pass = gated(&go);
    let spec = source.max_demand(4).at_least_once().for_each("held", move |n| {
        let passed = pass(n);
        async move { passed.await.map(drop) }
    });
    let counts = spec.counts();
    kill_during_a_stop(&rt, spec, "held", &go).await;
    assert_eq!(lost(&counts, "held"), (4, 0, 1));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_worker_is_killed_during_a_stop_keeps_its_items_in_order() {
    let rt = Runtime::new();
    let go = Arc::new(Semaphore::new(3)); // the batch has three items
    let (taken, source) = counted(usize::MAX);
    let source = source.max_demand(5).map("gate", gated(&go)).batch(100, ms(10_000));
    let (spec, counts, mut receiver) = collected(source);
    kill_during_a_stop(&rt, spec, "batch", &go).await;
    let taken = taken.load(SeqCst);
    assert_eq!(taken, 8);
    assert_eq!(received(&mut receiver), [(0..taken).collect::<Vec<_>>()]);
    assert_eq!(lost(&counts, "batch"), (8, 0, 0));
    assert_nothing_left(&rt).await;
}

/// The child `replacements` may be killed before the worker, after it, or between the making of the
/// replacement and its first poll.
#[tokio::test(start_paused = true)]
async fn without_the_child_that_replaces_workers_a_stop_ends_at_once_and_counts_the_loss() {
    let rt = Runtime::new();
    for (order, waits) in [([0, 1], true), ([0, 1], false), ([1, 0], true), ([1, 0], false)] {
        let (_, source) = counted(usize::MAX);
        let held = source.max_demand(4).map("held", |_| pending::<regrow::Result<usize>>());
        let (spec, counts, _receiver) = collected(held);
        let tree = spec.drain_within(Duration::MAX).start(&rt).await.unwrap();
        settled().await;
        let mut children = Vec::new();
        for id in ["replacements", "held"] {
            children.push(tree.which_child(id).await.unwrap().pid().unwrap());
        }
        let stopping = tokio::spawn(async move { tree.stop().await });
        settled().await;
        for child in order {
            assert!(rt.kill(children[child]));
            if waits {
                settled().await;
            }
        }
        let stopped = tokio::time::timeout(ms(1_000), stopping).await;
        stopped.unwrap_or_else(|_| panic!("{order:?} {waits}: the stop hangs")).unwrap().unwrap();
        settled().await;
        assert_eq!(lost(&counts, "held"), (0, 4, 0), "{order:?} {waits}");
    }
    assert_nothing_left(&rt).await;
}

/// A `replacements` that was killed before the stop is restarted, and then replaces a worker.
#[tokio::test(start_paused = true)]
async fn the_child_that_replaces_workers_does_so_after_its_restart() {
    let rt = Runtime::new();
    let go = Arc::new(Semaphore::new(0));
    let (_, source) = counted(usize::MAX);
    let source = source.max_demand(6).at_least_once().map("held", gated(&go));
    let (spec, counts, mut receiver) = collected(source);
    let tree = spec.start(&rt).await.unwrap();
    settled().await;
    killed(&rt, tree.which_child("replacements").await.unwrap().pid().unwrap()).await;
    settled().await;
    let worker = tree.which_child("held").await.unwrap().pid().unwrap();
    let stopping = tokio::spawn(async move { tree.stop().await });
    settled().await;
    killed(&rt, worker).await;
    go.add_permits(1_000);
    stopping.await.unwrap().unwrap();
    assert_eq!(received(&mut receiver), [0, 1, 2, 3, 4, 5]);
    assert_eq!(lost(&counts, "held"), (6, 0, 1));
    assert_nothing_left(&rt).await;
}

/// The destructor of the killed worker's future blocks its thread, and another thread has time to poll
/// the replacement before the item is put back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_runs_only_after_the_items_of_the_killed_worker_are_put_back() {
    for items in [1, 3] {
        let rt = Runtime::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let called = calls.clone();
        let (taken, is_taken) = std::sync::mpsc::channel();
        let is_taken = Arc::new(std::sync::Mutex::new(is_taken));
        let source = move || stream::iter(0..items).chain(stream::pending());
        let source = Pipeline::from_stream("endless", source).at_least_once();
        let (spec, counts, mut receiver) = collected(source.map("held", move |n: usize| {
            let hangs = called.fetch_add(1, SeqCst) == 0;
            let (taken, is_taken) = (taken.clone(), is_taken.clone());
            async move {
                if !hangs {
                    let _ = taken.send(());
                } else {
                    // Waits for a replacement that takes an item too early.
                    let wait = move || is_taken.lock().unwrap().recv_timeout(ms(100));
                    let _slow = OnDrop::new(move || {
                        let _ = block_in_place(wait);
                    });
                    pending::<()>().await;
                }
                Ok(n)
            }
        }));
        let tree = spec.start(&rt).await.unwrap();
        let queued = || counts.stage("held").unwrap().accepted as usize == items;
        until("the items are queued, and one is held", || queued() && calls.load(SeqCst) == 1)
            .await;
        let pid = async |id| tree.which_child(id).await.unwrap().pid().unwrap();
        let (worker, producer) = (pid("held").await, pid("producer").await);
        let producer_has_ended = rt.ended(producer);
        let stopping = tokio::spawn(async move { tree.stop().await });
        producer_has_ended.await;
        killed(&rt, worker).await;
        stopping.await.unwrap().unwrap();
        assert_eq!(received(&mut receiver), (0..items).collect::<Vec<_>>());
        assert_eq!(lost(&counts, "held"), (items as u64, 0, 1));
        assert_nothing_left(&rt).await;
    }
}

/// The replacement ends with the time limit of the stop, as a worker does.
#[tokio::test(start_paused = true)]
async fn a_replacement_that_exceeds_the_time_of_the_stop_loses_and_counts_the_rest() {
    let rt = Runtime::new();
    let (_, source) = counted(usize::MAX);
    let stuck = source.max_demand(4).for_each("stuck", |_| pending()).drain_within(ms(300));
    let counts = stuck.counts();
    let tree = stuck.start(&rt).await.unwrap();
    settled().await;
    let worker = tree.which_child("stuck").await.unwrap().pid().unwrap();
    let start = Instant::now();
    let stopping = tokio::spawn(async move { tree.stop().await });
    settled().await;
    killed(&rt, worker).await;
    stopping.await.unwrap().unwrap();
    assert!((ms(300)..ms(310)).contains(&start.elapsed()), "{:?}", start.elapsed());
    settled().await;
    assert_eq!(lost(&counts, "stuck"), (0, 4, 0));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_exceeds_its_time_loses_and_counts_the_rest() {
    let rt = Runtime::new();
    let (taken, source) = counted(usize::MAX);
    let spec =
        source.max_demand(8).concurrency(3).for_each("stuck", |_| pending()).drain_within(ms(300));
    let counts = spec.counts();
    let tree = Supervisor::one_for_one().child(spec).start(&rt).await.unwrap();
    settled().await;
    let start = Instant::now();
    tree.stop().await.unwrap();
    assert!(start.elapsed() <= ms(310), "{:?}", start.elapsed());
    settled().await;
    assert_eq!((taken.load(SeqCst), lost(&counts, "stuck")), (8, (0, 8, 0)));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_without_a_consumer_stops_at_once() {
    let rt = Runtime::new();
    let (_, source) = counted(usize::MAX);
    let fails = |_| async { Err("no disk".into()) };
    let spec = source.max_demand(4).map("pass", |n| async move { Ok(n) }).max_demand(2);
    let spec = spec.for_each("fails", fails).intensity(2, ms(1_000));
    let counts = spec.counts();
    let start = Instant::now();
    let reason = spec.start(&rt).await.unwrap().ended().await;
    assert!(reason.to_string().contains("child \"fails\""), "{reason}");
    assert_eq!(start.elapsed(), ms(0));
    // Three items crashed the consumer; two were queued before it, and four before or in `pass`.
    settled().await;
    let stages = counts.stages();
    assert!(stages.iter().all(|stage| stage.in_stage() == 0), "{stages:?}");
    assert_eq!((stages[1].finished, stages[0].accepted), (0, stages[0].finished + stages[0].lost));
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_gave_up_is_started_anew_and_then_ends_for_good() {
    let rt = Runtime::new();
    let blow = fuse(2);
    let (_, source) = counted(10);
    let (sender, mut receiver) = unbounded_channel();
    let spec = source.max_demand(1).for_each("risky", move |n| {
        blow();
        sent(sender.clone(), n)
    });
    let counts = spec.counts();
    let parent = Supervisor::one_for_one().child(spec.intensity(0, ms(1_000)));
    let tree = parent.start(&rt).await.unwrap();
    let mut items = Vec::new();
    while let Some(item) = receiver.recv().await {
        items.push(item);
        if item == 9 {
            break;
        }
    }
    settled().await;
    assert_eq!(tree.count_children().await.unwrap().active, 0);
    let risky = counts.stage("risky").unwrap();
    assert_eq!((risky.accepted, risky.in_stage()), (risky.finished + risky.lost, 0));
    assert!(items.is_sorted() && risky.lost >= 2);
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test(start_paused = true)]
async fn a_receipt_in_an_item_reports_what_is_done_and_what_is_lost() {
    struct Receipt(usize, UnboundedSender<(usize, bool)>, bool);
    impl Drop for Receipt {
        fn drop(&mut self) {
            let _ = self.1.send((self.0, self.2));
        }
    }
    let rt = Runtime::new();
    let (sender, mut outcomes) = unbounded_channel();
    let source = move || {
        let sender = sender.clone();
        stream::iter(0..4).map(move |n| Receipt(n, sender.clone(), false))
    };
    let spec = Pipeline::from_stream("queue", source)
        .map("check", |item| async move { if item.0 == 2 { Err("bad")? } else { Ok(item) } })
        .for_each("store", |item| async move {
            let mut item = item;
            item.2 = true;
            Ok(())
        });
    spec.start(&rt).await.unwrap().ended().await;
    let mut all = drained(&mut outcomes);
    all.sort();
    assert_eq!(all, [(0, true), (1, true), (2, false), (3, true)]);
    assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn two_stages_with_one_id_are_refused() {
    let rt = Runtime::new();
    let same = |n: usize| async move { Ok(n) };
    let (spec, ..) = collected(numbers(1).map("same", same).map("same", same));
    let refused = spec.start(&rt).await.unwrap_err();
    assert_eq!(refused, StartError::DuplicateId("same".into()));
    assert_nothing_left(&rt).await;
}

#[test]
fn settings_that_let_nothing_pass_are_refused() {
    let refused = |set: fn(Pipeline<usize>) -> Pipeline<usize>| {
        std::panic::catch_unwind(move || drop(set(numbers(1)))).is_err()
    };
    assert!(refused(|pipeline| pipeline.concurrency(0)));
    assert!(refused(|pipeline| pipeline.max_demand(0)));
    assert!(std::panic::catch_unwind(|| drop(numbers(1).batch(0, ms(1)))).is_err());
}

/// A pipeline whose stage `risky` fails now and then.
fn risky_pipeline(items: usize) -> Pipeline<Vec<usize>> {
    let calls = AtomicUsize::new(0);
    let (_, source) = counted(items);
    source
        .max_demand(32)
        .concurrency(3)
        .at_least_once()
        .map("risky", move |n: usize| {
            let fails = n.is_multiple_of(997) && calls.fetch_add(1, SeqCst).is_multiple_of(2);
            async move {
                tokio::task::yield_now().await;
                if fails { Err("unlucky")? } else { Ok(n) }
            }
        })
        .batch(10, ms(1))
}

/// Kills a worker fifty times, or as often as possible until the pipeline ends.
async fn kill_a_worker(rt: Runtime, tree: SupervisorRef) {
    let mut kills = 0;
    while kills < 50
        && let Ok(child) = tree.which_child("risky 2").await
    {
        kills += usize::from(child.pid().is_some_and(|pid| rt.kill(pid)));
        tokio::task::yield_now().await;
    }
}

/// Workers crash and are killed at random: each item is finished once, or lost and counted; with
/// redelivery, none is lost by a single crash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_crashes_and_kills_every_item_is_accounted_for() {
    const ITEMS: usize = 20_000;
    let rt = Runtime::new();
    let (spec, counts, mut receiver) = collected(risky_pipeline(ITEMS));
    let tree = spec.intensity(100_000, ms(1_000)).start(&rt).await.unwrap();
    let kills = tokio::spawn(kill_a_worker(rt.clone(), tree.clone()));
    tree.ended().await;
    kills.await.unwrap();
    let mut seen = BTreeMap::<usize, usize>::new();
    for n in drained(&mut receiver).into_iter().flatten() {
        *seen.entry(n).or_default() += 1;
    }
    let risky = counts.stage("risky").unwrap();
    assert_eq!(risky.accepted as usize, ITEMS);
    assert_eq!(risky.finished + risky.lost, risky.accepted);
    assert!(risky.redelivered > 0);
    assert!(seen.len() + risky.lost as usize >= ITEMS, "{} {risky:?}", seen.len());
    assert_nothing_left(&rt).await;
}

/// Every worker is killed at some moment of a stop. What was not in the hands of a killed consumer is
/// finished, and every item is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_kills_during_a_stop_every_item_is_accounted_for() {
    for round in 0..40 {
        let rt = Runtime::new();
        let (spec, counts, mut receiver) = collected(risky_pipeline(usize::MAX));
        let tree = spec.intensity(100_000, ms(1_000)).start(&rt).await.unwrap();
        let mut workers = Vec::new();
        for id in ["risky 1", "risky 2", "risky 3", "batch", "collect"] {
            workers.push(tree.which_child(id).await.unwrap().pid().unwrap());
        }
        for _ in 0..round * 7 {
            tokio::task::yield_now().await;
        }
        let stop_has_begun = rt.ended(tree.which_child("drain").await.unwrap().pid().unwrap());
        let stopping = tokio::spawn(async move { tree.stop().await });
        stop_has_begun.await;
        for worker in 0..workers.len() {
            for _ in 0..round % 9 {
                tokio::task::yield_now().await;
            }
            rt.kill(workers[(worker + round) % workers.len()]);
        }
        stopping.await.unwrap().unwrap();
        let [risky, batch, collect] = &counts.stages()[..] else { panic!("three stages") };
        for stage in [risky, batch, collect] {
            assert_eq!(stage.accepted, stage.finished + stage.lost, "round {round}: {stage:?}");
        }
        assert!(collect.lost <= 1 && batch.lost == 0, "round {round}: {collect:?} {batch:?}");
        let batches = received(&mut receiver).len() as u64;
        assert!((batches..=batches + 1).contains(&collect.accepted), "round {round}");
        assert_nothing_left(&rt).await;
    }
}
