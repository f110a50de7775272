//! The name of another server.
use regrow::{GenServer, Name, Reply, Result, Runtime, ServerContext};

struct Counter;

impl GenServer for Counter {
    type Args = ();
    type Call = Reply<u64>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter)
    }

    async fn handle_call(&mut self, reply: Reply<u64>, _: &mut ServerContext<Self>) -> Result {
        reply.send(0);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

struct Other;

const OTHER: Name<Other> = Name::new("other");

fn find(rt: &Runtime) {
    let _server = rt.server::<Counter>(OTHER);
    let _named = Counter::spec(()).named(OTHER);
}

fn main() {}
