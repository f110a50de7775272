//! A program of 100,000 processes that is observed: what a picture takes, as values, as text and as
//! JSON, and a sample.
//!
//! Three trees: 1,000 supervisors with 99 children each; one dynamic supervisor with all children, of
//! which a picture lists the worst 100; and the same one, with all of them listed. In place of *raw*
//! and *regrow*, the columns are the median, the worst and the best of several rounds in one tree.
//!
//! The rows with JSON need the feature `serde`: `cargo bench --bench scale --features serde`.

mod support;

use std::time::{Duration, Instant};

use regrow::{
    ChildSpec, DynamicSupervisor, Observation, Observed, Picture, PictureNode, Restart, Runtime,
    Supervisor,
};
use support::{Bench, Row, Target};

/// The children of each of the fixed supervisors.
const EACH: usize = 99;

/// The rounds of a row about pictures.
const ROUNDS: usize = 9;

const SIZE: usize = 100_000;

fn main() {
    let bench = Bench::new("scale");
    bench.waits_header("100,000 processes");
    let fixed = bench.block_on(fixed(bench.size(SIZE)));
    pictures(&bench, "1,000 supervisors", &fixed, |observation| observation);
    drop(fixed);
    let dynamic = bench.block_on(dynamic(bench.size(SIZE)));
    pictures(&bench, "dynamic", &dynamic, |observation| observation);
    pictures(&bench, "all listed", &dynamic, |observation| observation.list_children(usize::MAX));
}

/// Starts supervisors with idle children, below one.
async fn fixed(processes: usize) -> Runtime {
    let rt = Runtime::new();
    let mut top = Supervisor::one_for_one().named("app");
    for at in 0..processes / (EACH + 1) {
        let mut group = Supervisor::one_for_one().with_id(format!("group {at}"));
        for child in 0..EACH {
            group = group.child(idle(format!("worker {child}")));
        }
        top = top.child(group);
    }
    top.start(&rt).await.expect("it starts");
    rt
}

/// Starts idle children below one dynamic supervisor.
async fn dynamic(processes: usize) -> Runtime {
    let rt = Runtime::new();
    let top = DynamicSupervisor::new().named("connections").start(&rt).await.expect("it starts");
    for at in 0..processes {
        let child = idle(format!("connection {at}")).restart(Restart::Temporary);
        top.start_child(child).await.expect("it starts");
    }
    rt
}

fn idle(id: String) -> ChildSpec {
    ChildSpec::task(id, |_| std::future::pending())
}

/// Measures a row of milliseconds.
fn millis<A>(bench: &Bench, text: String, target: Option<f64>, measure: impl Fn(usize) -> A)
where
    A: Future<Output = Vec<Duration>> + Send + 'static,
{
    let target = target.map_or(Target::None, |millis| Target::Cost(millis * 1_000.0));
    bench.waits(&Row { text: text.leak(), unit: "µs", target, size: ROUNDS * 1_000 }, measure);
}

/// Measures what a picture of a tree takes, and what it takes to write it down.
fn pictures(bench: &Bench, tree: &str, rt: &Runtime, set: fn(Observation) -> Observation) {
    let (of, runtime) = (|what: &str| format!("{tree}: {what}"), || rt.clone());
    let observe = move |rt: &Runtime| set(rt.observe());
    millis(bench, of("a picture"), Some(50.0), |_| {
        let rt = runtime();
        async move {
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                let mut observation = observe(&rt);
                let begin = Instant::now();
                let picture = observation.picture().await;
                times.push(begin.elapsed());
                report_partial(&picture);
                drop(picture);
            }
            times
        }
    });
    millis(bench, of("its text"), None, |_| {
        let rt = runtime();
        async move {
            let picture = observe(&rt).picture().await;
            rounds(|| picture.to_string().len())
        }
    });
    #[cfg(feature = "serde")]
    millis(bench, of("its JSON"), None, |_| {
        let rt = runtime();
        async move {
            let picture = observe(&rt).picture().await;
            println!("its JSON has {} bytes", picture.to_json().len());
            rounds(|| picture.to_json().len())
        }
    });
    samples(bench, of("a sample"), rt, set);
}

/// Measures a sample of the processes of a picture.
fn samples(bench: &Bench, text: String, rt: &Runtime, set: fn(Observation) -> Observation) {
    millis(bench, text, None, |_| {
        let rt = rt.clone();
        async move {
            let every = Duration::from_millis(10);
            let mut observation = set(rt.observe()).sample_every(every);
            observation.next().await;
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                tokio::time::sleep(2 * every).await;
                let begin = Instant::now();
                let sample = observation.next().await;
                times.push(begin.elapsed());
                assert!(matches!(sample, Some(Observed::Sample(_))));
            }
            times
        }
    });
}

/// Says so if a supervisor has not answered in time: then the picture took less than a whole one.
fn report_partial(picture: &Picture) {
    let is_late = |node: &PictureNode| node.supervision.as_ref().is_some_and(|s| s.last_known);
    if picture.nodes.iter().any(is_late) {
        println!("a picture of the next row is partial: {} nodes", picture.nodes.len());
    }
}

fn rounds(mut measured: impl FnMut() -> usize) -> Vec<Duration> {
    let round = |_| {
        let begin = Instant::now();
        assert!(measured() > 0);
        begin.elapsed()
    };
    (0..ROUNDS).map(round).collect()
}
