//! The arguments of a pool's workers hold a value that can't leave its thread.

use std::rc::Rc;

use regrow::{GenServer, Pool, Reply, Result, ServerContext};

struct Connection(String);

impl GenServer for Connection {
    type Args = String;
    type Call = Reply<usize>;
    type Cast = ();

    async fn init(address: String, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Connection(address))
    }

    async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0.len());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

fn main() {
    let address = Rc::new("db:5432".to_owned());
    let _pool = Pool::<Connection>::new("connections", move || address.to_string());
}
