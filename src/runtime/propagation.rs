//! The switch that makes deadlines travel with calls.

use crate::runtime::Runtime;

impl Runtime {
    /// Turns the propagation of deadlines on or off; by default it is off, and then it costs
    /// nothing. While it is on, a call that a handler makes while it handles a call gets no more
    /// time than the caller of that call has left:
    ///
    /// * The limit of the call is the shorter one of its own limit and of the time left. So a
    ///   [`call_unlimited`](crate::ServerRef::call_unlimited) is limited too, and so are the calls
    ///   by which a handler starts and stops children of a supervisor.
    /// * If no time is left, the call fails at once, and is not sent.
    /// * The handler can read the time left, from [`Reply::deadline`](crate::Reply::deadline) or
    ///   [`ServerContext::deadline`](crate::ServerContext::deadline).
    /// * A time-out that involves more than one call is a
    ///   [`CallError::ChainTimeout`](crate::CallError::ChainTimeout), which names the processes:
    ///   the first caller sees which server it waited for in the end. Both deadlines pass at the same
    ///   time, so the first caller may also get the time-out as the answer of a server that passes it
    ///   on.
    ///
    /// Only what a handler awaits itself has the deadline. Casts, the processes and tasks that a
    /// handler starts, and calls that are made for a reply after its handler has returned, have
    /// none, unless it is [handed on](crate::CallDeadline::hand_on). A call between two `Runtime`s
    /// begins a chain of its own. The deadline does not end a handler: a handler that does long
    /// work without calls may check [`Reply::is_awaited`](crate::Reply::is_awaited), which is false
    /// once the caller has gone. A call that is taken from the mailbox after its deadline is
    /// handled, but its own calls fail at once.
    ///
    /// While propagation is on, each call makes three more allocations and takes the lock of the
    /// called server twice more. The switch applies to calls that are made later. OTP has no
    /// counterpart; gRPC does the same between services.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{CallError, GenServer, Reply, Result, Runtime, ServerContext, ServerRef};
    ///
    /// type Answer = Result<(), CallError>;
    ///
    /// /// Asks the next server; the last one never answers.
    /// struct Link(Option<ServerRef<Link>>);
    ///
    /// impl GenServer for Link {
    /// #     type Args = Option<ServerRef<Link>>;
    ///     type Call = Reply<Answer>;
    /// #     type Cast = ();
    /// #     async fn init(next: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Link(next))
    /// #     }
    ///     async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
    ///         match &self.0 {
    ///             Some(next) => reply.send(next.call(|reply| reply).await.and_then(|answer| answer)),
    ///             None => std::future::pending().await,
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.propagate_deadlines(true);
    /// let store = Link::spec(None).named("store").start(&rt).await?;
    /// let front = Link::spec(Some(store)).named("front").start(&rt).await?;
    ///
    /// let (start, second) = (tokio::time::Instant::now(), Duration::from_secs(1));
    /// let answer = front.call_timeout(|reply| reply, second).await.and_then(|answer| answer);
    /// let text = answer.unwrap_err().to_string();
    /// assert!(text.starts_with("code outside of processes called front #2 called store #1"));
    ///
    /// // The front did not wait for five seconds: it is free again.
    /// let answer = front.call_timeout(|reply| reply, second).await.and_then(|answer| answer);
    /// assert!(answer.is_err_and(|error| error.is_timeout()));
    /// assert_eq!(start.elapsed(), 2 * second);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn propagate_deadlines(&self, on: bool) {
        self.kernel.waits.switches.propagate_deadlines(on);
    }
}
