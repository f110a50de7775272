//! What it costs to find one of ten thousand names.
//!
//! Raw: a `HashMap` of senders behind a `RwLock`, from which one is cloned.
//!
//! And how long a change of one name takes while up to eight threads look it up without a
//! pause: it must not wait until they feel like pausing. Nothing raw beside it; the worst of
//! all waits is to be below 50 ms, most of which is the wait for a processor.

mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use regrow::Runtime;
use support::{Bench, Question, nanos_each};
use tokio::sync::mpsc;

const NAMES: usize = 10_000;

fn main() {
    let bench = Bench::new("names");
    let ask = |text, seekers: usize| {
        let question = Question { text, unit: "ns", target: Some(0.5), size: 2_000_000 };
        bench.compare(&question, move |n| raw(n, seekers), move |n| regrow(n, seekers));
    };
    ask("whereis, among 10,000", 1);
    ask("the same, by two tasks at once", 2);
    ask("the same, by eight tasks at once", 8);

    bench.head_of_waits("a name that threads look up");
    for (readers, [changed, ended]) in [
        (1, ["unregister + register, 1 thread", "end of its holder, 1 thread"]),
        (2, ["unregister + register, 2 threads", "end of its holder, 2 threads"]),
        (4, ["unregister + register, 4 threads", "end of its holder, 4 threads"]),
        (8, ["unregister + register, 8 threads", "end of its holder, 8 threads"]),
    ] {
        let question = |text| Question { text, unit: "µs", target: Some(50_000.0), size: 500 };
        bench.waits(&question(changed), move |n| looked_up(n, readers, change));
        bench.waits(&question(ended), move |n| looked_up(n, readers, end));
    }
}

/// How long each of so many acts takes while threads look up the name that it changes.
async fn looked_up<F: Future<Output = Duration>>(
    size: usize,
    readers: usize,
    act: impl Fn(Runtime) -> F,
) -> Vec<Duration> {
    let rt = Runtime::new();
    let over = Arc::new(AtomicBool::new(false));
    let read = |_| {
        let (rt, over) = (rt.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                black_box(rt.whereis("hot"));
            }
        })
    };
    let readers: Vec<_> = (0..readers).map(read).collect();
    let mut waits = Vec::with_capacity(size);
    for _ in 0..size {
        waits.push(act(rt.clone()).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    over.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join().expect("it only looks"));
    support::clear(&rt).await;
    waits
}

async fn change(rt: Runtime) -> Duration {
    let holder = match rt.whereis("hot") {
        Some(holder) => holder,
        None => {
            let holder = rt.spawn(|_| std::future::pending()).pid();
            assert!(rt.register("hot", holder));
            holder
        }
    };
    let start = Instant::now();
    assert!(rt.unregister("hot") && rt.register("hot", holder));
    start.elapsed()
}

async fn end(rt: Runtime) -> Duration {
    let holder = rt.spawn(|_| std::future::pending());
    assert!(rt.register("hot", holder.pid()));
    let start = Instant::now();
    holder.kill();
    holder.join().await;
    start.elapsed()
}

fn names() -> Arc<Vec<String>> {
    Arc::new((0..NAMES).map(|at| format!("session/{at}")).collect())
}

/// The order of registering: not that of seeking, so that the next entry is not in
/// the cache because of the last one.
fn shuffled(names: &[String]) -> impl Iterator<Item = &String> {
    (0..NAMES).map(|at| &names[at * 7_919 % NAMES])
}

async fn raw(size: usize, seekers: usize) -> f64 {
    let names = names();
    let (sender, _receiver) = mpsc::unbounded_channel::<Vec<u8>>();
    let entry = |name: &String| (name.clone(), sender.clone());
    let table: HashMap<_, _> = shuffled(&names).map(entry).collect();
    let table = Arc::new(RwLock::new(table));
    seek(size, seekers, &names, move |name| {
        black_box(table.read().expect("nobody panicked").get(name).cloned()).is_some()
    })
    .await
}

async fn regrow(size: usize, seekers: usize) -> f64 {
    let rt = Runtime::new();
    let names = names();
    for name in shuffled(&names) {
        let process = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
        assert!(rt.register(name, process.pid()));
    }
    let seeker = rt.clone();
    let cost = seek(size, seekers, &names, move |name| black_box(seeker.whereis(name)).is_some());
    let cost = cost.await;
    support::clear(&rt).await;
    cost
}

async fn seek(
    size: usize,
    seekers: usize,
    names: &Arc<Vec<String>>,
    find: impl Fn(&str) -> bool + Clone + Send + 'static,
) -> f64 {
    let start = Instant::now();
    let seek = |_| {
        let (names, find) = (Arc::clone(names), find.clone());
        tokio::spawn(async move {
            for name in names.iter().cycle().take(size / seekers) {
                assert!(find(name));
            }
        })
    };
    for seeker in (0..seekers).map(seek).collect::<Vec<_>>() {
        seeker.await.expect("it finds all");
    }
    nanos_each(start, size)
}
