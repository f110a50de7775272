//! A handler without a returned `Result`.
use regrow::{GenServer, Reply, Result, ServerContext};

struct Counter(u64);

enum Call {
    Get(Reply<u64>),
    Reset,
}

enum Cast {
    Add(u64),
}

impl GenServer for Counter {
    type Args = u64;
    type Call = Call;
    type Cast = Cast;

    async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(start))
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Get(reply) => reply.send(self.0),
            Call::Reset => self.0 = 0,
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        let Cast::Add(n) = cast;
        self.0 += n;
    }
}

fn main() {}
