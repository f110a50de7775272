//! The context of a blocking child, and the blocking waits in that context.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::Pid;
use crate::exit::{ExitReason, Scope};
use crate::message::Received;
use crate::observe::Health;
use crate::runtime::{Context, Inside, Runtime, StartCause, sealed, within};
use crate::time::deadline_pool::blocking_wait::wait;

/// The context of a blocking child, the argument of the function of [`ChildSpec::blocking`].
///
/// **Stopping.** The child should stop when its supervisor stops it or has ended, and when it was
/// killed. Every wait in this context then returns at once. Another exit signal also asks the child
/// to stop, and its reason becomes the exit reason of the child, as for any process that does not
/// [trap](Runtime::set_trap_exit) exits.
///
/// **Time limits** use the clock of the runtime's tokio, which may be paused. If that tokio is
/// blocked or has shut down, the limits use the system's clock.
///
/// **Spawning.** The thread has entered the tokio runtime, so [`tokio::spawn`] works. A task that
/// is spawned this way is not part of the child, and does not end with it.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, Received, Restart, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
/// let shout = ChildSpec::blocking("shout", move |mut ctx| {
///     while let Some(Received::Message(text)) = ctx.recv() {
///         sender.send(text.len())?; // … something slow and blocking …
///     }
///     assert!(ctx.is_stopping());
///     Ok(())
/// });
/// let tree = Supervisor::one_for_one().child(shout.restart(Restart::Transient)).start(&rt).await?;
/// let pid = tree.which_child("shout").await?.pid().unwrap();
/// assert!(rt.send(pid, b"hey".to_vec()));
/// assert_eq!(receiver.recv().await, Some(3));
/// let ended = rt.ended(pid);
/// tree.stop().await?;
/// assert!(ended.await.is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// [`ChildSpec::blocking`]: crate::ChildSpec::blocking
pub struct BlockingContext {
    context: Context,
    stop: CancellationToken,
    cause: StartCause,
}

impl BlockingContext {
    pub(crate) fn new(context: Context, stop: CancellationToken, cause: StartCause) -> Self {
        BlockingContext { context, stop, cause }
    }

    /// Returns the pid of this process; the next incarnation has another pid.
    /// [`TaskContext::runtime`](crate::TaskContext::runtime) has an example.
    pub fn pid(&self) -> Pid {
        self.context.pid()
    }

    /// Returns the runtime of this process. [`TaskContext::runtime`](crate::TaskContext::runtime)
    /// has an example.
    pub fn runtime(&self) -> Runtime {
        self.context.runtime()
    }

    /// Returns why the child was started: for the first time, or again, and after which exit.
    /// [`TaskContext::start_cause`](crate::TaskContext::start_cause) has an example.
    pub fn start_cause(&self) -> &StartCause {
        &self.cause
    }

    /// Returns a reason for an end after which this child is not restarted, whatever its
    /// [`Restart`](crate::Restart) type: for an error that a restart can't mend. `reason` is an
    /// error, a text or another [`ExitReason`]. `?` and [`ExitReason::into_error`] pass the reason
    /// on, also inside of other errors.
    ///
    /// The child stays known to a [`Supervisor`](crate::Supervisor) as
    /// [given up](crate::ChildState::GivenUp), and a dynamic supervisor removes it. The reason has
    /// this effect only as the end of the process that made it.
    /// [`TaskContext::give_up`](crate::TaskContext::give_up) has an example.
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
    /// [requires heartbeats](crate::ChildSpec::heartbeat), which has an example. A child that is
    /// ended for a missing heartbeat leaves its thread behind, as after a kill.
    pub fn heartbeat(&self) {
        self.runtime().heartbeat(self.pid());
    }

    /// Returns whether the child should stop. The check is cheap, so call it often.
    /// [`BlockingContext`] has an example.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Sleeps for `limit`, or until the child should stop. Returns whether the child should stop.
    /// [`ChildSpec::blocking`](crate::ChildSpec::blocking) has an example.
    #[must_use = "it says whether to stop"]
    pub fn wait_stop(&self, limit: Duration) -> bool {
        let kernel = self.runtime().kernel;
        wait(within(&kernel, limit, pin!(self.stop.cancelled()))).is_some()
    }

    /// Waits for the next item of the mailbox. Returns `None` when the child should stop, even if
    /// items are queued. [`BlockingContext`] has an example.
    pub fn recv(&mut self) -> Option<Received> {
        wait(or_stop(&self.stop, self.context.recv()))
    }

    /// Waits for the next item of the mailbox. Returns `None` if no item arrives within `limit`, or
    /// if the child should stop.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    /// let poller = ChildSpec::blocking("poller", move |mut ctx| {
    ///     while !ctx.is_stopping() {
    ///         match ctx.recv_timeout(Duration::from_millis(1)) {
    ///             None if ctx.is_stopping() => break,
    ///             None => sender.send("timeout")?,
    ///             Some(item) => drop(item),
    ///         }
    ///     }
    ///     Ok(())
    /// });
    /// let tree = Supervisor::one_for_one().child(poller).start(&rt).await?;
    /// assert_eq!(receiver.recv().await, Some("timeout"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn recv_timeout(&mut self, limit: Duration) -> Option<Received> {
        let kernel = self.runtime().kernel;
        let received = pin!(or_stop(&self.stop, self.context.recv()));
        wait(within(&kernel, limit, received)).flatten()
    }

    /// Runs a future to completion on this thread, for example a call of a server. When the child
    /// should stop, drops the future and returns `None`.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (ask, mut asked) = tokio::sync::mpsc::channel(1);
    /// let asking = ChildSpec::blocking("asking", move |ctx| {
    ///     assert_eq!(ctx.block_on(ask.send("question")), Some(Ok(())));
    ///     assert_eq!(ctx.block_on(std::future::pending::<u8>()), None);
    ///     Ok(())
    /// });
    /// let tree = Supervisor::one_for_one().child(asking).start(&rt).await?;
    /// assert_eq!(asked.recv().await, Some("question"));
    /// tree.stop().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> Option<F::Output> {
        wait(or_stop(&self.stop, future))
    }

    /// Returns a token that is cancelled when the child should stop, and at the latest when the
    /// child has ended. [`TaskContext::cancellation_token`](crate::TaskContext::cancellation_token)
    /// has an example.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.stop.child_token()
    }
}

/// Returns the future's output, or `None` as soon as the child should stop.
async fn or_stop<F: Future>(stop: &CancellationToken, future: F) -> Option<F::Output> {
    let mut stopping = pin!(stop.cancelled());
    let mut future = pin!(future);
    poll_fn(|cx| match stopping.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => future.as_mut().poll(cx).map(Some),
    })
    .await
}

impl fmt::Debug for BlockingContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockingContext({})", self.pid())
    }
}

impl sealed::Sealed for BlockingContext {}

impl Inside for BlockingContext {
    fn pid(&self) -> Pid {
        BlockingContext::pid(self)
    }

    fn runtime(&self) -> Runtime {
        BlockingContext::runtime(self)
    }
}
