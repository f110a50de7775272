//! A worker of the pool: a server that has one connection to a database.

use std::sync::atomic::{AtomicUsize, Ordering};

use regrow::{GenServer, Pool, Reply, Result, ServerContext};

/// Stands for a connection of a driver. Its number is unique within the program.
pub(crate) struct Connection {
    number: usize,
}

pub(crate) enum Call {
    Number(Reply<usize>),
    /// A query that the driver can't handle.
    Faulty(Reply<usize>),
}

impl GenServer for Connection {
    type Args = ();
    type Call = Call;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        Ok(Connection { number: OPENED.fetch_add(1, Ordering::Relaxed) + 1 })
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Number(reply) => reply.send(self.number),
            Call::Faulty(unanswered) => {
                drop(unanswered);
                return Err("the connection is broken".into());
            }
        }
        Ok(())
    }
}

/// The name of the pool.
pub(crate) const POOL: &str = "connections";

/// Two connections, which are opened with the pool.
pub(crate) fn pool() -> Pool<Connection> {
    Pool::new(POOL, || ()).size(2)
}
