// The counter server of many examples in the documentation. They include this file, hidden.

use regrow::{GenServer, Reply, Result, ServerContext};

pub struct Counter(pub u64);

pub enum Call {
    Get(Reply<u64>),
}

pub enum Cast {
    Add(u64),
    Crash,
}

impl GenServer for Counter {
    type Args = u64;
    type Call = Call;
    type Cast = Cast;

    async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(start))
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        let Call::Get(reply) = call;
        reply.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Add(n) => self.0 += n,
            Cast::Crash => panic!("as asked"),
        }
        Ok(())
    }
}
