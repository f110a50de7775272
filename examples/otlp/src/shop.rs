//! The three servers that an order goes through. None of them knows of traces.

use std::time::Duration;

use regrow::{
    GenServer, Reply, Result, Runtime, ServerContext, ServerRef, StartError, Supervisor,
    SupervisorRef,
};

/// An order, and the reply with the number of articles that are left.
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) reply: Reply<u64>,
}

/// Takes orders.
pub(crate) struct Front(ServerRef<Stock>);

impl GenServer for Front {
    type Args = ServerRef<Stock>;
    type Call = Order;
    type Cast = ();

    async fn init(stock: ServerRef<Stock>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Front(stock))
    }

    async fn handle_call(&mut self, order: Order, _: &mut ServerContext<Self>) -> Result {
        let left = self.0.call(|reply| Order { id: order.id, reply }).await?;
        order.reply.send(left);
        Ok(())
    }
}

/// Counts what is left.
pub(crate) struct Stock {
    left: u64,
    journal: ServerRef<Journal>,
}

impl GenServer for Stock {
    type Args = ServerRef<Journal>;
    type Call = Order;
    type Cast = ();

    async fn init(journal: ServerRef<Journal>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Stock { left: 10, journal })
    }

    async fn handle_call(&mut self, order: Order, _: &mut ServerContext<Self>) -> Result {
        self.left -= 1;
        self.journal.cast(Entry::Sold(order.id));
        order.reply.send(self.left);
        Ok(())
    }
}

/// Writes orders down, a moment later.
pub(crate) struct Journal(Vec<u64>);

#[derive(Debug)]
pub(crate) enum Entry {
    Sold(u64),
    Write(u64),
}

impl GenServer for Journal {
    type Args = ();
    type Call = Reply<usize>;
    type Cast = Entry;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Journal(Vec::new()))
    }

    async fn handle_call(&mut self, reply: Reply<usize>, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0.len());
        Ok(())
    }

    async fn handle_cast(&mut self, entry: Entry, ctx: &mut ServerContext<Self>) -> Result {
        match entry {
            Entry::Sold(id) => {
                ctx.cast_after(Duration::from_millis(10), Entry::Write(id));
            }
            Entry::Write(id) => self.0.push(id),
        }
        Ok(())
    }
}

/// Starts the shop.
pub(crate) async fn start(
    rt: &Runtime,
) -> std::result::Result<(SupervisorRef, ServerRef<Front>), StartError> {
    let (stock, journal) = (rt.server::<Stock>("stock"), rt.server::<Journal>("journal"));
    let tree = Supervisor::one_for_one()
        .child(Journal::child(()).named("journal"))
        .child(Stock::child(journal).named("stock"))
        .child(Front::child(stock).named("front"));
    Ok((tree.start(rt).await?, rt.server("front")))
}
