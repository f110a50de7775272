//! The cost of a lookup among 1,000,000 names; in the simple table, among ten thousand.
//!
//! Raw: a `HashMap` of senders behind a `RwLock`, from which one sender is cloned.
//!
//! Also how long a change of one name takes while up to eight threads look that name up without a
//! pause: a writer must not wait until readers pause. There is no raw side. The longest wait must be
//! below 50 ms, most of which is the wait for a processor.

mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use regrow::Runtime;
use support::{Bench, Row, Table, Target, nanos_each};
use tokio::sync::mpsc;

const NAMES: usize = 10_000;

fn main() {
    let bench = Bench::new("names");
    let measure = |text, names: usize, tasks: usize| {
        let row = Row { text, unit: "ns", target: Target::Ratio(0.5), size: 2_000_000 };
        bench.compare(&row, move |n| raw(n, names, tasks), move |n| regrow(n, names, tasks));
    };
    if bench.shows(Table::Demanding) {
        measure("whereis, among 1,000,000", 1_000_000, 1);
        measure("whereis, among 1,000,000, two tasks at once", 1_000_000, 2);
    }
    if bench.shows(Table::Simple) {
        measure("whereis, among 10,000", NAMES, 1);
        measure("whereis, among 10,000, two tasks at once", NAMES, 2);
        measure("whereis, among 10,000, eight tasks at once", NAMES, 8);
    }

    bench.waits_header("a name that threads look up");
    for (readers, [changed, ended]) in [
        (1, ["unregister + register, 1 thread", "end of its holder, 1 thread"]),
        (2, ["unregister + register, 2 threads", "end of its holder, 2 threads"]),
        (4, ["unregister + register, 4 threads", "end of its holder, 4 threads"]),
        (8, ["unregister + register, 8 threads", "end of its holder, 8 threads"]),
    ] {
        let row = |text| Row { text, unit: "µs", target: Target::Cost(50_000.0), size: 500 };
        bench.waits(&row(changed), move |n| looked_up(n, readers, change));
        bench.waits(&row(ended), move |n| looked_up(n, readers, end));
    }
}

/// How long each of `size` changes takes while threads look up the name that it changes.
async fn looked_up<F: Future<Output = Duration>>(
    size: usize,
    readers: usize,
    change: impl Fn(Runtime) -> F,
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
        waits.push(change(rt.clone()).await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    over.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join().expect("a reader does not panic"));
    support::shut_down(&rt).await;
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

fn names(count: usize) -> Arc<Vec<String>> {
    Arc::new((0..count).map(|at| format!("session/{at}")).collect())
}

/// The names in the order of registration, which differs from the order of the lookups: otherwise a
/// lookup would bring the next entry into the processor's cache.
fn shuffled(names: &[String]) -> impl Iterator<Item = &String> {
    (0..names.len()).map(|at| &names[at * 7_919 % names.len()])
}

async fn raw(size: usize, names: usize, tasks: usize) -> f64 {
    let names = self::names(names);
    let (sender, _receiver) = mpsc::unbounded_channel::<Vec<u8>>();
    let entry = |name: &String| (name.clone(), sender.clone());
    let table: HashMap<_, _> = shuffled(&names).map(entry).collect();
    let table = Arc::new(RwLock::new(table));
    look_up(size, tasks, &names, move |name| {
        black_box(table.read().expect("no reader panics").get(name).cloned()).is_some()
    })
    .await
}

async fn regrow(size: usize, names: usize, tasks: usize) -> f64 {
    let rt = Runtime::new();
    let names = self::names(names);
    for name in shuffled(&names) {
        let process = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
        assert!(rt.register(name, process.pid()));
    }
    let task = rt.clone();
    let cost = look_up(size, tasks, &names, move |name| black_box(task.whereis(name)).is_some());
    let cost = cost.await;
    support::shut_down(&rt).await;
    cost
}

async fn look_up(
    size: usize,
    tasks: usize,
    names: &Arc<Vec<String>>,
    find: impl Fn(&str) -> bool + Clone + Send + 'static,
) -> f64 {
    let start = Instant::now();
    let look_up = |_| {
        let (names, find) = (Arc::clone(names), find.clone());
        tokio::spawn(async move {
            for name in names.iter().cycle().take(size / tasks) {
                assert!(find(name));
            }
        })
    };
    for task in (0..tasks).map(look_up).collect::<Vec<_>>() {
        task.await.expect("all names are found");
    }
    nanos_each(start, size)
}
