//! What a server does next without a message: `continue_with`, the idle time-out and the stop from
//! one of its handlers.

use std::time::Duration;

use crate::exit::{ExitReason, Result};
use crate::server::context::continues::Continued;
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Makes `handle_cast` handle this cast next, before every queued item. A cast that is given in
    /// `init` is handled before the first message. Several casts are handled in the order in which
    /// they were given. OTP: `{continue, Term}`.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// struct Loader(Vec<&'static str>);
    /// # impl GenServer for Loader {
    /// #     type Args = ();
    /// #     type Call = Reply<Vec<&'static str>>;
    /// #     type Cast = &'static str;
    ///
    /// // … of its `GenServer`: the start returns at once, and "load" is handled first.
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.continue_with("load");
    ///     Ok(Loader(Vec::new()))
    /// }
    /// #     async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0.clone());
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, what: &'static str, _: &mut ServerContext<Self>) -> Result {
    /// #         self.0.push(what);
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let loader = Loader::start(&rt, ()).await?;
    /// loader.cast("the first message");
    /// assert_eq!(loader.call(|reply| reply).await?, ["load", "the first message"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn continue_with(&mut self, cast: S::Cast) {
        let metadata = self.process.kernel.captured_for_later();
        self.inner().extras().push_continued(Continued::Cast(cast, metadata));
    }

    /// Makes `handle_timeout` run if no message comes within `limit` after the end of this handler.
    /// Each message cancels the time-out, and the message's handler may set a new one;
    /// [`idle_after`](Self::idle_after) sets one that each message arms again, and says what
    /// does not count as a message. A message that is already queued takes precedence over a zero
    /// limit. OTP: the time-out in a callback's result, which a system message restarts.
    ///
    /// A busy server is never idle. Use [`cast_after`](Self::cast_after) for work that must happen
    /// at a certain time.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use std::time::Duration;
    /// use regrow::ExitReason;
    ///
    /// struct Session;
    /// # impl GenServer for Session {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = ();
    ///
    /// // … of its `GenServer`:
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.idle_timeout(Duration::from_secs(60));
    ///     Ok(Session)
    /// }
    /// async fn handle_call(&mut self, reply: Reply<()>, ctx: &mut ServerContext<Self>) -> Result {
    ///     reply.send(());
    ///     ctx.idle_timeout(Duration::from_secs(60));
    ///     Ok(())
    /// }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
    ///     Err(ExitReason::Shutdown)
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let session = Session::start(&rt, ()).await?;
    /// tokio::time::advance(Duration::from_secs(50)).await;
    /// session.call(|reply| reply).await?;
    /// assert_eq!(session.ended().await, ExitReason::Shutdown);
    /// assert_eq!(start.elapsed().as_secs(), 110);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn idle_timeout(&mut self, limit: Duration) {
        self.inner().extras().idle.set(limit, false);
    }

    /// Makes `handle_timeout` run each time that no message has come for `limit`. Each message
    /// starts the time anew, from the end of its handler; the handler need not set it again. After
    /// `handle_timeout` the time-out is off until the next message, so it runs once for each idle
    /// period. OTP has no counterpart: a time-out there has to be returned by every callback.
    ///
    /// Activity is every item for which one of this server's own handlers runs: calls, casts,
    /// messages and signals, also those of its own timers and tasks. These are no activity, and
    /// leave the time-out as it is: an item that a default handler drops, an item whose handler
    /// calls [`keep_idle_timeout`](Self::keep_idle_timeout), a request such as
    /// [`get_status`](crate::ServerRef::get_status) or [`peek`](crate::ServerRef::peek), and a
    /// cast given to [`continue_with`](Self::continue_with), which belongs to the handler before it.
    ///
    /// Replaces an earlier time-out; [`idle_timeout`](Self::idle_timeout) and
    /// [`cancel_idle_timeout`](Self::cancel_idle_timeout) end it. With a limit of zero,
    /// `handle_timeout` runs each time that the mailbox has become empty; a limit of
    /// [`Duration::MAX`] never elapses.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use std::time::Duration;
    /// use regrow::ExitReason;
    ///
    /// struct Session;
    /// # impl GenServer for Session {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = ();
    ///
    /// // … of its `GenServer`: the session ends after a minute without a call.
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.idle_after(Duration::from_secs(60));
    ///     Ok(Session)
    /// }
    /// async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    ///     reply.send(());
    ///     Ok(())
    /// }
    /// async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
    ///     Err(ExitReason::Shutdown)
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let session = Session::start(&rt, ()).await?;
    /// tokio::time::advance(Duration::from_secs(50)).await;
    /// session.call(|reply| reply).await?;
    /// tokio::time::advance(Duration::from_secs(50)).await;
    /// rt.send(session.pid().unwrap(), b"stray".to_vec()); // dropped, and no activity
    /// assert_eq!(session.ended().await, ExitReason::Shutdown);
    /// assert_eq!(start.elapsed().as_secs(), 110);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn idle_after(&mut self, limit: Duration) {
        self.inner().extras().idle.set(limit, true);
    }

    /// Declares that the item being handled is no activity: the idle time-out goes on as if the
    /// item had not come, and elapses at the time at which it would have elapsed. Call this in a
    /// handler that ignores a stray message, or that handles a tick of the server's own timer. The
    /// default handlers do so. Changes nothing if no time-out is set.
    ///
    /// A handler that runs past that time is followed by `handle_timeout`, unless a message is
    /// queued.
    ///
    /// ```
    /// # use regrow::{GenServer, Result, Runtime, ServerContext};
    /// use std::time::Duration;
    /// use regrow::ExitReason;
    /// use tokio::time::MissedTickBehavior;
    ///
    /// struct Session;
    /// # impl GenServer for Session {
    /// #     type Args = ();
    /// #     type Call = std::convert::Infallible;
    /// #     type Cast = ();
    ///
    /// // … of its `GenServer`: its own ticks do not keep the session alive.
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.cast_every(Duration::from_secs(1), MissedTickBehavior::Skip, || ());
    ///     ctx.idle_after(Duration::from_secs(60));
    ///     Ok(Session)
    /// }
    /// async fn handle_cast(&mut self, (): (), ctx: &mut ServerContext<Self>) -> Result {
    ///     ctx.keep_idle_timeout();
    ///     Ok(())
    /// }
    /// async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
    ///     Err(ExitReason::Shutdown)
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let session = Session::start(&rt, ()).await?;
    /// assert_eq!(session.ended().await, ExitReason::Shutdown);
    /// assert_eq!(start.elapsed().as_secs(), 60);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn keep_idle_timeout(&mut self) {
        if let Some(extras) = &mut self.inner().extras {
            extras.idle.keep();
        }
    }

    /// Turns the idle time-out off, whichever of [`idle_timeout`](Self::idle_timeout) and
    /// [`idle_after`](Self::idle_after) has set it. Changes nothing if none is set.
    pub fn cancel_idle_timeout(&mut self) {
        if let Some(extras) = &mut self.inner().extras {
            extras.idle.clear();
        }
    }

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
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let ticket = Ticket::start(&rt, 42).await?;
    /// assert_eq!(ticket.call(|reply| reply).await?, 42);
    /// assert_eq!(ticket.ended().await, ExitReason::Normal);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn stop<T>(&self, reason: ExitReason) -> Result<T> {
        Err(reason)
    }
}
