//! Seeded chaos: what the faults do, what is checked, and that a seed repeats.

use std::time::Duration;

use regrow::testing::{Fault, chaos};
use regrow::{
    CallError, ChildSpec, GenServer, Name, NodeState, Reply, Result, Runtime, ServerContext,
    Supervisor, SupervisorSpec,
};

/// Counts what is added. A crash loses the count.
struct Counter(u64);

enum Call {
    Get(Reply<u64>),
}

impl GenServer for Counter {
    type Args = ();
    type Call = Call;
    type Cast = u64;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(0))
    }

    async fn handle_call(&mut self, Call::Get(reply): Call, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, more: u64, _: &mut ServerContext<Self>) -> Result {
        self.0 += more;
        Ok(())
    }
}

fn counter(id: &'static str) -> ChildSpec {
    Counter::child(()).with_id(id).named(id)
}

/// Ten processes: the root, three supervisors, and six servers.
fn ten() -> SupervisorSpec {
    let pair = |id: &str, children: [&'static str; 2]| {
        let [first, second] = children.map(counter);
        Supervisor::one_for_all().with_id(id).child(first).child(second)
    };
    Supervisor::one_for_one()
        .child(pair("left", ["a", "b"]))
        .child(pair("right", ["c", "d"]))
        .child(pair("middle", ["e", "f"]))
}

#[test]
fn a_tree_with_the_default_intensity_survives_the_default_plans() {
    let report = chaos(0..200, ten, |plan| {
        plan.always(|tree| tree.runtime().process_count() <= 10);
        plan.eventually(Duration::from_secs(5), |tree| tree.is_up());
    });
    assert_eq!(report.runs(), 200);
    println!("{}\n{}", report.log(), report.faults());
}
