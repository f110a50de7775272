//! The context that a server's callbacks receive, and its methods.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::Pid;
use crate::exit::{ExitReason, Scope};
use crate::mailbox::{Mailbox, Process};
use crate::observe::Health;
use crate::process::AnyProcess;
use crate::runtime::{Inside, Runtime, StartCause, StartError, sealed};
use crate::server::context::extras::Inner;
use crate::server::{GenServer, ServerItem, ServerRef};

pub(crate) mod idle;
pub(crate) mod schedule;
pub(crate) mod continues;
pub(crate) mod extras;
pub(crate) mod own_events;
mod relations;
mod memory;
mod next_step;
mod self_casts;
mod stash;
mod tasks;
pub(crate) mod metadata;
pub(crate) mod deadline;

/// The interface of a server for its own callbacks: its pid, its handle, its runtime, and methods
/// that act on the server. Each callback but `terminate` and `format_status` receives one. OTP:
/// functions that a `gen_server`'s callbacks call for their own process, such as `self/0`.
///
/// # Examples
///
/// A server that monitors the guests in its room, so that it does not count a guest that has
/// crashed:
///
/// ```
/// use regrow::{GenServer, Pid, Received, Reply, Result, Runtime, ServerContext};
///
/// struct Room {
///     guests: usize,
/// }
///
/// impl GenServer for Room {
///     type Args = ();
///     type Call = Reply<usize>;
///     type Cast = Pid;
///
///     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
///         Ok(Room { guests: 0 })
///     }
///
///     async fn handle_call(&mut self, n: Reply<usize>, _: &mut ServerContext<Self>) -> Result {
///         n.send(self.guests);
///         Ok(())
///     }
///
///     async fn handle_cast(&mut self, guest: Pid, ctx: &mut ServerContext<Self>) -> Result {
///         ctx.monitor(guest);
///         self.guests += 1;
///         Ok(())
///     }
///
///     async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
///         if let Received::Down { .. } = info {
///             self.guests -= 1;
///         }
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let room = Room::start(&rt, ()).await?;
/// let guest = rt.spawn(|_| std::future::pending());
/// room.cast(guest.pid());
/// assert_eq!(room.call(|n| n).await?, 1);
/// guest.kill();
/// guest.join().await;
/// assert_eq!(room.call(|n| n).await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct ServerContext<S: GenServer> {
    pub(crate) process: Arc<Process<ServerItem<S>>>,
    /// The cause of the start, if it is a restart.
    cause: Option<Box<StartCause>>,
    /// The mutex is never locked: the content is accessed only through `&mut`. The mutex makes the
    /// context `Sync` although its content is not, so that handlers can keep a `&ServerContext`
    /// across an await.
    pub(super) inner: Mutex<Inner<S>>,
}

impl<S: GenServer> ServerContext<S> {
    pub(crate) fn new(process: Arc<Process<ServerItem<S>>>, cause: &StartCause) -> Self {
        let mailbox = Mailbox::new(process.clone());
        process.head.spin.allow_announcing();
        let inner = Inner { mailbox, extras: None };
        let cause = matches!(cause, StartCause::Restart { .. }).then(|| Box::new(cause.clone()));
        ServerContext { process, cause, inner: Mutex::new(inner) }
    }

    /// The process whose exit ends this server before any handler receives it.
    pub(crate) fn parent(&self) -> Option<Pid> {
        let process: &dyn AnyProcess = &*self.process;
        process.parent().map(|parent| parent.pid)
    }

    /// Returns the pid of this server. OTP: `self/0`.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// struct Member;
    /// # impl GenServer for Member {
    /// #     type Args = &'static str;
    /// #     type Call = Reply<()>;
    /// #     type Cast = ();
    ///
    /// // … of its `GenServer`: each incarnation joins the group.
    /// async fn init(group: &'static str, ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.runtime().register_tag(group, ctx.pid());
    ///     Ok(Member)
    /// }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let member = Member::start(&rt, "room").await?;
    /// assert_eq!(rt.whereis_tag("room"), [member.pid().unwrap()]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Returns a direct handle to this server, for other processes. The handle reaches only this
    /// incarnation, so a process that outlives the incarnation should keep a named handle. A cast
    /// of the server to itself is handled in order; a call to itself is refused.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// struct Ticker(u32);
    /// # impl GenServer for Ticker {
    /// #     type Args = ();
    /// #     type Call = Reply<u32>;
    /// #     type Cast = u32;
    ///
    /// // … of its `GenServer`:
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     let this = ctx.this();
    ///     tokio::spawn(async move { this.cast(1) }); // … from a socket, say
    ///     Ok(Ticker(0))
    /// }
    /// #     async fn handle_call(&mut self, reply: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0);
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, n: u32, _: &mut ServerContext<Self>) -> Result {
    /// #         self.0 += n;
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let ticker = Ticker::start(&rt, ()).await?;
    /// while ticker.call(|reply| reply).await? == 0 {}
    /// assert_eq!(ticker.call(|reply| reply).await?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn this(&self) -> ServerRef<S> {
        ServerRef::direct(self.process.clone())
    }

    /// Returns the runtime of this server. [`pid`](Self::pid) has an example.
    pub fn runtime(&self) -> Runtime {
        Runtime { kernel: self.process.kernel.clone() }
    }

    /// Returns why this server was started: for the first time, or again, and after which exit. Use
    /// this in a server that behaves differently after a crash. OTP has no counterpart.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use regrow::{ExitReason, StartCause, Supervisor};
    ///
    /// struct Store(StartCause);
    /// # impl GenServer for Store {
    /// #     type Args = ();
    /// #     type Call = Reply<StartCause>;
    /// #     type Cast = ();
    ///
    /// // … of its `GenServer`:
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     Ok(Store(ctx.start_cause().clone()))
    /// }
    /// #     async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0.clone());
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one().child(Store::child(()).named("store")).start(&rt).await?;
    /// let store = rt.server::<Store>("store");
    /// assert_eq!(store.call(|reply| reply).await?, StartCause::First);
    ///
    /// let ended = store.ended();
    /// rt.kill(store.pid().unwrap());
    /// ended.await;
    /// tree.count_children().await?; // answered after the restart
    /// let cause = store.call(|reply| reply).await?;
    /// assert_eq!(cause.restarts(), 1);
    /// assert_eq!(cause, StartCause::Restart { attempt: 1, previous: ExitReason::Killed });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn start_cause(&self) -> &StartCause {
        self.cause.as_deref().unwrap_or(&StartCause::First)
    }

    /// Returns a reason for an `init` that decides that this server is not needed. If `init`
    /// returns it in an `Err`, the start returns [`StartError::Ignored`], and the process ends
    /// normally. A supervisor continues with its other children. OTP: `ignore`.
    ///
    /// The reason has this effect only as the result of this server's own `init`. A handler that
    /// returns the reason ends the server with [`Normal`](ExitReason::Normal). If `init` passes on
    /// the [`StartError::Ignored`](crate::StartError) of another server's start by `?`, this server
    /// crashes.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use regrow::StartError;
    ///
    /// struct Metrics(u16);
    /// # impl GenServer for Metrics {
    /// #     type Args = Option<u16>;
    /// #     type Call = Reply<u16>;
    /// #     type Cast = ();
    ///
    /// // … of its `GenServer`:
    /// async fn init(port: Option<u16>, ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     match port {
    ///         Some(port) => Ok(Metrics(port)),
    ///         None => Err(ctx.ignore()), // turned off
    ///     }
    /// }
    /// #     async fn handle_call(&mut self, reply: Reply<u16>, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0);
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// assert_eq!(Metrics::start(&rt, None).await.unwrap_err(), StartError::Ignored);
    /// assert_eq!(rt.process_count(), 0);
    /// assert_eq!(Metrics::start(&rt, Some(80)).await?.call(|reply| reply).await?, 80);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    #[must_use = "`init` returns it in an `Err`"]
    pub fn ignore(&mut self) -> ExitReason {
        self.inner().extras().refusal = Some(StartError::Ignored);
        ExitReason::Normal
    }

    /// Returns a reason for an end after which this server is not restarted, whatever its
    /// [`Restart`](crate::Restart) type: for an error that a restart can't mend. `reason` is an
    /// error, a text or another [`ExitReason`]. `?` and [`ExitReason::into_error`] pass the reason
    /// on, also inside of other errors.
    ///
    /// The child stays known to a [`Supervisor`](crate::Supervisor) as
    /// [given up](crate::ChildState::GivenUp), and a dynamic supervisor removes it. The reason has
    /// this effect only as the end of the process that made it. As the end of an `init` that fails
    /// the start of the supervisor, or of a child that
    /// [`SupervisorRef::start_child`](crate::SupervisorRef::start_child) adds, it is an error as any other.
    /// [`TaskContext::give_up`](crate::TaskContext::give_up)
    /// has an example.
    #[must_use = "the process ends with it in an `Err`"]
    pub fn give_up<E: Into<ExitReason> + 'static>(&self, reason: E) -> ExitReason {
        self.runtime().no_restart(self.pid(), Scope::Child, reason)
    }

    /// Returns a reason for an end after which the whole tree ends: each supervisor from the child's
    /// own up to the root stops its children and ends with
    /// [`RestartLimitReached`](crate::RestartLimitReached), and none of them is restarted. After a
    /// clean `reason`, for example [`Normal`](ExitReason::Normal), all these ends are clean, and
    /// [`Run`](crate::Run) counts the tree as ended. Otherwise as [`give_up`](Self::give_up). [`NoRestart`](crate::NoRestart) has an example.
    #[must_use = "the process ends with it in an `Err`"]
    pub fn end_tree<E: Into<ExitReason> + 'static>(&self, reason: E) -> ExitReason {
        self.runtime().no_restart(self.pid(), Scope::Tree, reason)
    }

    /// Sets the label of this server, as [`Runtime::set_label`] does, which has an example. The
    /// initial label of a supervised server is its id.
    pub fn set_label(&mut self, label: impl Into<String>) {
        self.runtime().set_label(self.pid(), label);
    }

    /// Sets the health of this server, which snapshots of the tree show. [`Health`] has an example.
    pub fn set_health(&mut self, health: Health) {
        self.runtime().set_health(self.pid(), health);
    }

    /// Reports that this server is well. Does nothing unless its specification as a child
    /// [requires heartbeats](crate::ChildSpec::heartbeat).
    ///
    /// Call this from a handler of a [tick](Self::cast_every) that comes several times in each
    /// interval. The tick waits in the mailbox behind the other items, so the heartbeats show that
    /// the server handles its mailbox in time, not just that its process exists.
    ///
    /// ```
    /// # use regrow::{GenServer, Result, Runtime, ServerContext};
    /// use std::time::Duration;
    /// use regrow::{Health, Heartbeat, Supervisor};
    /// use tokio::time::MissedTickBehavior;
    ///
    /// struct Writer;
    ///
    /// enum Cast {
    ///     Tick,
    ///     Write,
    /// }
    ///
    /// impl GenServer for Writer {
    /// #     type Args = ();
    /// #     type Call = std::convert::Infallible;
    ///     type Cast = Cast;
    ///
    ///     async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///         ctx.cast_every(Duration::from_secs(3), MissedTickBehavior::Skip, || Cast::Tick);
    ///         Ok(Writer)
    ///     }
    ///     async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
    ///         match cast {
    ///             Cast::Tick => ctx.heartbeat(),
    ///             Cast::Write => std::future::pending().await, // … a disk that does not answer
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let heartbeat = Heartbeat::every(Duration::from_secs(10));
    /// let child = Writer::child(()).named("writer").heartbeat(heartbeat);
    /// let _tree = Supervisor::one_for_one().child(child).start(&rt).await?;
    /// let pid = rt.whereis("writer").unwrap();
    /// tokio::time::sleep(Duration::from_secs(60)).await;
    /// assert_eq!(rt.health(pid), Some(Health::Ready));
    ///
    /// rt.server::<Writer>("writer").cast(Cast::Write);
    /// tokio::time::sleep(Duration::from_secs(15)).await;
    /// assert_eq!(rt.health(pid), Some(Health::Unresponsive));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn heartbeat(&self) {
        self.runtime().report_heartbeat(&*self.process);
    }

    /// Returns a reason for the `init` of one of the library's own servers. If that `init` returns
    /// the reason, the start fails with this error.
    pub(crate) fn refuse(&mut self, error: StartError) -> ExitReason {
        let reason = error.as_reason();
        self.inner().extras().refusal = Some(error);
        reason
    }

    /// Takes the error that [`ignore`](Self::ignore) or [`refuse`](Self::refuse) has stored.
    /// `Ignored` counts only if `init` returned `Normal`: any other reason is an error, for example
    /// of another start.
    pub(crate) fn refusal(&mut self, returned: &ExitReason) -> Option<Box<StartError>> {
        let refusal = self.inner().extras.as_mut()?.refusal.take()?;
        let ignored = refusal == StartError::Ignored;
        (!ignored || *returned == ExitReason::Normal).then(|| Box::new(refusal))
    }

    pub(crate) fn inner(&mut self) -> &mut Inner<S> {
        self.inner.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: GenServer> fmt::Debug for ServerContext<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerContext({})", self.pid())
    }
}

impl<S: GenServer> sealed::Sealed for ServerContext<S> {}

impl<S: GenServer> Inside for ServerContext<S> {
    fn pid(&self) -> Pid {
        ServerContext::pid(self)
    }

    fn runtime(&self) -> Runtime {
        ServerContext::runtime(self)
    }
}
