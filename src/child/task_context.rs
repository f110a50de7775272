//! What a plain async child is given.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::coop::consume_budget;
use crate::base::pid::Pid;
use crate::exit::reason::Result;
use crate::kernel::admission::NewProcess;
use crate::message::received::Received;
use crate::observe::health::Health;
use crate::process::{Link, LinkKind};
use crate::runtime::Runtime;
use crate::runtime::context::Context;
use crate::runtime::ended::ProcessHandle;
use crate::runtime::inside::{Inside, sealed};
use crate::runtime::spawn::fallible;
use crate::runtime::starting::StartCause;

/// The inside of a plain async child.
///
/// Such a child does not trap exits: when its supervisor stops it, it is dropped at its
/// next await. A child that has something to finish asks for
/// [`cancellation_token`](Self::cancellation_token) or awaits
/// [`shutdown`](Self::shutdown): from the first use on it is told instead, and has its
/// spec's shutdown time to end. Ask before the first await, or a stop that comes earlier
/// drops it still. OTP: `process_flag(trap_exit, true)` at the start of the child. A child
/// that was told so and returns `Ok(())` ended as told, with
/// [`Shutdown`](crate::ExitReason::Shutdown).
///
/// What is spawned by [`tokio::spawn`] is outside of the child: it outlives it, and its panic
/// is nobody's. [`spawn_link`](Self::spawn_link) is for what belongs to it; a task that can't
/// be spawned so, say by a library, can be given the token, which is cancelled at the latest
/// when the child has ended.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
/// // Without the token nothing after the `loop` would run: it would end in `recv`.
/// let writer = ChildSpec::task("writer", |mut ctx| async move {
///     let stop = ctx.cancellation_token();
///     told.send("writing")?;
///     loop {
///         tokio::select! {
///             () = stop.cancelled() => break,
///             item = ctx.recv() => drop(item), // … write it …
///         }
///     }
///     told.send("flushed")?;
///     Ok(())
/// });
/// let tree = Supervisor::one_for_one().child(writer).start(&rt).await?;
/// assert_eq!(hear.recv().await, Some("writing"));
/// tree.stop().await?;
/// assert_eq!(hear.recv().await, Some("flushed"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct TaskContext {
    context: Context,
    stop: Option<CancellationToken>,
    /// `None`: the first start, as for most.
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

    /// The pid of this process; the next incarnation has another.
    /// [`runtime`](Self::runtime) has an example.
    pub fn pid(&self) -> Pid {
        self.context.pid()
    }

    /// The runtime this process lives in.
    ///
    /// ```
    /// use regrow::{ChildSpec, Restart, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let child = ChildSpec::task("member", |mut ctx| async move {
    ///     ctx.runtime().register_tag("members", ctx.pid()); // each incarnation joins anew
    ///     drop(ctx.recv().await);
    ///     Ok(())
    /// });
    /// let tree = Supervisor::one_for_one().start(&rt).await?;
    /// let pid = tree.start_child(child.restart(Restart::Temporary)).await?;
    /// rt.send(pid, b"finish".to_vec());
    /// rt.ended(pid).await;
    /// assert!(rt.whereis_tag("members").is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn runtime(&self) -> Runtime {
        self.context.runtime()
    }

    /// Why it was started: the first time, or again, and after what. A task of a
    /// [`Task`](crate::Task) is always the first.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, StartCause, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    /// let import = ChildSpec::task("import", |mut ctx| async move {
    ///     told.send(ctx.start_cause().clone())?;
    ///     if ctx.start_cause().restarts() == 0 {
    ///         Err("the file is locked")?;
    ///     }
    ///     ctx.shutdown().await;
    ///     Ok(())
    /// });
    /// let _tree = Supervisor::one_for_one().child(import).start(&rt).await?;
    /// assert_eq!(hear.recv().await, Some(StartCause::First));
    /// let Some(StartCause::Restart { attempt, previous }) = hear.recv().await else { panic!() };
    /// assert_eq!((attempt, previous.to_string().as_str()), (1, "error: the file is locked"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn start_cause(&self) -> &StartCause {
        self.cause.as_deref().unwrap_or(&StartCause::First)
    }

    /// Takes the next item of the mailbox, as [`Context::recv`] does. With the token in use,
    /// the supervisor's exit is not among them. [`TaskContext`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a receive that is dropped has taken nothing.
    pub async fn recv(&mut self) -> Received {
        self.context.recv().await
    }

    /// The first item that `matches`, as [`Context::recv_match`], which has an example.
    ///
    /// # Panics
    ///
    /// As [`Context::recv_match`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a receive that is dropped has taken nothing.
    pub async fn recv_match(&mut self, matches: impl FnMut(&Received) -> bool) -> Received {
        self.context.recv_match(matches).await
    }

    /// The next item, or `None` if none came within `limit`, as [`Context::recv_timeout`],
    /// which has an example.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. Nothing is lost when the time is up.
    pub async fn recv_timeout(&mut self, limit: Duration) -> Option<Received> {
        self.context.recv_timeout(limit).await
    }

    /// Runs a future as a process that ends with this one, whatever its reason. When it ends
    /// normally, nothing happens. When it fails, this child ends with the same reason, also if
    /// it is told of exit signals by [`recv`](Self::recv): as if it had awaited the future in
    /// its own body, and beside everything else. OTP: `spawn_link/1`, where the normal end of
    /// the child would leave the other one behind.
    ///
    /// A child that is stopped may still use its helpers while it cleans up; they are dropped
    /// at their next await when it has ended.
    ///
    /// ```
    /// use regrow::{ChildSpec, Restart, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    /// let child = ChildSpec::task("reader", |mut ctx| async move {
    ///     let helper = ctx.spawn_link(std::future::pending()); // it ends with this child
    ///     ctx.spawn_link(async {
    ///         std::fs::read("/no/such/file")?; // and this child with it
    ///         Ok(())
    ///     });
    ///     told.send(helper)?;
    ///     ctx.shutdown().await;
    ///     Ok(())
    /// });
    /// let child = child.restart(Restart::Temporary);
    /// let _tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// let reason = hear.recv().await.unwrap().join().await;
    /// assert!(reason.crash().unwrap().downcast_ref::<std::io::Error>().is_some());
    /// assert_eq!(rt.process_count(), 1); // its supervisor
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn spawn_link<Fut>(&self, work: Fut) -> ProcessHandle
    where
        Fut: Future<Output = Result> + Send + 'static,
    {
        let runtime = self.runtime();
        let link = Link { id: runtime.kernel.fresh_id(), kind: LinkKind::Helper };
        let new_process = NewProcess { link: Some((self.pid(), link)), ..NewProcess::default() };
        runtime.launch(&new_process, fallible(|_| work))
    }

    /// Says how this child is doing, to whoever asks after the tree. [`Health`] has an example.
    pub fn set_health(&self, health: Health) {
        self.runtime().set_health(self.pid(), health);
    }

    /// A token that is cancelled when the supervisor asks this child to stop, or ends, and at
    /// the latest when this child has ended. To cancel it by hand is nobody else's stop.
    ///
    /// Turns trapping on at its first use, so from then on other exit signals arrive in
    /// [`recv`](Self::recv), as [`Received::Exit`]. [`TaskContext`] has an example.
    pub fn cancellation_token(&mut self) -> CancellationToken {
        self.stop().child_token()
    }

    /// Whether it was asked to stop by now. Turns trapping on at its first use, as
    /// [`cancellation_token`](Self::cancellation_token) does. For a long computation that
    /// yields now and then; [`BlockingContext::is_stopping`](crate::BlockingContext::is_stopping)
    /// has an example.
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

    /// Resolves when the supervisor asks this child to stop, or ends; at once, if it has. The
    /// same as awaiting [`cancellation_token`](Self::cancellation_token), for a child that
    /// receives nothing meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: ask again as often as you like.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    /// let lamp = ChildSpec::task("lamp", |mut ctx| async move {
    ///     told.send("on")?;
    ///     ctx.shutdown().await;
    ///     told.send("off")?;
    ///     Ok(())
    /// });
    /// let tree = Supervisor::one_for_one().child(lamp).start(&rt).await?;
    /// assert_eq!(hear.recv().await, Some("on"));
    /// tree.stop().await?;
    /// assert_eq!(hear.recv().await, Some("off"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
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
