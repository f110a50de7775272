//! The trees of these tests, and the text of a chaos test that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use regrow::{ChildSpec, GenServer, Reply, Result, ServerContext, Supervisor, SupervisorSpec};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MS: Duration = Duration::from_millis(1);

/// Counts what is added. A crash loses the count.
pub(crate) struct Counter(u64);

pub(crate) struct Get(pub(crate) Reply<u64>);

impl GenServer for Counter {
    type Args = ();
    type Call = Get;
    type Cast = u64;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(0))
    }

    async fn handle_call(&mut self, Get(reply): Get, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, more: u64, _: &mut ServerContext<Self>) -> Result {
        self.0 += more;
        Ok(())
    }
}

/// A counter whose id and name are this text.
pub(crate) fn counter(id: &'static str) -> ChildSpec {
    Counter::child(()).with_id(id).named(id)
}

/// One counter, "a".
pub(crate) fn one() -> SupervisorSpec {
    Supervisor::one_for_one().child(counter("a"))
}

/// Three counters, with a budget for any number of faults.
pub(crate) fn three() -> SupervisorSpec {
    let tree = Supervisor::one_for_one().intensity(1_000, SECOND);
    ["a", "b", "c"].map(counter).into_iter().fold(tree, SupervisorSpec::child)
}

/// Ten processes: the root, three supervisors, and six counters.
pub(crate) fn ten() -> SupervisorSpec {
    let pair = |id: &str, children: [&'static str; 2]| {
        let [first, second] = children.map(counter);
        Supervisor::one_for_all().with_id(id).child(first).child(second)
    };
    Supervisor::one_for_one()
        .child(pair("left", ["a", "b"]))
        .child(pair("right", ["c", "d"]))
        .child(pair("middle", ["e", "f"]))
}

/// The message of the panic of `test`.
pub(crate) fn failure_of<T>(test: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(test)) else { panic!("it did not fail") };
    *panic.downcast::<String>().expect("the message has arguments")
}
