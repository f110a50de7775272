//! The server: a sum.

use regrow::{GenServer, Name, Reply, Result, ServerContext};

pub(crate) const TOTALS: Name<Totals> = Name::new("totals");

pub(crate) struct Totals {
    sum: u64,
}

pub(crate) enum Call {
    Add(u64, Reply<u64>),
}

pub(crate) enum Cast {
    Crash,
}

impl GenServer for Totals {
    type Args = ();
    type Call = Call;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Totals { sum: 0 })
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        let Call::Add(n, reply) = call;
        self.sum += n;
        reply.send(self.sum);
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        let Cast::Crash = cast;
        Err("as asked")?;
        Ok(())
    }
}
