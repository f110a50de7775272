//! The drain of a server that was asked to stop: it handles what is queued, within a limit.
//!
//! **Steps**
//! 1. [`drain_on_stop`](ServerContext::drain_on_stop) writes the limit into the record. From then
//!    on the exit of the parent is queued, as if the server trapped it.
//! 2. The step that queues the request to stop closes the mailbox for casts, messages and streams,
//!    writes the end of the drain and the reason of the stop into the record, and raises
//!    [`CHECK_SWITCHES`](crate::process::flag::CHECK_SWITCHES).
//! 3. Before each wait, a server whose bit is set checks the time. If the drain is over, the server
//!    stops with the reason of the request. Otherwise it sets the bit again and goes on, until it
//!    takes the request itself, which is queued behind everything that it drains.
//!
//! A handler that runs when the drain is over is not dropped: the server stops when the handler has
//! returned, or is killed when its shutdown time is over.

use std::time::Duration;

use tokio::time::Instant;

use crate::exit::ExitReason;
use crate::process::{AnyProcess, Drain, flag};
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Lets this server finish its queue when its supervisor or [`ServerRef::stop`] asks it to
    /// stop: for at most `limit` the server handles what is queued, then `terminate` runs. Call
    /// this in `init`. A later call replaces the limit. OTP has no counterpart.
    ///
    /// Returns false, and changes nothing, if the server has been asked to stop already: a drain
    /// begins with the request, and so does its limit.
    ///
    /// From the request on, casts, messages and streams are refused, so the queue only shrinks.
    /// Calls are still accepted; those that were made after the request get
    /// [`Exited`](crate::CallError::Exited). What is left when the limit has passed is counted by
    /// [`LeftUnhandled`](crate::LifecycleEvent::LeftUnhandled).
    ///
    /// The exit of the parent is treated as if the server [trapped](Self::trap_exit) it: without
    /// this method, a server that does not trap exits ends at its next await. Exits of other
    /// processes, a kill, and an `Err` of a handler end the server without a drain. The shutdown
    /// time of the child specification, by default five seconds, still holds: choose a limit that
    /// leaves time for `terminate`. A handler that is running at the limit is finished.
    ///
    /// With a limit of zero, nothing that is queued is handled. With [`Duration::MAX`] there is no
    /// limit but the shutdown time.
    ///
    /// [`ServerRef::stop`]: crate::ServerRef::stop
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use std::time::Duration;
    /// use regrow::Supervisor;
    ///
    /// /// Writes each line to a slow disk.
    /// struct Journal(tokio::sync::mpsc::UnboundedSender<String>);
    /// # impl GenServer for Journal {
    /// #     type Args = tokio::sync::mpsc::UnboundedSender<String>;
    /// #     type Call = Reply<()>;
    /// #     type Cast = String;
    ///
    /// // … of its `GenServer`:
    /// async fn init(disk: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.drain_on_stop(Duration::from_secs(4)); // of the five seconds of its shutdown time
    ///     Ok(Journal(disk))
    /// }
    /// async fn handle_cast(&mut self, line: String, _: &mut ServerContext<Self>) -> Result {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    ///     Ok(self.0.send(line)?)
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (disk, mut written) = tokio::sync::mpsc::unbounded_channel();
    /// let tree = Supervisor::one_for_one().child(Journal::child(disk).named("journal"));
    /// let tree = tree.start(&rt).await?;
    /// let journal = rt.server::<Journal>("journal");
    /// (0..1_000).for_each(|n| assert!(journal.cast(format!("line {n}"))));
    /// tree.stop().await?;
    /// let mut lines = 0;
    /// while written.recv().await.is_some() {
    ///     lines += 1;
    /// }
    /// assert_eq!((lines, rt.unhandled_messages()), (1_000, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn drain_on_stop(&mut self, limit: Duration) -> bool {
        let process: &dyn AnyProcess = &*self.process;
        process.with(|locked| {
            let core = locked.core();
            if core.is_stopping() {
                return false;
            }
            let drain = &mut core.registrations_mut().drain;
            match drain {
                Some(drain) => drain.limit = limit,
                None => *drain = Some(Box::new(Drain { limit, stop: None })),
            }
            true
        })
    }
}

/// Whether the drain of a server is over. While it lasts, the check is repeated before the next wait.
pub(super) fn is_drain_over(process: &dyn AnyProcess) -> bool {
    let due = process.with(|locked| {
        let drain = locked.core().registrations()?.drain.as_ref()?;
        drain.stop.as_ref().map(|(due, _)| *due)
    });
    let Some(due) = due else { return false };
    if Instant::now() >= due {
        return true;
    }
    process.raise(flag::CHECK_SWITCHES);
    false
}

/// The reason with which a server stops whose drain is over.
pub(super) fn drain_reason(process: &dyn AnyProcess) -> ExitReason {
    let reason = process.with(|locked| {
        let drain = locked.core().registrations()?.drain.as_ref()?;
        drain.stop.as_ref().map(|(_, reason)| reason.clone())
    });
    reason.unwrap_or(ExitReason::Shutdown)
}
