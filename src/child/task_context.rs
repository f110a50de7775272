//! The context of a plain async child.

use std::fmt;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::{Pid, consume_budget};
use crate::exit::{ExitReason, Result, Scope};
use crate::kernel::NewProcess;
use crate::message::Received;
use crate::observe::Health;
use crate::process::{Link, LinkRole};
use crate::runtime::{Context, Inside, ProcessHandle, Runtime, StartCause, fallible, sealed};

/// The context of a plain async child: its pid, its mailbox and its stop signal.
///
/// **Stopping.** By default a child does not trap exits: a stop by the supervisor drops the child
/// at its next await. A child that has work to finish calls
/// [`cancellation_token`](Self::cancellation_token) or awaits [`shutdown`](Self::shutdown). After
/// the first use of one of them, a stop cancels the token instead of dropping the child, which then
/// has the shutdown time of its specification to end. Make this first use before the first await of
/// the child: an earlier stop still drops the child. A child that was asked to stop by the token
/// and returns `Ok(())` ends with [`Shutdown`](crate::ExitReason::Shutdown). OTP:
/// `process_flag(trap_exit, true)` at the start of the child.
///
/// **Spawning.** A task of [`tokio::spawn`] is not part of the child: it outlives the child, and
/// its panic has no effect on the child. Use [`spawn_link`](Self::spawn_link) for a task that
/// belongs to the child. A task that must be spawned in another way, for example by a library, can
/// wait for the token, which is cancelled at the latest when the child has ended.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
/// // Without the token a stop would drop the child in `recv`, and it would not flush.
/// let writer = ChildSpec::task("writer", |mut ctx| async move {
///     let stop = ctx.cancellation_token();
///     sender.send("writing")?;
///     loop {
///         tokio::select! {
///             () = stop.cancelled() => break,
///             item = ctx.recv() => drop(item), // … write it …
///         }
///     }
///     sender.send("flushed")?;
///     Ok(())
/// });
/// let tree = Supervisor::one_for_one().child(writer).start(&rt).await?;
/// assert_eq!(receiver.recv().await, Some("writing"));
/// tree.stop().await?;
/// assert_eq!(receiver.recv().await, Some("flushed"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct TaskContext {
    context: Context,
    stop: Option<CancellationToken>,
    /// `None` for the first start, the most frequent case.
    cause: Option<Box<StartCause>>,
}

impl TaskContext {
    pub(crate) fn new(context: Context) -> Self {
        TaskContext { context, stop: None, cause: None }
    }

    pub(crate) fn with_cause(mut self, cause: StartCause) -> Self {
        self.cause = (cause.restarts() > 0).then(|| Box::new(cause));
        self
    }

    /// Returns the pid of this process; the next incarnation has another pid.
    /// [`runtime`](Self::runtime) has an example.
    pub fn pid(&self) -> Pid {
        self.context.pid()
    }

    /// Returns the runtime of this process.
    ///
    /// ```
    /// use regrow::{ChildSpec, Restart, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let child = ChildSpec::task("member", |mut ctx| async move {
    ///     ctx.runtime().register_tag("members", ctx.pid()); // each incarnation joins again
    ///     drop(ctx.recv().await);
    ///     Ok(())
    /// });
    /// let tree = Supervisor::one_for_one().start(&rt).await?;
    /// let pid = tree.start_child(child.restart(Restart::Temporary)).await?;
    /// rt.send(pid, b"finish".to_vec());
    /// rt.ended(pid).await;
    /// assert!(rt.whereis_tag("members").is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn runtime(&self) -> Runtime {
        self.context.runtime()
    }

    /// Returns why the child was started: for the first time, or again, and after which exit. In a
    /// [`Task`](crate::Task) this is always [`StartCause::First`].
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, StartCause, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    /// let import = ChildSpec::task("import", |mut ctx| async move {
    ///     sender.send(ctx.start_cause().clone())?;
    ///     if ctx.start_cause().restarts() == 0 {
    ///         Err("the file is locked")?;
    ///     }
    ///     ctx.shutdown().await;
    ///     Ok(())
    /// });
    /// let _tree = Supervisor::one_for_one().child(import).start(&rt).await?;
    /// assert_eq!(receiver.recv().await, Some(StartCause::First));
    /// let Some(StartCause::Restart { attempt, previous }) = receiver.recv().await else { panic!() };
    /// assert_eq!((attempt, previous.to_string().as_str()), (1, "error: the file is locked"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn start_cause(&self) -> &StartCause {
        self.cause.as_deref().unwrap_or(&StartCause::First)
    }

    /// Receives the next item of the mailbox, as [`Context::recv`] does. After the first use of the
    /// token, this method does not receive the supervisor's exit signal. [`TaskContext`] has an
    /// example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future leaves all items in the mailbox.
    pub fn recv(&mut self) -> impl Future<Output = Received> + Send {
        self.context.recv()
    }

    /// Receives the first item that `matches`, as [`Context::recv_match`] does, which has an
    /// example.
    ///
    /// # Panics
    ///
    /// As [`Context::recv_match`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future leaves all items in the mailbox.
    pub async fn recv_match(&mut self, matches: impl FnMut(&Received) -> bool) -> Received {
        self.context.recv_match(matches).await
    }

    /// Receives the next item, or returns `None` if no item arrives within `limit`, as
    /// [`Context::recv_timeout`] does, which has an example.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. No item is lost when the time is over.
    pub async fn recv_timeout(&mut self, limit: Duration) -> Option<Received> {
        self.context.recv_timeout(limit).await
    }

    /// Runs a future as a helper process that ends with this child, whatever the child's exit
    /// reason.
    ///
    /// A normal end of the helper has no effect. If the helper fails, this child ends with the same
    /// reason, even if it traps exits, as if the child had awaited the future in its body. A child
    /// that is being stopped may still use its helpers while it cleans up. Helpers are dropped at
    /// their next await when the child has ended.
    ///
    /// OTP: `spawn_link/1`, where a normal end of the child leaves the other process running.
    ///
    /// ```
    /// use regrow::{ChildSpec, Restart, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    /// let child = ChildSpec::task("reader", |mut ctx| async move {
    ///     let helper = ctx.spawn_link(std::future::pending()); // ends with this child
    ///     ctx.spawn_link(async {
    ///         std::fs::read("/no/such/file")?; // fails, and so ends the child
    ///         Ok(())
    ///     });
    ///     sender.send(helper)?;
    ///     ctx.shutdown().await;
    ///     Ok(())
    /// });
    /// let child = child.restart(Restart::Temporary);
    /// let _tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// let reason = receiver.recv().await.unwrap().join().await;
    /// assert!(reason.crash().unwrap().downcast_ref::<std::io::Error>().is_some());
    /// assert_eq!(rt.process_count(), 1); // only the supervisor is left
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn spawn_link<Fut>(&self, work: Fut) -> ProcessHandle
    where
        Fut: Future<Output = Result> + Send + 'static,
    {
        let runtime = self.runtime();
        let link = Link::active(runtime.kernel.fresh_id(), LinkRole::Helper);
        let new_process = NewProcess { link: Some((self.pid(), link)), ..NewProcess::default() };
        runtime.launch(&new_process, fallible(|_| work))
    }

    /// Returns a reason for an end after which this child is not restarted, whatever its
    /// [`Restart`](crate::Restart) type: for an error that a restart can't mend. `reason` is an
    /// error, a text or another [`ExitReason`]. `?` and [`ExitReason::into_error`] pass the reason
    /// on, also inside of other errors.
    ///
    /// The child stays known to a [`Supervisor`](crate::Supervisor) as
    /// [given up](crate::ChildState::GivenUp), and a dynamic supervisor removes it. The reason has
    /// this effect only as the end of the process that made it.
    ///
    /// ```
    /// use regrow::{ChildSpec, ChildState, Result, Runtime, Supervisor, TaskContext};
    ///
    /// async fn license(ctx: TaskContext) -> Result {
    ///     Err(ctx.give_up("the license has expired"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let child = ChildSpec::task("license", license); // permanent
    /// let tree = Supervisor::one_for_one().start(&rt).await?;
    /// rt.ended(tree.start_child(child).await?).await;
    /// assert_eq!(tree.which_child("license").await?.state, ChildState::GivenUp);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    #[must_use = "the process ends with it in an `Err`"]
    pub fn give_up<E: Into<ExitReason> + 'static>(&self, reason: E) -> ExitReason {
        self.runtime().no_restart(self.pid(), Scope::Child, reason)
    }

    /// Returns a reason for an end after which the whole tree ends: each supervisor from the child's
    /// own up to the root stops its children and ends with
    /// [`RestartLimitReached`](crate::RestartLimitReached), and none of them is restarted. After a
    /// clean `reason`, for example [`Normal`](ExitReason::Normal), all these ends are clean, and
    /// [`Run`](crate::Run) counts the tree as ended. Otherwise as [`give_up`](Self::give_up).
    /// [`NoRestart`](crate::NoRestart) has an example.
    #[must_use = "the process ends with it in an `Err`"]
    pub fn end_tree<E: Into<ExitReason> + 'static>(&self, reason: E) -> ExitReason {
        self.runtime().no_restart(self.pid(), Scope::Tree, reason)
    }

    /// Sets the health of this child, which snapshots of the tree show. [`Health`] has an example.
    pub fn set_health(&self, health: Health) {
        self.runtime().set_health(self.pid(), health);
    }

    /// Reports that this child is well. Does nothing unless its specification
    /// [requires heartbeats](crate::ChildSpec::heartbeat), which has an example.
    pub fn heartbeat(&self) {
        self.runtime().heartbeat(self.pid());
    }

    /// Returns a token that is cancelled when the supervisor asks this child to stop, or ends, and
    /// at the latest when this child has ended. Cancelling the token by hand affects only code that
    /// waits for this token or its clones.
    ///
    /// The first use makes the child trap exits: afterwards, other exit signals arrive in
    /// [`recv`](Self::recv), as [`Received::Exit`]. [`TaskContext`] has an example.
    pub fn cancellation_token(&mut self) -> CancellationToken {
        self.stop().child_token()
    }

    /// Returns whether this child was asked to stop. Use it in a long computation that yields
    /// sometimes. The first use makes the child trap exits, as the first use of
    /// [`cancellation_token`](Self::cancellation_token) does.
    /// [`BlockingContext::is_stopping`](crate::BlockingContext::is_stopping) has an example.
    pub fn is_stopping(&mut self) -> bool {
        self.stop().is_cancelled()
    }

    fn stop(&mut self) -> &CancellationToken {
        self.stop.get_or_insert_with(|| {
            let token = CancellationToken::new();
            self.context.stop_by(token.clone());
            token
        })
    }

    /// Resolves when the supervisor asks this child to stop, or ends; at once if that has already
    /// happened. For a child that has nothing else to wait for, this replaces awaiting the
    /// [`cancellation_token`](Self::cancellation_token).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the method can be called any number of times.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    /// let lamp = ChildSpec::task("lamp", |mut ctx| async move {
    ///     sender.send("on")?;
    ///     ctx.shutdown().await;
    ///     sender.send("off")?;
    ///     Ok(())
    /// });
    /// let tree = Supervisor::one_for_one().child(lamp).start(&rt).await?;
    /// assert_eq!(receiver.recv().await, Some("on"));
    /// tree.stop().await?;
    /// assert_eq!(receiver.recv().await, Some("off"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn shutdown(&mut self) {
        consume_budget().await;
        self.stop().cancelled().await;
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskContext({})", self.pid())
    }
}

impl sealed::Sealed for TaskContext {}

impl Inside for TaskContext {
    fn pid(&self) -> Pid {
        TaskContext::pid(self)
    }

    fn runtime(&self) -> Runtime {
        TaskContext::runtime(self)
    }
}
