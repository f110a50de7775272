//! Stopping a server through its handle.
//!
//! The wait for the end begins before the request is queued, so the wait returns the true reason,
//! however soon and for whatever cause the server ends. A request stays queued after the time limit
//! has passed or the future was dropped: the server stops when it takes the request.

use std::sync::Arc;
use std::time::Duration;

use crate::base::consume_budget;
use crate::exit::{ExitReason, Result};
use crate::kernel::WaitEdge;
use crate::runtime::{CallError, Ended, within};
use crate::server::{GenServer, ServerItem, ServerRef, wait_edge};

impl<S: GenServer> ServerRef<S> {
    /// Stops the server with this reason, and waits until it has ended, however long that takes.
    /// The items that were queued before are handled first, and `terminate` runs. From the moment
    /// the request is queued, casts, messages and streams are refused. Returns the
    /// reason if the server ended with this reason. A permanent child is restarted. OTP:
    /// `gen_server:stop/1`. [`ServerRef`] has an example.
    ///
    /// # Errors
    ///
    /// * `Exited` with the true reason if the server has ended with another reason: `terminate`
    ///   panicked, the server was killed, or the server ended for another reason before it took the
    ///   request.
    /// * `NoProc` if the server is dead, or `NoHolder` if no process holds the name of the handle.
    /// * `CallingSelf` from one of the server's own handlers: return
    ///   [`ServerContext::stop`](crate::ServerContext::stop) there instead.
    /// * `Deadlock` if the server waits for the caller and [deadlock
    ///   detection](crate::Runtime::detect_deadlocks) is on.
    /// * By a named handle also `Restarting` and `WrongType`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after the request was queued, the server still stops.
    ///
    /// ```
    /// use regrow::{CallError, ExitReason};
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    ///
    /// struct Journal;
    ///
    /// impl GenServer for Journal {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = ();
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Journal)
    /// #     }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    ///     async fn terminate(&mut self, _: &ExitReason) {
    ///         panic!("the journal could not be written")
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let journal = Journal::start(&rt, ()).await?;
    /// let stopped = journal.stop(ExitReason::Shutdown).await;
    /// let Err(CallError::Exited(ExitReason::Crashed(crash))) = stopped else { panic!() };
    /// assert_eq!(crash.message(), "the journal could not be written");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn stop(&self, reason: ExitReason) -> Result<ExitReason, CallError> {
        consume_budget().await;
        let (ended, _waits) = self.ask_to_stop(&reason)?;
        as_asked(&reason, ended.await)
    }

    /// Stops the server as [`stop`](Self::stop) does, and waits no longer than `limit`. OTP:
    /// `gen_server:stop/3`.
    ///
    /// The deadline has no effect on the server: the server still stops when it takes the request,
    /// after the items that were queued before. A server that is stuck in a handler never takes the
    /// request. End such a server by [`Runtime::kill`](crate::Runtime::kill), as a supervisor does
    /// after the child's [shutdown time](crate::Shutdown).
    ///
    /// # Errors
    ///
    /// `Timeout` if the server has not ended within `limit`. Otherwise as [`stop`](Self::stop).
    ///
    /// # Cancel safety
    ///
    /// As [`stop`](Self::stop).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{CallError, ExitReason};
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # struct Stuck;
    /// # impl GenServer for Stuck {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = ();
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Stuck)
    /// #     }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         std::future::pending().await
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let stuck = Stuck::start(&rt, ()).await?;
    /// stuck.cast(()); // its handler awaits for ever
    /// let reason = match stuck.stop_timeout(ExitReason::Shutdown, Duration::from_secs(5)).await {
    ///     Err(CallError::Timeout) => {
    ///         let ended = stuck.ended();
    ///         rt.kill(stuck.pid().unwrap());
    ///         ended.await
    ///     }
    ///     stopped => stopped?,
    /// };
    /// assert_eq!(reason, ExitReason::Killed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn stop_timeout(
        &self,
        reason: ExitReason,
        limit: Duration,
    ) -> Result<ExitReason, CallError> {
        consume_budget().await;
        let (ended, _waits) = self.ask_to_stop(&reason)?;
        let ended = within(self.kernel(), limit, ended).await.ok_or_else(|| {
            self.kernel().counters.count_time_out();
            CallError::Timeout
        })?;
        as_asked(&reason, ended)
    }

    /// Queues the request, which no bound on the mailbox refuses.
    fn ask_to_stop(&self, reason: &ExitReason) -> Result<(Ended, Option<WaitEdge>), CallError> {
        let process = self.resolve()?;
        let waits = wait_edge(&process)?;
        let ended = Ended::of(&process.kernel, Some(Arc::clone(&process) as _));
        match process.send_stop(ServerItem::Stop(reason.clone()), reason) {
            true => Ok((ended, waits)),
            false => Err(self.refusal(&process)),
        }
    }
}

/// Returns the result of a stop: `Ok` if the server has ended with the requested reason.
fn as_asked(asked: &ExitReason, ended: ExitReason) -> Result<ExitReason, CallError> {
    if *asked == ended { Ok(ended) } else { Err(CallError::Exited(ended)) }
}
