//! The bytes that an observation keeps for each process: while its picture is held, and after that.
//! In place of *raw*, one side asks for no samples.

use std::time::Duration;

use regrow::{ChildSpec, Runtime, Supervisor};

use crate::support::{Bench, Row, Target};

/// The children of each supervisor.
const EACH: usize = 99;

pub(crate) fn rows(bench: &Bench) {
    bench.header("an observation, for each process", ["no samples", "samples", "ratio"]);
    let row = |text| Row { text, unit: "bytes", target: Target::None, size: 10_000 };
    let picture = row("with its picture, of 10,000");
    bench.compare(&picture, |n| kept(n, false, true), |n| kept(n, true, true));
    let rest = row("after its picture, of 10,000");
    bench.compare(&rest, |n| kept(n, false, false), |n| kept(n, true, false));
}

/// Observes a tree of `size` processes, and returns the bytes that are kept for each.
async fn kept(size: usize, samples: bool, holds_picture: bool) -> f64 {
    let rt = Runtime::new();
    let mut top = Supervisor::one_for_one().named("app");
    for at in 0..size.div_ceil(EACH + 1) {
        let mut group = Supervisor::one_for_one().with_id(format!("group {at}"));
        for child in 0..EACH {
            let idle = ChildSpec::task(format!("worker {child}"), |_| std::future::pending());
            group = group.child(idle);
        }
        top = top.child(group);
    }
    let tree = top.start(&rt).await.expect("it starts");
    let before = crate::allocated();
    let mut observation = rt.observe();
    if samples {
        observation = observation.sample_every(Duration::from_secs(3600));
    }
    let picture = observation.picture().await;
    let nodes = picture.nodes.len();
    let picture = holds_picture.then_some(picture);
    let bytes = crate::allocated().saturating_sub(before) as f64 / nodes as f64;
    drop((picture, observation));
    tree.stop().await.expect("it stops");
    bytes
}
