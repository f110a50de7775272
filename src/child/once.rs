//! Children that are started once, from a value that cannot be cloned.
//!
//! **Guarantee.** The value is handed to at most one process, and a refused start gives it back:
//! [`StartOnceError`] has the value exactly if no process was admitted for it.
//!
//! The value is in a slot, which the specification and the caller of `start_once` share.
//!
//! 1. The start function locks the slot, and asks the runtime for a process.
//! 2. If the runtime admits the process, the start function takes the value out of the slot for the
//!    process. Otherwise the value stays in the slot.
//! 3. If the request fails, the caller takes the value out of the slot, if the slot has it.
//!
//! Steps 1 and 2 are under one lock, so step 3 comes before both or after both. If it comes before
//! them, the start function finds no value and fails. The lock is held while the runtime logs the
//! start of the process. The code of a log subscriber can't reach the slot.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Pid;
use crate::base::sync::PlainMutex;
use crate::child::start::{Start, StartContext};
use crate::child::{ChildSpec, Heartbeat, Restart, TaskContext};
use crate::exit::{ExitReason, Result, Shutdown};
use crate::process::overflow_policy::Overflow;
use crate::restart::FailurePolicy;
use crate::runtime::StartError;

/// A child that is started once, from a value that can't be cloned: a socket, a receiver, a reply.
/// The child is [temporary](Restart::Temporary), because there is no second value for a restart.
///
/// | made by | the value |
/// |---|---|
/// | [`ChildSpec::once`] | the closure that is the body |
/// | [`ChildSpec::once_with`] | a value that the body receives |
/// | [`GenServer::child_once`](crate::GenServer::child_once) | the arguments of the server |
///
/// A supervisor starts it at run time: see [`DynamicSupervisorRef::start_once`],
/// [`SupervisorRef::start_once`] and [`TaskSupervisorRef::start_once`]. It is no [`ChildSpec`], so
/// it can't be in the list that a supervisor starts again after its own restart. OTP: a temporary
/// child; a term can always be copied there, and a socket is handed over by
/// `gen_tcp:controlling_process/2` after the start.
///
/// [`DynamicSupervisorRef::start_once`]: crate::DynamicSupervisorRef::start_once
/// [`SupervisorRef::start_once`]: crate::SupervisorRef::start_once
/// [`TaskSupervisorRef::start_once`]: crate::TaskSupervisorRef::start_once
///
/// # Examples
///
/// Each connection gets a child, and the child gets the socket. If the limit of children is
/// reached, the caller gets the socket back:
///
/// ```
/// use regrow::{ChildSpec, DynamicSupervisor, Result, Runtime, StartError, TaskContext};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
///
/// async fn serve(_: TaskContext, mut socket: DuplexStream) -> Result {
///     socket.write_all(b"hello").await?;
///     std::future::pending().await // … serving the client …
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let connections = DynamicSupervisor::new().max_children(1).start(&rt).await?;
/// let (mut client, socket) = duplex(64);
/// connections.start_once(ChildSpec::once_with("first", socket, serve)).await?;
///
/// let (mut other, socket) = duplex(64);
/// let refused = connections.start_once(ChildSpec::once_with("second", socket, serve)).await;
/// let refused = refused.unwrap_err();
/// assert_eq!(refused.error, StartError::MaxChildren(1));
/// refused.value.unwrap().write_all(b"later").await?; // the socket dropped here is closed
///
/// let (mut hello, mut answer) = ([0; 5], String::new());
/// client.read_exact(&mut hello).await?;
/// other.read_to_string(&mut answer).await?;
/// assert_eq!((&hello, &*answer), (b"hello", "later"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[must_use = "it does nothing until a supervisor starts it"]
pub struct OnceChild<V> {
    pub(crate) spec: ChildSpec,
    take_back: TakeBack<V>,
}

/// The slot of a child that is started once. It contains the value (for [`ChildSpec::once_with`],
/// the value and the body), and is `None` once an incarnation or the caller has got that content.
pub(crate) type Slot<T> = Arc<PlainMutex<Option<T>>>;

/// Takes the value out of the slot, if no incarnation has got it.
pub(crate) type TakeBack<V> = Box<dyn FnOnce() -> Option<V> + Send>;

impl ChildSpec {
    /// Makes a child of an async closure that can't be cloned. The child is temporary: see
    /// [`OnceChild`]. Apart from that, the closure is run as by [`task`](ChildSpec::task).
    ///
    /// ```
    /// use regrow::{ChildSpec, DynamicSupervisor, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let jobs = DynamicSupervisor::new().start(&rt).await?;
    /// let (done, result) = tokio::sync::oneshot::channel(); // the sender can't be cloned
    /// let job = ChildSpec::once("job", |_| async {
    ///     done.send(6 * 7).map_err(|_| "the caller has stopped waiting")?;
    ///     Ok(())
    /// });
    /// jobs.start_once(job).await?;
    /// assert_eq!(result.await?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn once<F, Fut>(id: impl Into<String>, body: F) -> OnceChild<F>
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        OnceChild::new(body, |body| body, |slot| once_task(id, slot, |body: F| body))
    }

    /// Does the same as [`once`](ChildSpec::once) for a body that receives a value, which a refused
    /// start gives back. [`OnceChild`] has an example.
    pub fn once_with<V, F, Fut>(id: impl Into<String>, value: V, body: F) -> OnceChild<V>
    where
        V: Send + 'static,
        F: FnOnce(TaskContext, V) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let bound = |(value, body): (V, F)| move |ctx| body(ctx, value);
        OnceChild::new((value, body), |(value, _)| value, |slot| once_task(id, slot, bound))
    }
}

/// Returns the specification of a task whose body is made of what the slot contains.
fn once_task<T, F, Fut>(
    id: impl Into<String>,
    slot: Slot<T>,
    body_of: impl Fn(T) -> F + Send + Sync + 'static,
) -> ChildSpec
where
    T: Send + 'static,
    F: FnOnce(TaskContext) -> Fut + Send + 'static,
    Fut: Future<Output = Result> + Send + 'static,
{
    let start = move |ctx: &StartContext| {
        let (process, content) = admit_with(&slot, &mut &*ctx, |ctx| ctx.admit_task())?;
        Ok(ctx.run_task(process, body_of(content)))
    };
    ChildSpec::started_by(id.into().into(), Start::AtOnce(Arc::new(start)))
}

/// Carries out steps 1 and 2.
pub(crate) fn admit_with<T, C, P>(
    slot: &Slot<T>,
    ctx: &mut C,
    admit: impl FnOnce(&mut C) -> Result<P, StartError>,
) -> Result<(P, T), StartError> {
    let mut slot = slot.lock();
    if slot.is_none() {
        let what = "the value of a child that is started once has been handed over: make a new one";
        return Err(StartError::Invalid(what.to_owned()));
    }
    let process = admit(ctx)?;
    let content = slot.take().expect("the slot has been locked since the check");
    Ok((process, content))
}

impl<V: 'static> OnceChild<V> {
    /// Makes a child whose specification takes the content out of the slot.
    pub(crate) fn new<T: Send + 'static>(
        content: T,
        value_of: fn(T) -> V,
        spec: impl FnOnce(Slot<T>) -> ChildSpec,
    ) -> Self {
        let slot = Arc::new(PlainMutex::new(Some(content)));
        let spec = spec(slot.clone()).restart(Restart::Temporary);
        let take_back = Box::new(move || {
            let content = slot.lock().take();
            content.map(value_of)
        });
        OnceChild { spec, take_back }
    }

    /// Returns the value. The child is not started.
    pub fn into_value(self) -> V {
        (self.take_back)().expect("the slot has the value until a supervisor gets the child")
    }

    /// Carries out step 3 if the start fails.
    pub(crate) async fn start_by<Fut>(
        self,
        start: impl FnOnce(ChildSpec) -> Fut,
    ) -> Result<Pid, StartOnceError<V>>
    where
        Fut: Future<Output = Result<Pid, StartError>>,
    {
        let OnceChild { spec, take_back } = self;
        start(spec).await.map_err(|error| StartOnceError { error, value: take_back() })
    }
}

/// The settings that a child has apart from its restarts. Each does the same as the method of
/// [`ChildSpec`] with its name.
impl<V> OnceChild<V> {
    /// Sets the child's id: [`ChildSpec::with_id`].
    pub fn with_id(self, id: impl Into<String>) -> Self {
        OnceChild { spec: self.spec.with_id(id), ..self }
    }

    /// Sets the name that the child is registered under: [`ChildSpec::named`].
    pub fn named(self, name: impl Into<String>) -> Self {
        OnceChild { spec: self.spec.named(name), ..self }
    }

    /// Sets how the child is stopped: [`ChildSpec::shutdown`].
    pub fn shutdown(self, shutdown: Shutdown) -> Self {
        OnceChild { spec: self.spec.shutdown(shutdown), ..self }
    }

    /// Sets the maximum duration of the start: [`ChildSpec::init_timeout`].
    pub fn init_timeout(self, limit: Duration) -> Self {
        OnceChild { spec: self.spec.init_timeout(limit), ..self }
    }

    /// Counts the child as started only when it has set its health: [`ChildSpec::ready_within`].
    pub fn ready_within(self, limit: Duration) -> Self {
        OnceChild { spec: self.spec.ready_within(limit), ..self }
    }

    /// Requires the child to report that it is well: [`ChildSpec::heartbeat`]. A child that is ended
    /// for a missing heartbeat is not restarted, because it is temporary.
    pub fn heartbeat(self, heartbeat: Heartbeat) -> Self {
        OnceChild { spec: self.spec.heartbeat(heartbeat), ..self }
    }

    /// Sets what follows a failure of the child: [`ChildSpec::on_failure`]. The child is temporary, so
    /// it is not restarted.
    pub fn on_failure(
        self,
        decide: impl Fn(&ExitReason) -> FailurePolicy + Send + Sync + 'static,
    ) -> Self {
        OnceChild { spec: self.spec.on_failure(decide), ..self }
    }

    /// Sets how often a server may go on after a failed handler: [`ChildSpec::resume_budget`].
    pub fn resume_budget(self, resumes: u32, period: Duration) -> Self {
        OnceChild { spec: self.spec.resume_budget(resumes, period), ..self }
    }

    /// Sets whether the child's end may end its supervisor: [`ChildSpec::significant`].
    pub fn significant(self, significant: bool) -> Self {
        OnceChild { spec: self.spec.significant(significant), ..self }
    }

    /// Sets the mailbox capacity of a server: [`ChildSpec::mailbox_capacity`].
    ///
    /// # Panics
    ///
    /// If `capacity` is 0.
    pub fn mailbox_capacity(self, capacity: usize, overflow: Overflow) -> Self {
        OnceChild { spec: self.spec.mailbox_capacity(capacity, overflow), ..self }
    }

    /// Logs a warning for a handler that runs longer than `limit`: [`ChildSpec::warn_after`].
    pub fn warn_after(self, limit: Duration) -> Self {
        OnceChild { spec: self.spec.warn_after(limit), ..self }
    }
}

impl<V> OnceChild<V> {
    /// Sets how the child is stopped, unless the user has set it.
    pub(crate) fn or_shutdown(self, shutdown: Shutdown) -> Self {
        if self.spec.spec.shutdown_is_set { self } else { self.shutdown(shutdown) }
    }
}

impl<V> fmt::Debug for OnceChild<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceChild").field(&self.spec).finish()
    }
}

/// Why an [`OnceChild`] was not started, with its value if no process got it.
///
/// The value is given back if the supervisor refused the start: the supervisor has its maximum of
/// children, is stopping or has ended, the name or the id is taken, or a setting is invalid. The
/// value is lost if a process got it and the start failed after that: the `init` of a server
/// returned an error or took too long, the child was not ready in time, or the supervisor ended. A
/// process that is stopped before its body runs drops the value as well, also after `Ok`.
/// [`OnceChild`] has an example.
///
/// This type is no [`Error`], so that the value is not kept by every copy of an exit reason: `?`
/// drops the value, and continues with the [`StartError`]. If the error type is that of another
/// library, write `.map_err(StartError::from)?`.
#[non_exhaustive]
pub struct StartOnceError<V> {
    /// Why the child was not started.
    pub error: StartError,
    /// The value, unless a process got it.
    pub value: Option<V>,
}

impl<V> fmt::Display for StartOnceError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<V> fmt::Debug for StartOnceError<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartOnceError")
            .field("error", &self.error)
            .field("has_value", &self.value.is_some())
            .finish()
    }
}

/// Drops the value.
impl<V> From<StartOnceError<V>> for StartError {
    fn from(refused: StartOnceError<V>) -> Self {
        refused.error
    }
}

/// Drops the value, and boxes the [`StartError`].
impl<V> From<StartOnceError<V>> for Box<dyn Error> {
    fn from(refused: StartOnceError<V>) -> Self {
        refused.error.into()
    }
}

/// Drops the value, and boxes the [`StartError`]. By this conversion `?` makes an
/// [`ExitReason`] of the error.
impl<V> From<StartOnceError<V>> for Box<dyn Error + Send + Sync> {
    fn from(refused: StartOnceError<V>) -> Self {
        refused.error.into()
    }
}
