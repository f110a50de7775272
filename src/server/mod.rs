//! [`GenServer`]: a process that keeps a state and handles one message at a time. `handle` is the
//! client side, `context` is the interface for callbacks, `run` is the loop, and `tracking` records
//! the running handler.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `restart`, `observe`, `process`, `kernel`, `mailbox`, `call`,
//! `driver`, `runtime`, `child`.
//! **Knows nothing of** supervisors, which are servers themselves.

use std::future::{Ready, ready};

use crate::base::ignore_panic;
use crate::child::{ChildSpec, OnceChild};
use crate::exit::{ExitReason, Result};
use crate::message::Received;
use crate::observe::log_flood::LineKind;
use crate::runtime::{Name, Runtime, StartError, Starting};
use crate::server::child::OnceServer;

mod server_name;
mod unexpected;
mod trace;
mod system_message;
pub(crate) mod item;
mod handle;
mod sys;
mod peek;
mod trace_request;
pub(crate) mod dispatch;
mod tracking;
pub(crate) mod context;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod spec;
mod child;

pub(crate) use child::{short_name, short_type_name};
pub use context::ServerContext;
pub(crate) use context::continues::Continued;
pub use context::schedule::CastTimer;
pub(crate) use dispatch::{Dispatch, WaitOutcome};
pub(crate) use handle::propagated::limited;
#[cfg(feature = "cluster")]
pub(crate) use handle::received::send_received_call;
pub(crate) use handle::request::wait_edge;
#[cfg(feature = "tower")]
pub(crate) use handle::reserved_place::{Place, call_in_place};
pub(crate) use handle::returnable_call::{NotAnswered, call_returnable};
pub use handle::sender::{Caller, Sender};
pub use handle::server_ref::ServerRef;
pub(crate) use handle::server_ref::{CALL_TIMEOUT, Target};
pub(crate) use item::ServerItem;
pub use server_name::ServerName;
pub use spec::ServerSpec;
pub(crate) use start::ServerProcess;
pub use system_message::ServerStatus;
pub(crate) use system_message::System;
pub use trace::{Trace, TraceContent, TraceEvent, TraceItem};

/// A process that keeps a state and handles one message at a time. Most processes of a program are
/// servers. OTP: `gen_server`.
///
/// The protocol of a server is two enums: its *calls*, which are answered, and its *casts*, which
/// are not. Each call carries its own [`Reply`](crate::Reply), so each call has its own answer
/// type, and a client builds a call with the variant itself.
///
/// # Examples
///
/// ```
/// use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
///
/// /// The state.
/// struct Counter {
///     count: u64,
/// }
///
/// /// The calls, each with its reply.
/// enum Call {
///     Get(Reply<u64>),
///     AddAndGet { n: u64, reply: Reply<u64> },
/// }
///
/// /// The casts.
/// enum Cast {
///     Add(u64),
/// }
///
/// impl GenServer for Counter {
///     type Args = u64;
///     type Call = Call;
///     type Cast = Cast;
///
///     async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
///         Ok(Counter { count: start })
///     }
///
///     async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
///         match call {
///             Call::Get(reply) => reply.send(self.count),
///             Call::AddAndGet { n, reply } => {
///                 self.count += n;
///                 reply.send(self.count);
///             }
///         }
///         Ok(())
///     }
///
///     async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
///         match cast {
///             Cast::Add(n) => self.count += n,
///         }
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let counter = Counter::start(&rt, 40).await?;
/// counter.cast(Cast::Add(2));
/// assert_eq!(counter.call(Call::Get).await?, 42);
/// assert_eq!(counter.call(|reply| Call::AddAndGet { n: 8, reply }).await?, 50);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// The types and the three callbacks above are required; the other callbacks have defaults.
///
/// # How a server ends
///
/// A handler that returns `Err(reason)` ends the server with that reason;
/// [`ctx.stop(reason)`](ServerContext::stop) makes such a result. `?` on an error that is no
/// [`ExitReason`] means "crash with that error". The table shows what happens to the items that are
/// not handled yet:
///
/// | what ends it | `terminate` | the call being handled | queued before | sent after, or queued at all |
/// |---|---|---|---|---|
/// | [`ServerRef::stop`] | runs | is finished | is handled | calls `Exited`, casts refused |
/// | its parent's exit, trapping or [draining](ServerContext::drain_on_stop) | runs | is finished | is handled | calls `Exited`, casts refused |
/// | a handler's `Err`, or `?` | runs | `Exited`, unless replied | – | calls `Exited`, casts counted |
/// | a panic in a handler | runs | `Exited`, unless replied | – | calls `Exited`, casts counted |
/// | an exit signal, not trapping | no | `Exited`, at its next await | – | calls `Exited`, casts counted |
/// | [`Runtime::kill`] | no | `Exited`, at its next await | – | calls `Exited`, casts counted |
///
/// A cast that is refused returns false, and [`try_cast`](ServerRef::try_cast) gives it back: a
/// server that has been asked to stop, or runs `terminate`, accepts no casts, messages and streams.
/// So a cast that was accepted before a stop is handled, unless the server ends earlier. What is
/// left in the mailbox is counted: [`LeftUnhandled`](crate::LifecycleEvent::LeftUnhandled).
///
/// `Exited` is [`CallError::Exited`](crate::CallError::Exited) with the true reason. A caller
/// receives this error as soon as the server has ended, even if the server kept the reply for
/// later: every call is resolved. After the end, calls fail with `NoProc` and casts return false.
///
/// A restart keeps nothing: the new incarnation begins with an empty mailbox. Until the new
/// incarnation holds the name, calls by that name fail with
/// [`Restarting`](crate::CallError::Restarting); [`call_waiting`](ServerRef::call_waiting) waits
/// for the new incarnation.
///
/// To reply and then stop, send the reply first. OTP's `{stop, Reason, Reply, State}` replies after
/// `terminate`, so there the caller waits for `terminate`; here the caller doesn't.
///
/// # Cancel safety
///
/// No callback is ever dropped to handle the next message. A callback is dropped at its await when
/// the server is killed, or ended by an exit signal that it does not trap. Then only destructors
/// run, of the values in the callback and of the state.
///
/// # What it costs
///
/// A callback that holds 4 KB across an await makes each such server 4 KB larger for its whole
/// life, so box large values.
///
/// # When not to use it
///
/// For code that has no state of its own, use a function. For a plain loop that receives no
/// requests, use [`ChildSpec::task`]. Do not use a server as a lock around data that many processes
/// could read at once: calls to a server are handled one after another.
pub trait GenServer: Sized + Send + 'static {
    /// The arguments of `init`. For [`child`](Self::child) the arguments must be `Clone`.
    type Args: Send + 'static;

    /// The calls: an enum whose variants hold a [`Reply`](crate::Reply), or just a `Reply` if there
    /// is one call.
    type Call: Send + 'static;

    /// The casts: an enum; `()`, or an enum without variants, if there are none.
    type Cast: Send + 'static;

    /// Creates the state. The caller of the start waits for `init`, and so does a supervisor: move
    /// long work to [`ServerContext::continue_with`]. OTP: `init/1`. [`GenServer`] has an example.
    ///
    /// # Errors
    ///
    /// After `Err(reason)` or a panic the start fails. After `Err(ctx.ignore())` the start returns
    /// [`StartError::Ignored`]. In each of these cases [`terminate`](Self::terminate) does not run.
    ///
    /// # Cancel safety
    ///
    /// As for [every callback](Self#cancel-safety). The server is also killed when the future of
    /// the start is dropped, or when the time limit of the start has passed.
    fn init(
        args: Self::Args,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Handles a call. By default `handle_call` logs the call, at Warn, and drops it, so the caller
    /// gets [`NoReply`](crate::CallError::NoReply): a server without calls leaves it out. The handler
    /// may reply later: the [`Reply`](crate::Reply), which has an
    /// example, can be kept or moved to another task. OTP: `handle_call/3`. [`GenServer`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// `Err(reason)`, `?` on any error, and a panic end the server.
    ///
    /// # Cancel safety
    ///
    /// As for [every callback](Self#cancel-safety).
    fn handle_call(
        &mut self,
        call: Self::Call,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        dropped(call, "unexpected call dropped", ctx)
    }

    /// Handles a cast, from a client or from the server's own
    /// [`continue_with`](ServerContext::continue_with), timers and tasks. OTP: `handle_cast/2` and
    /// `handle_continue/2`. By default `handle_cast` logs the cast, at Warn, and drops it.
    /// [`GenServer`] has an example.
    ///
    /// # Errors
    ///
    /// As [`handle_call`](Self::handle_call).
    ///
    /// # Cancel safety
    ///
    /// As for [every callback](Self#cancel-safety).
    fn handle_cast(
        &mut self,
        cast: Self::Cast,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        dropped(cast, "unexpected cast dropped", ctx)
    }

    /// Handles every other message: bytes, streams, `Down`s, and exits if the server traps them. By
    /// default `handle_info` logs the message, at Warn, and drops it; an
    /// [idle time-out](ServerContext::idle_after) goes on. Of the terms and
    /// signals of other nodes, the program logs at most ten in a second, without the reason of an exit,
    /// and how many it has left out. OTP: `handle_info/2`.
    /// [`ServerContext`] has an example.
    ///
    /// # Errors
    ///
    /// As [`handle_call`](Self::handle_call).
    ///
    /// # Cancel safety
    ///
    /// As for [every callback](Self#cancel-safety).
    fn handle_info(
        &mut self,
        info: Received,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        ctx.keep_idle_timeout();
        unexpected::log(&ctx.process.kernel, ctx.pid(), &info);
        ready(Ok(()))
    }

    /// Runs when no message has come within the limit of [`ServerContext::idle_after`] or
    /// [`ServerContext::idle_timeout`], which have examples. By default it does nothing. OTP: `handle_info(timeout, State)`.
    ///
    /// # Errors
    ///
    /// As [`handle_call`](Self::handle_call).
    ///
    /// # Cancel safety
    ///
    /// As for [every callback](Self#cancel-safety).
    fn handle_timeout(
        &mut self,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        let _ = ctx;
        ready(Ok(()))
    }

    /// Handles an event that the server gave to itself: the expiry of the timer with this number, or
    /// the next event of its own queue. Only a [state machine](crate::StateMachine) has such events.
    #[doc(hidden)]
    fn handle_own(
        &mut self,
        timer: Option<u64>,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        let _ = (timer, ctx);
        ready(Ok(()))
    }

    /// Runs when the loop begins to wait, and before it handles an item that is no call, cast or
    /// message. Only a [state machine](crate::StateMachine) implements this function: the machine reads the clock
    /// once between two waits.
    #[doc(hidden)]
    #[inline]
    fn before_wait(&mut self) {}

    /// Runs before the loop goes on after a failed callback. Only a [state
    /// machine](crate::StateMachine) uses it: what its failed callback has requested is dropped.
    #[doc(hidden)]
    fn after_resume(&mut self, ctx: &mut ServerContext<Self>) {
        let _ = ctx;
    }

    /// Cleans up before the server ends with this reason. After a panic the state is as the handler
    /// left it. If `terminate` panics, that panic becomes the reason. By default `terminate` does
    /// nothing. OTP: `terminate/2`, whose state after a crash is the last one that a handler
    /// returned.
    ///
    /// Put cleanup that must always run into a `Drop`: `terminate` does not run when the server is
    /// killed, or ended by an exit signal that it does not trap.
    ///
    /// # Cancel safety
    ///
    /// As for [every callback](Self#cancel-safety). For example, a supervisor kills the server when
    /// the child's [shutdown time](crate::Shutdown) is over.
    ///
    /// ```
    /// use regrow::{ExitReason, GenServer, Reply, Result, Runtime, ServerContext};
    /// use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    ///
    /// struct Store(UnboundedSender<String>);
    ///
    /// impl GenServer for Store {
    /// #     type Args = UnboundedSender<String>;
    /// #     type Call = Reply<()>;
    /// #     type Cast = ();
    ///     async fn init(out: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
    ///         Ok(Store(out))
    ///     }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    ///     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    ///         panic!("as asked")
    ///     }
    ///     async fn terminate(&mut self, reason: &ExitReason) {
    ///         let _ = self.0.send(format!("flushed after {reason}"));
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (out, mut flushed) = unbounded_channel();
    /// let store = Store::start(&rt, out).await?;
    /// store.cast(());
    /// assert_eq!(flushed.recv().await.unwrap(), "flushed after panic: as asked");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    fn terminate(&mut self, reason: &ExitReason) -> impl Future<Output = ()> + Send {
        let _ = reason;
        ready(())
    }

    /// Returns a line about the state, for [`ServerRef::get_status`], which has an example. The
    /// line must contain nothing secret. By default `None`. This method runs in the server's
    /// process, between two handlers, so it should be quick. If it panics, the caller gets
    /// [`NoReply`](crate::CallError::NoReply), and the server runs on. OTP: `format_status/1`.
    fn format_status(&self) -> Option<String> {
        None
    }

    /// Starts a server, linked to no process. Returns when `init` has returned. Use this in tests
    /// and small programs; a server that has to be restarted should be a [`child`](Self::child) of
    /// a supervisor. OTP: `gen_server:start/3`. [`GenServer`] has an example.
    ///
    /// # Errors
    ///
    /// [`StartError::Failed`] with the reason if `init` fails or panics, and
    /// [`StartError::Ignored`] if `init` returns [`ctx.ignore()`](ServerContext::ignore). After an
    /// error nothing of the server is left.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless `runtime` was used inside one before.
    ///
    /// # Cancel safety
    ///
    /// A start that is dropped kills the half-started server.
    fn start(
        runtime: &Runtime,
        args: Self::Args,
    ) -> impl Future<Output = Result<ServerRef<Self>, StartError>> + Send {
        Starting::new(runtime).run(args)
    }

    /// Starts a server under a name. The server holds the name before its `init` runs. For a name
    /// that is made at run time, use [`ServerSpec::named`]. OTP: `gen_server:start/4`.
    ///
    /// # Errors
    ///
    /// [`StartError::AlreadyStarted`] with the holder's pid if the name is held, and
    /// [`StartError::NameReserved`] if the name is reserved for a child that is being restarted: in
    /// both cases `init` does not run. Otherwise as [`start`](Self::start).
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{Name, StartError};
    ///
    /// const COUNTER: Name<Counter> = Name::new("counter");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start_named(&rt, COUNTER, 40).await?;
    /// assert_eq!(rt.server(COUNTER).call(Call::Get).await?, 40);
    ///
    /// let error = Counter::start_named(&rt, COUNTER, 0).await.unwrap_err();
    /// let (name, pid) = ("counter".to_owned(), counter.pid().unwrap());
    /// assert_eq!(error, StartError::AlreadyStarted { name, pid });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    fn start_named(
        runtime: &Runtime,
        name: Name<Self>,
        args: Self::Args,
    ) -> impl Future<Output = Result<ServerRef<Self>, StartError>> + Send {
        Self::spec(args).named(name).start(runtime)
    }

    /// Returns a description of this server, to which a name or a time limit can be added, and
    /// which can be started linked or monitored. [`ServerSpec`] has an example.
    fn spec(args: Self::Args) -> ServerSpec<Self> {
        ServerSpec::new(args)
    }

    /// Returns the specification of this server as a child of a supervisor. Each start gets a clone
    /// of `args`. The child's id is the name of the type, so two children of one type need
    /// different [ids](ChildSpec::with_id). Elixir: `child_spec/1` of a `GenServer`.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{Name, Supervisor};
    ///
    /// const COUNTER: Name<Counter> = Name::new("counter");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let child = Counter::child(40);
    /// assert_eq!(child.id(), "Counter");
    /// let tree = Supervisor::one_for_one().child(child.named(COUNTER)).start(&rt).await?;
    /// let counter = rt.server(COUNTER);
    /// counter.cast(Cast::Add(2));
    /// assert_eq!(counter.call(Call::Get).await?, 42);
    ///
    /// let ended = counter.ended();
    /// counter.cast(Cast::Crash);
    /// ended.await;
    /// tree.count_children().await?; // answered after the restart
    /// assert_eq!(counter.call(Call::Get).await?, 40); // a new incarnation, from a clone of the args
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    fn child(args: Self::Args) -> ChildSpec
    where
        Self::Args: Clone + Sync,
    {
        Self::child_with(move || args.clone())
    }

    /// Returns the specification of this server as a child, with fresh arguments for each start.
    /// Use this for arguments that can't be cloned, or should not be cloned. A panic in `args`
    /// crashes the supervisor; under a dynamic supervisor, the start fails.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use regrow::Supervisor;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let starts = AtomicU64::new(1);
    /// let child = Counter::child_with(move || starts.fetch_add(1, Ordering::SeqCst));
    /// let tree = Supervisor::one_for_one().child(child.named("counter")).start(&rt).await?;
    /// let counter = rt.server::<Counter>("counter");
    /// assert_eq!(counter.call(Call::Get).await?, 1);
    ///
    /// let ended = counter.ended();
    /// counter.cast(Cast::Crash);
    /// ended.await;
    /// tree.count_children().await?; // answered after the restart
    /// assert_eq!(counter.call(Call::Get).await?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    fn child_with(args: impl Fn() -> Self::Args + Send + Sync + 'static) -> ChildSpec {
        ChildSpec::server::<Self>(args)
    }

    /// Returns this server as a child that is started once, with these arguments, which need not be
    /// `Clone`. The child is temporary: it is not restarted. [`OnceChild`] says how it is started.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::DynamicSupervisor;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters = DynamicSupervisor::new().start(&rt).await?;
    /// let pid = counters.start_once(Counter::child_once(40)).await?;
    /// assert_eq!(rt.server_at::<Counter>(pid)?.call(Call::Get).await?, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    fn child_once(args: Self::Args) -> OnceChild<Self::Args> {
        OnceServer::<Self>::child(args)
    }
}

/// Logs a request that its server has no handler for, and drops it. The request is no activity.
fn dropped<S: GenServer, M>(request: M, what: &str, ctx: &mut ServerContext<S>) -> Ready<Result> {
    ctx.keep_idle_timeout();
    let (pid, kind) = (ctx.pid(), std::any::type_name::<M>());
    ctx.process.kernel.line(LineKind::Unexpected, || {
        ignore_panic(|| tracing::warn!(target: "regrow::server", %pid, kind, "{what}"));
    });
    drop(request);
    ready(Ok(()))
}
