//! The counter server of many examples in the documentation.
//!
//! The examples import it in a hidden line. It is compiled with the library and not in each
//! example, so that the examples share the code of one server type. A program that does not use the
//! server contains none of its code.

use crate::{GenServer, Reply, Result, ServerContext};

#[derive(Debug)]
pub struct Counter(pub u64);

#[derive(Debug)]
pub enum Call {
    Get(Reply<u64>),
}

#[derive(Debug)]
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
