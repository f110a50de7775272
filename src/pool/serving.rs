//! How the server of a pool serves the clients that wait: in the order of their requests, each with a
//! worker and, if the pool has a rate limit, a [token](crate::pool::tokens).

use tokio::time::Instant;

use crate::call::Reply;
use crate::pool::Checkout;
use crate::pool::server::{Cast, PoolServer};
use crate::pool::state::Taken;
use crate::pool::tokens::Found;
use crate::pool::waiters::Answer;
use crate::server::{GenServer, ServerContext, ServerRef};

impl<S: GenServer> PoolServer<S> {
    /// Hands idle workers to the clients that wait.
    pub(super) fn serve(&mut self, ctx: &mut ServerContext<Self>) {
        while let Some(client) = self.waiters.next() {
            let waiting = self.waiters.len() + 1;
            match self.table.0.take_or_wait(client.caller(), waiting) {
                Found::Worker(taken) => self.hand_over(taken, client, ctx),
                Found::NoWorker => {
                    // With this token, the pool may start one more worker.
                    if let Some(due) = self.table.0.with(|state| state.next_wanted()) {
                        self.serve_again_at(due, ctx);
                    }
                    return self.waiters.put_back(client);
                }
                Found::NoToken(due) => {
                    self.serve_again_at(due, ctx);
                    return self.waiters.put_back(client);
                }
            }
        }
        self.table.0.with(|state| state.waiting = 0);
    }

    /// Sets the timer for the next token, unless it is set for this time or an earlier one.
    fn serve_again_at(&mut self, due: Instant, ctx: &mut ServerContext<Self>) {
        if self.token_due.is_none_or(|set| due < set) {
            self.token_due = Some(due);
            let left = due.saturating_duration_since(Instant::now());
            ctx.cast_after_as("token", left, Cast::Token);
        }
    }

    fn hand_over(
        &self,
        taken: Taken<ServerRef<S>>,
        client: Reply<Answer<S>>,
        ctx: &mut ServerContext<Self>,
    ) {
        let mut checkout = Checkout::new(self.table.0.clone(), taken);
        checkout.monitor = client.caller().map(|client| ctx.monitor(client));
        // If the client gives up now, the checkout is dropped, and so returned.
        client.send(Ok(checkout));
    }

    /// Refuses the clients above the limit. Clients for which a worker is being started do not count.
    pub(super) fn refuse_surplus(&mut self) {
        let settings = &self.table.0.settings;
        let Some(limit) = settings.queue_limit else { return };
        let starting = self.table.0.with(|state| state.starting());
        self.waiters.refuse_above(limit + starting, limit, settings.discards_oldest);
    }
}
