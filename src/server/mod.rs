//! [`GenServer`]: a state that handles one message at a time. `handle` holds what clients use,
//! `context` what handlers are given, `run` the loop, `tracking` what is recorded of a handler
//! while it runs.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `observe`, `process`, `kernel`, `mailbox`, `call`,
//! `runtime`, `child`.
//! **Knows nothing of** supervisors, which are servers themselves.

use std::future::{Future, ready};

use crate::base::catch::ignore_panic;
use crate::child::ChildSpec;
use crate::exit::reason::{ExitReason, Result};
use crate::message::received::Received;
use crate::runtime::Runtime;
use crate::runtime::errors::call_error::StartError;
use crate::runtime::starting::Starting;
use crate::runtime::typed_name::Name;

mod server_name;
mod system_message;
pub(crate) mod item;
mod handle;
mod sys;
pub(crate) mod dispatch;
mod tracking;
pub(crate) mod context;
pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod spec;
mod child;

pub use context::ServerContext;
pub use context::schedule::CastTimer;
pub use handle::sender::{Caller, Sender};
pub use handle::server_ref::ServerRef;
pub use server_name::ServerName;
pub use spec::ServerSpec;
pub use system_message::ServerStatus;

/// A process that keeps a state and handles one message at a time: the behaviour most
/// processes have. OTP: `gen_server`.
///
/// The protocol of a server is two enums: what can be asked, and what can be told. The
/// way back travels inside each question, so every question has its own answer type,
/// and the variant is what a caller builds the question with.
///
/// # A skeleton
///
/// To be copied and filled in; what else a server may do has a default.
///
/// ```
/// use regrow::{GenServer, Reply, Result, ServerContext};
///
/// /// What it keeps.
/// pub struct Server {}
///
/// /// What it can be asked: each question brings its own way back.
/// pub enum Call {
///     Ask { reply: Reply<String> },
/// }
///
/// /// What it can be told.
/// pub enum Cast {
///     Tell { what: String },
/// }
///
/// impl GenServer for Server {
///     type Args = ();
///     type Call = Call;
///     type Cast = Cast;
///
///     async fn init(args: (), ctx: &mut ServerContext<Self>) -> Result<Self> {
///         Ok(Server {})
///     }
///
///     async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
///         match call {
///             Call::Ask { reply } => reply.send(String::new()),
///         }
///         Ok(())
///     }
///
///     async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
///         match cast {
///             Cast::Tell { what } => drop(what),
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// # Examples
///
/// ```
/// use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
///
/// struct Counter(u64);
///
/// enum Call {
///     Get(Reply<u64>),
/// }
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
///         Ok(Counter(start))
///     }
///
///     async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
///         match call {
///             Call::Get(reply) => reply.send(self.0),
///         }
///         Ok(())
///     }
///
///     async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
///         match cast {
///             Cast::Add(n) => self.0 += n,
///         }
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let counter = Counter::start(&rt, 40).await?;
/// counter.cast(Cast::Add(2));
/// assert_eq!(counter.call(Call::Get).await?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # How a server ends
///
/// A handler that returns `Err(reason)` ends the server with that reason;
/// [`ctx.stop(reason)`](ServerContext::stop) makes such a result. `?` on any error is "crash
/// with that error". What becomes of what it has still to do:
///
/// | what ends it | `terminate` | the call in hand | queued before | queued after, or at all |
/// |---|---|---|---|---|
/// | [`ServerRef::stop`] | runs | is finished | is handled | calls `Exited`, casts dropped |
/// | its parent's exit, trapping | runs | is finished | is handled | calls `Exited`, casts dropped |
/// | a handler's `Err`, or `?` | runs | `Exited`, unless replied | – | calls `Exited`, casts dropped |
/// | a panic in a handler | runs | `Exited`, unless replied | – | calls `Exited`, casts dropped |
/// | an exit signal, not trapping | no | `Exited`, at its next await | – | calls `Exited`, casts dropped |
/// | [`Runtime::kill`] | no | `Exited`, at its next await | – | calls `Exited`, casts dropped |
///
/// `Exited` is [`CallError::Exited`](crate::CallError::Exited) with the true reason, told as
/// soon as it has ended, also for replies that were kept for later: every call is resolved.
/// What comes when the server has ended is refused: calls by `NoProc`, casts by false. A
/// restart keeps nothing: the new incarnation begins with an empty mailbox, and until it
/// holds the name, calls by that name fail with
/// [`Restarting`](crate::CallError::Restarting), or
/// [wait](ServerRef::call_waiting) for it.
///
/// To reply and then stop, send the reply first. OTP's `{stop, Reason, Reply, State}`
/// replies after `terminate`, so that the caller waits for it; here it doesn't.
///
/// # Cancel safety
///
/// No callback is ever dropped to handle the next message. A callback is dropped at its
/// await when the server is killed, or ended by an exit signal it does not trap; then its
/// destructors run, and nothing else of it.
///
/// # What it costs
///
/// A callback that holds 4 KB across an await costs each such server those 4 KB for its
/// whole life: box what is big.
///
/// # When not to use it
///
/// Not for code that needs no state of its own: call a function. Not for a plain loop
/// that nobody asks anything: [`ChildSpec::task`]. Not as a lock around data that all
/// could read at once: its callers wait in one line.
pub trait GenServer: Sized + Send + 'static {
    /// What a server is started with; [`child`](Self::child) wants it to be `Clone`.
    type Args: Send + 'static;

    /// What can be asked: an enum whose variants hold a [`Reply`](crate::Reply), or just a
    /// `Reply` where there is one question.
    type Call: Send + 'static;

    /// What can be told; `()` where there is nothing, or an enum without variants.
    type Cast: Send + 'static;

    /// Makes the state. Whoever starts the server waits for this, a supervisor too, so what
    /// takes long belongs into [`ServerContext::continue_with`]. OTP: `init/1`. [`GenServer`]
    /// has an example.
    ///
    /// # Errors
    ///
    /// `Err(reason)` and a panic are a failed start; `Err(ctx.ignore())` is one that chose not
    /// to be. [`terminate`](Self::terminate) does not run.
    ///
    /// # Cancel safety
    ///
    /// It is dropped at its await when whoever starts the server stops waiting.
    fn init(
        args: Self::Args,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Handles a question. It need not reply now: the [`Reply`](crate::Reply) may be
    /// kept, or moved elsewhere, and has an example of that. OTP: `handle_call/3`.
    /// [`GenServer`] has an example.
    ///
    /// # Errors
    ///
    /// `Err(reason)`, and `?` on any error, ends the server; so does a panic.
    ///
    /// # Cancel safety
    ///
    /// As of [every callback](Self#cancel-safety).
    fn handle_call(
        &mut self,
        call: Self::Call,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send;

    /// Handles what it is told, by others or by its own
    /// [`continue_with`](ServerContext::continue_with). OTP: `handle_cast/2` and
    /// `handle_continue/2`. [`GenServer`] has an example.
    ///
    /// # Errors
    ///
    /// As [`handle_call`](Self::handle_call).
    ///
    /// # Cancel safety
    ///
    /// As of [every callback](Self#cancel-safety).
    fn handle_cast(
        &mut self,
        cast: Self::Cast,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send;

    /// Handles everything else: bytes, streams, `Down`s, and exits if it traps them. If
    /// not written, it logs what came, at Warn, and drops it. OTP: `handle_info/2`.
    /// [`ServerContext`] has an example.
    ///
    /// # Errors
    ///
    /// As [`handle_call`](Self::handle_call).
    ///
    /// # Cancel safety
    ///
    /// As of [every callback](Self#cancel-safety).
    fn handle_info(
        &mut self,
        info: Received,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        let pid = ctx.pid();
        ignore_panic(
            || tracing::warn!(target: "regrow::server", %pid, info = info.outline(), "unexpected message dropped"),
        );
        ready(Ok(()))
    }

    /// Runs when the time of [`ServerContext::idle_timeout`] was up and nothing had come.
    /// If not written, nothing happens. OTP: `handle_info(timeout, State)`.
    /// [`ServerContext::idle_timeout`] has an example.
    ///
    /// # Errors
    ///
    /// As [`handle_call`](Self::handle_call).
    ///
    /// # Cancel safety
    ///
    /// As of [every callback](Self#cancel-safety).
    fn handle_timeout(
        &mut self,
        ctx: &mut ServerContext<Self>,
    ) -> impl Future<Output = Result> + Send {
        let _ = ctx;
        ready(Ok(()))
    }

    /// Cleans up, knowing why the server ends. After a panic the state is as the handler
    /// left it. A panic in here becomes the reason. If not written, it does nothing. OTP:
    /// `terminate/2`, whose state after a crash is the last one that a handler returned.
    ///
    /// What must be undone whatever happens belongs into a `Drop`: this is not run when the
    /// server is killed, or ended by an exit signal that it does not trap.
    ///
    /// # Cancel safety
    ///
    /// It is dropped at its await when the server is killed: by a supervisor, after its
    /// [shutdown time](crate::Shutdown).
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
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let (out, mut told) = unbounded_channel();
    /// let store = Store::start(&rt, out).await?;
    /// store.cast(());
    /// assert_eq!(told.recv().await.unwrap(), "flushed after panic: as asked");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn terminate(&mut self, reason: &ExitReason) -> impl Future<Output = ()> + Send {
        let _ = reason;
        ready(())
    }

    /// A line that the server publishes of itself, for who [looks at it](ServerRef::get_status):
    /// how it stands, and nothing secret. If not written, it publishes nothing. It is run in
    /// the server's process, between two handlers, so it should be quick; its panic is the
    /// asker's [`NoReply`](crate::CallError::NoReply), and not the server's crash. OTP:
    /// `format_status/1`. [`ServerRef::get_status`] has an example.
    fn format_status(&self) -> Option<String> {
        None
    }

    /// Starts a server linked to nobody. Returns when `init` has. For servers of tests and
    /// small programs; one that is to be kept alive is a [`child`](Self::child). OTP:
    /// `gen_server:start/3`. [`GenServer`] has an example.
    ///
    /// # Errors
    ///
    /// [`StartError::Failed`] with the reason if `init` fails or panics, and
    /// [`StartError::Ignored`] if it chose not to run. By then nothing of it is left.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime: neither now nor at any earlier use.
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

    /// Starts a server under a name, which it holds from before its `init`. OTP:
    /// `gen_server:start/4`.
    ///
    /// # Errors
    ///
    /// [`StartError::AlreadyStarted`] with the holder's pid if the name is held,
    /// [`StartError::NameReserved`] if it is reserved for a child that is being restarted, and then
    /// `init` is not run; else as [`start`](Self::start).
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
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::{Call, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{Name, StartError};
    ///
    /// const COUNTER: Name<Counter> = Name::new("counter");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start_named(&rt, COUNTER, 40).await?;
    /// assert_eq!(rt.server(COUNTER).call(Call::Get).await?, 40);
    ///
    /// let error = Counter::start_named(&rt, COUNTER, 0).await.unwrap_err();
    /// let (name, pid) = ("counter".to_owned(), counter.pid().unwrap());
    /// assert_eq!(error, StartError::AlreadyStarted { name, pid });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn start_named(
        runtime: &Runtime,
        name: Name<Self>,
        args: Self::Args,
    ) -> impl Future<Output = Result<ServerRef<Self>, StartError>> + Send {
        Starting::new(runtime).named(name.into()).run(args)
    }

    /// This server as a value, to be given a name or a time limit, and to be started
    /// linked or monitored. [`ServerSpec`] has an example.
    fn spec(args: Self::Args) -> ServerSpec<Self> {
        ServerSpec::new(args)
    }

    /// This server as a child of a supervisor: started from a clone of `args` each time.
    /// Its id is the type's name, so two of one type need another
    /// [id](ChildSpec::with_id). OTP: `child_spec/1` of an Elixir server.
    ///
    /// ```
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::{Name, Supervisor};
    ///
    /// const COUNTER: Name<Counter> = Name::new("counter");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
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
    /// assert_eq!(counter.call(Call::Get).await?, 40); // a new one, from a clone of the args
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn child(args: Self::Args) -> ChildSpec
    where
        Self::Args: Clone + Sync,
    {
        Self::child_with(move || args.clone())
    }

    /// The same, with fresh arguments for each start: for what can't be cloned, or should not
    /// be. A panic in `args` is the supervisor's crash.
    ///
    /// ```
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use regrow::{Name, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let starts = AtomicU64::new(1);
    /// let child = Counter::child_with(move || starts.fetch_add(1, Ordering::SeqCst));
    /// let tree = Supervisor::one_for_one().child(child.named("counter")).start(&rt).await?;
    /// let counter = rt.server(Name::<Counter>::new("counter"));
    /// assert_eq!(counter.call(Call::Get).await?, 1);
    ///
    /// let ended = counter.ended();
    /// counter.cast(Cast::Crash);
    /// ended.await;
    /// tree.count_children().await?; // answered after the restart
    /// assert_eq!(counter.call(Call::Get).await?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    fn child_with(args: impl Fn() -> Self::Args + Send + Sync + 'static) -> ChildSpec {
        ChildSpec::server::<Self>(args)
    }
}
