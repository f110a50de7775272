//! Tests: the start and the end of a tree, messages that a test receives, and chaos.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::testing::{chaos, collector, tree};
use regrow::{
    GenServer, Leftovers, Pid, Result, Runtime, Sender, ServerContext, SupervisorRef,
    SupervisorSpec,
};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::LIMIT;

async fn check(_: &Runtime) {}

async fn tree_before(spec: SupervisorSpec) {
    // BEFORE tree
    let rt = Runtime::new();
    let tree = spec.start(&rt).await.unwrap();
    let outcome = AssertUnwindSafe(check(&rt)).catch_unwind().await;
    tree.stop().await.unwrap();
    assert_eq!(rt.leftovers(), Leftovers::default());
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    // END
}

async fn tree_now(spec: SupervisorSpec) {
    // NOW tree
    tree(spec).run(async |tree| check(tree.runtime()).await).await;
    // END
}

fn publish(to: &Sender<u32>) {
    assert!(to.send(7));
}

// BEFORE collector
struct Ear(mpsc::UnboundedSender<u32>);

impl GenServer for Ear {
    type Args = mpsc::UnboundedSender<u32>;
    type Call = ();
    type Cast = u32;

    async fn init(heard: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Ear(heard))
    }

    async fn handle_cast(&mut self, price: u32, _: &mut ServerContext<Self>) -> Result {
        Ok(self.0.send(price)?)
    }
}

async fn collector_before(rt: &Runtime) {
    let (sender, mut heard) = mpsc::unbounded_channel();
    let ear = Ear::start(rt, sender).await.unwrap();
    publish(&ear.sender(|price| price));
    assert_eq!(timeout(LIMIT, heard.recv()).await.unwrap(), Some(7));
}
// END

async fn collector_now(rt: &Runtime) {
    // NOW collector
    let mut heard = collector(rt);
    publish(&heard);
    assert_eq!(heard.next_within(LIMIT).await, 7);
    // END
}

async fn chaos_before(rt: &Runtime, tree: &SupervisorRef, random: impl Fn() -> usize) -> Result {
    // BEFORE chaos
    for _ in 0..100 {
        sleep(Duration::from_millis(random() as u64 % 1_000)).await;
        let pids: Vec<Pid> = tree.tree().await?.nodes().iter().filter_map(|n| n.pid).collect();
        rt.kill(pids[1 + random() % (pids.len() - 1)]); // not the root
        let healed = async {
            while !tree.tree().await.is_ok_and(|tree| tree.health().is_serving()) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, healed).await.expect("the tree did not heal");
    }
    // END
    Ok(())
}

fn chaos_now(spec: impl Fn() -> SupervisorSpec + Send + Sync) {
    // NOW chaos
    chaos(0..20, spec, |plan| {
        plan.eventually(LIMIT, |tree| tree.is_up());
    });
    // END
}
