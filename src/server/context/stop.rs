//! Stopping a server from one of its handlers.

use crate::exit::{ExitReason, Result};
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Returns `Err(reason)`, which stops this server if a handler returns it. If `init` returns
    /// this result, the start fails. OTP: `{stop, Reason, State}`.
    ///
    /// The call itself changes nothing: returning `Err(reason)` directly has the same effect. To
    /// stop a server from another process, use [`ServerRef::stop`](crate::ServerRef::stop).
    ///
    /// # Errors
    ///
    /// Always: `Err(reason)`.
    ///
    /// ```
    /// use regrow::{ExitReason, GenServer, Reply, Result, Runtime, ServerContext};
    ///
    /// /// Answers one call.
    /// struct Ticket(u32);
    ///
    /// impl GenServer for Ticket {
    /// #     type Args = u32;
    /// #     type Call = Reply<u32>;
    /// #     type Cast = ();
    /// #     async fn init(number: u32, _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Ticket(number))
    /// #     }
    ///     async fn handle_call(&mut self, reply: Reply<u32>, ctx: &mut ServerContext<Self>) -> Result {
    ///         reply.send(self.0);
    ///         ctx.stop(ExitReason::Normal)
    ///     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let ticket = Ticket::start(&rt, 42).await?;
    /// assert_eq!(ticket.call(|reply| reply).await?, 42);
    /// assert_eq!(ticket.ended().await, ExitReason::Normal);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn stop<T>(&self, reason: ExitReason) -> Result<T> {
        Err(reason)
    }
}
