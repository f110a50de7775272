//! A server that answers calls and ignores casts.

use regrow::{GenServer, Reply, Result, ServerContext};

pub(crate) struct Echo;

impl GenServer for Echo {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Echo)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}
