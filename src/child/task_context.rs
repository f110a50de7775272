//! What a plain async child is given.

use std::fmt;

use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::inside::{Inside, sealed};
use crate::message::Received;
use crate::pid::Pid;
use crate::runtime::Runtime;

/// The inside of a plain async child.
///
/// Such a child does not trap exits: when its supervisor stops it, it is dropped at its
/// next await. A child that has something to finish asks for
/// [`cancellation_token`](Self::cancellation_token) or awaits
/// [`shutdown`](Self::shutdown): from the first use on it is told instead, and has its
/// spec's shutdown time to end. Ask before the first await, or a stop that comes earlier
/// drops it still. OTP: `process_flag(trap_exit, true)` at the start of the child.
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
}

impl TaskContext {
    pub(crate) fn new(context: Context) -> Self {
        TaskContext { context, stop: None }
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

    /// Takes the next item of the mailbox, as [`Context::recv`] does. With the token in use,
    /// the supervisor's exit is not among them. [`TaskContext`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a receive that is dropped has taken nothing.
    pub async fn recv(&mut self) -> Received {
        self.context.recv().await
    }

    /// A token that is cancelled when the supervisor asks this child to stop, or ends.
    /// Turns trapping on at its first use, so from then on other exit signals arrive in
    /// [`recv`](Self::recv), as [`Received::Exit`]. [`TaskContext`] has an example.
    pub fn cancellation_token(&mut self) -> CancellationToken {
        if let Some(token) = &self.stop {
            return token.clone();
        }
        let token = CancellationToken::new();
        self.context.stop_by(token.clone());
        self.stop.insert(token).clone()
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
        self.cancellation_token().cancelled().await;
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
