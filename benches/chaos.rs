//! The time of a chaos test: plans of a tree of ten processes, one after the other on one thread.
//!
//! Raw: a tokio runtime of its own for each plan, on a thread of its own, which does nothing.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use regrow::testing::chaos;
use regrow::{ChildSpec, Supervisor, SupervisorSpec};
use support::{Bench, Row, Target};

fn main() {
    let bench = Bench::new("chaos");
    let text = "a plan of a tree of ten processes";
    let row = Row { text, unit: "ns", target: Target::None, size: 1_000 };
    bench.compare(&row, raw, plans);
}

async fn raw(n: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..n {
        let empty = || {
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
            tokio.expect("tokio starts").block_on(async {});
        };
        thread::spawn(empty).join().expect("it does nothing");
    }
    support::nanos_each(start, n)
}

/// The invariants take a snapshot at every step.
async fn plans(n: usize) -> f64 {
    let start = Instant::now();
    let report = chaos(0..n as u64, ten, |plan| {
        plan.always(|tree| tree.snapshot().nodes().len() <= 10);
        plan.eventually(Duration::from_secs(5), |tree| tree.is_up());
    });
    assert_eq!(report.runs(), n);
    support::nanos_each(start, n)
}

/// Ten processes: the root, three supervisors, and six tasks.
fn ten() -> SupervisorSpec {
    let pair = |id: &str| {
        let task = |id| ChildSpec::task(id, |_| std::future::pending());
        Supervisor::one_for_all().with_id(id).child(task("first")).child(task("second"))
    };
    Supervisor::one_for_one().child(pair("left")).child(pair("right")).child(pair("middle"))
}
