//! Stopping a server from outside.
//!
//! The wait is made before the request is queued, so it knows the true reason however soon
//! the server ends, for whatever cause. A request that is left behind, because its time was
//! up or its future was dropped, stays queued: the server stops when it comes to it.

use std::sync::Arc;
use std::time::Duration;

use crate::base::coop::consume_budget;
use crate::exit::reason::{ExitReason, Result};
use crate::kernel::wait_graph::WaitEdge;
use crate::runtime::Runtime;
use crate::runtime::deadline::within;
use crate::runtime::ended::Ended;
use crate::runtime::errors::call_error::CallError;
use crate::server::handle::request::{refuse_self, wait_edge};
use crate::server::item::ServerItem;
use crate::server::{GenServer, ServerRef};

impl<S: GenServer> ServerRef<S> {
    /// Stops the server with this reason, and waits until it has ended, however long that
    /// takes: what was queued before is handled, and its `terminate` has run by then. Returns
    /// the reason if the server ended with it. A permanent child is started again. OTP:
    /// `gen_server:stop/1`. [`ServerRef`] has an example.
    ///
    /// # Errors
    ///
    /// `Exited` with the true reason if it ended with another: its `terminate` panicked, it was
    /// killed meanwhile, or it ended by itself before it came to the request. It is gone then, too.
    /// `NoProc` if it is dead, `CallingSelf` from one of its own handlers: return
    /// [`ServerContext::stop`] there instead; `Deadlock` if the server waits for the caller,
    /// where that is [looked for](crate::Runtime::detect_deadlocks). Of a named handle also
    /// `Restarting` and `WrongType`.
    ///
    /// # Cancel safety
    ///
    /// A stop that is dropped stops waiting; the server still stops.
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
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let journal = Journal::start(&rt, ()).await?;
    /// let stopped = journal.stop(ExitReason::Shutdown).await;
    /// let Err(CallError::Exited(ExitReason::Crashed(crash))) = stopped else { panic!() };
    /// assert_eq!(crash.message(), "the journal could not be written");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn stop(&self, reason: ExitReason) -> Result<ExitReason, CallError> {
        consume_budget().await;
        let (ended, _waits) = self.ask_to_stop(reason.clone())?;
        as_asked(&reason, ended.await)
    }

    /// The same, waiting no longer than `limit`. OTP: `gen_server:stop/3`.
    ///
    /// At the deadline nothing is done to the server: it still stops when it comes to the
    /// request, after what was queued before. One that is stuck in a handler never comes to
    /// it, and is ended by [`Runtime::kill`], as a supervisor does after its
    /// [shutdown time](crate::Shutdown).
    ///
    /// # Errors
    ///
    /// `Timeout` if it has not ended by then; else as [`stop`](Self::stop): `Exited` if it ended in
    /// time with another reason.
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
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let stuck = Stuck::start(&rt, ()).await?;
    /// stuck.cast(()); // it awaits for ever in there
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
    /// # }).unwrap();
    /// ```
    pub async fn stop_timeout(
        &self,
        reason: ExitReason,
        limit: Duration,
    ) -> Result<ExitReason, CallError> {
        consume_budget().await;
        let (ended, _waits) = self.ask_to_stop(reason.clone())?;
        let ended = within(self.kernel(), limit, ended).await.ok_or(CallError::Timeout)?;
        as_asked(&reason, ended)
    }

    /// Queues the request; no bound on the mailbox refuses it.
    fn ask_to_stop(&self, reason: ExitReason) -> Result<(Ended, Option<WaitEdge>), CallError> {
        let process = self.resolve()?;
        let caller = refuse_self(&process)?;
        let waits = wait_edge(&process, caller)?;
        let runtime = Runtime { kernel: process.kernel.clone() };
        let ended = Ended::of(&runtime, Some(Arc::clone(&process) as _));
        match process.send(ServerItem::Stop(reason)) {
            Ok(()) => Ok((ended, waits)),
            Err((refused, _)) => {
                drop(refused);
                Err(self.refusal(&process))
            }
        }
    }
}

/// What a stop with this reason gives, of a server that ended with that one.
fn as_asked(asked: &ExitReason, ended: ExitReason) -> Result<ExitReason, CallError> {
    if *asked == ended { Ok(ended) } else { Err(CallError::Exited(ended)) }
}
