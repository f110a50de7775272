//! The pool: a server that lends connections, and the lease that its clients get.
//!
//! * A checkout that finds no free connection keeps its `Reply`, and is answered when one is given
//!   back. A client whose time limit has passed by then is skipped.
//! * A lease gives its connection back when it is dropped. That also happens when its client is
//!   killed, because the client's future is dropped then.
//! * A client may end without dropping its lease, for example if it has handed it to a thread or to
//!   a task that hangs. So the pool monitors each client. When the client ends first, the pool counts
//!   the connection as lost, and opens another one. The lost connection is closed if it comes back.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;

use regrow::{GenServer, MonitorRef, Received, Reply, Result, ServerContext, ServerRef};

/// Stands for a connection of a driver. Its number is unique within its pool.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) number: usize,
}

pub(crate) struct Pool {
    size: usize,
    /// The number of connections that were opened.
    opened: usize,
    free: Vec<Connection>,
    /// The connections that are lent, by their numbers, with the monitors of the clients.
    lent: HashMap<usize, Option<MonitorRef>>,
    waiting: VecDeque<Reply<Lease>>,
}

pub(crate) enum Call {
    CheckOut(Reply<Lease>),
    Counts(Reply<Counts>),
}

pub(crate) enum Cast {
    GiveBack(Connection),
}

#[derive(Debug, PartialEq)]
pub(crate) struct Counts {
    pub(crate) free: usize,
    pub(crate) lent: usize,
    pub(crate) waiting: usize,
    pub(crate) opened: usize,
}

/// A connection that is lent. Dropping it gives the connection back.
#[derive(Debug)]
pub(crate) struct Lease {
    /// `None` only while the lease is dropped.
    connection: Option<Connection>,
    /// This incarnation of the pool: a later one does not count the connection.
    pool: ServerRef<Pool>,
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("the connection is taken by the drop")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // If this incarnation has ended, the connection is closed here.
            let _counted = self.pool.cast(Cast::GiveBack(connection));
        }
    }
}

impl Pool {
    // ANCHOR: lend
    /// Opens connections up to the size of the pool, and lends them to the clients that wait.
    fn lend(&mut self, ctx: &mut ServerContext<Self>) {
        while self.free.len() + self.lent.len() < self.size {
            self.opened += 1;
            self.free.push(Connection { number: self.opened });
        }
        self.waiting.retain(Reply::is_awaited); // the others have given up, or have ended
        while !self.waiting.is_empty()
            && let Some(connection) = self.free.pop()
            && let Some(reply) = self.waiting.pop_front()
        {
            let monitor = reply.caller().map(|client| ctx.monitor(client));
            self.lent.insert(connection.number, monitor);
            // If the client gives up now, the lease is dropped, and so is given back.
            reply.send(Lease { connection: Some(connection), pool: ctx.this() });
        }
    }
    // ANCHOR_END: lend
}

impl GenServer for Pool {
    type Args = usize;
    type Call = Call;
    type Cast = Cast;

    async fn init(size: usize, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let (lent, waiting) = (HashMap::new(), VecDeque::new());
        let mut pool = Pool { size, opened: 0, free: Vec::new(), lent, waiting };
        pool.lend(ctx);
        Ok(pool)
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::CheckOut(reply) => {
                self.waiting.push_back(reply);
                self.lend(ctx);
            }
            Call::Counts(reply) => {
                let (free, lent) = (self.free.len(), self.lent.len());
                let waiting = self.waiting.iter().filter(|reply| reply.is_awaited()).count();
                reply.send(Counts { free, lent, waiting, opened: self.opened });
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        let Cast::GiveBack(connection) = cast;
        // A connection that is not lent was replaced when its client ended. It is closed.
        if let Some(monitor) = self.lent.remove(&connection.number) {
            if let Some(monitor) = monitor {
                ctx.demonitor(monitor);
            }
            self.free.push(connection);
            self.lend(ctx);
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        if let Received::Down { reference, .. } = info {
            self.lent.retain(|_, monitor| *monitor != Some(reference));
            self.lend(ctx);
        }
        Ok(())
    }
}
