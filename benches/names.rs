//! What it costs to find one of ten thousand names.
//!
//! Raw: a `HashMap` of senders behind a `RwLock`, from which one is cloned.

mod support;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::Instant;

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
