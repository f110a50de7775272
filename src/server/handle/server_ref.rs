//! The handle of a server.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::coop::{after_budget, consume_budget, own_waker};
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::call::reply::Reply;
use crate::kernel::Kernel;
use crate::kernel::names::Holder;
use crate::mailbox::record::Process;
use crate::mailbox::record::Sent;
use crate::process::AnyProcess;
use crate::runtime::Runtime;
use crate::runtime::await_reply::AwaitReply;
use crate::runtime::ended::Ended;
use crate::runtime::errors::call_error::CallError;
use crate::server::GenServer;
use crate::server::handle::request::{ask, refuse_self, wait_edge, wait_until_queued};
use crate::server::item::ServerItem;

/// How long a call waits if it doesn't say.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle to a server. Cheap to clone; dropping it does nothing to the server.
///
/// There are two kinds. A *direct* one, from a start, is this very incarnation: when it
/// has ended, calls say `NoProc`, for ever. A *named* one, from [`Runtime::server`], is
/// whoever holds the name at the moment of each call, and so lives through restarts.
///
/// OTP: `ServerRef`, a pid or a name; here it knows the type of the server.
///
/// # Examples
///
/// ```
/// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
/// # use counter::{Call, Cast, Counter};
/// # use regrow::{GenServer, Runtime};
/// use regrow::{CallError, ExitReason};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let counter = Counter::start(&rt, 40).await?;
/// assert!(counter.cast(Cast::Add(2)));
/// assert_eq!(counter.call(Call::Get).await?, 42); // after the cast before it
/// assert_eq!(counter.call_unlimited(Call::Get).await?, 42);
///
/// assert_eq!(counter.stop(ExitReason::Normal).await?, ExitReason::Normal);
/// assert_eq!(counter.ended().await, ExitReason::Normal); // it remembers
/// assert!(!counter.cast(Cast::Add(1)));
/// assert_eq!(counter.call(Call::Get).await, Err(CallError::NoProc));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct ServerRef<S: GenServer> {
    pub(crate) target: Target<S>,
}

pub(crate) enum Target<S: GenServer> {
    Direct(Arc<Process<ServerItem<S>>>),
    Named { kernel: Arc<Kernel>, name: SharedStr },
}

impl<S: GenServer> ServerRef<S> {
    pub(crate) fn direct(process: Arc<Process<ServerItem<S>>>) -> Self {
        ServerRef { target: Target::Direct(process) }
    }

    /// The server's pid; for a named handle the present holder's, if there is one. Of a direct
    /// handle also when the server has ended.
    ///
    /// ```
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::Counter;
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::Name;
    ///
    /// const COUNTER: Name<Counter> = Name::new("counter");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let named = rt.server(COUNTER);
    /// assert_eq!(named.pid(), None);
    /// let direct = Counter::start_named(&rt, COUNTER, 0).await?;
    /// assert_eq!(named.pid(), direct.pid());
    /// direct.stop(regrow::ExitReason::Normal).await?;
    /// assert_eq!((named.pid(), direct.pid().is_some()), (None, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn pid(&self) -> Option<Pid> {
        match &self.target {
            Target::Direct(process) => Some(process.pid()),
            Target::Named { kernel, name } => kernel.whereis(name),
        }
    }

    /// The process that a call made now would reach.
    #[inline]
    pub(crate) fn resolve(&self) -> Result<Cow<'_, Arc<Process<ServerItem<S>>>>, CallError> {
        match &self.target {
            Target::Direct(process) => Ok(Cow::Borrowed(process)),
            Target::Named { kernel, name } => server(kernel, name).map(Cow::Owned),
        }
    }

    /// Why this process takes nothing any more, to whoever asks by this handle. A direct one
    /// knows no other process; by name, one that is being restarted is told from one that is
    /// not.
    #[cold]
    pub(crate) fn refusal(&self, process: &Process<ServerItem<S>>) -> CallError {
        match &self.target {
            Target::Direct(process) => CallError::no_proc(&process.kernel),
            Target::Named { kernel, name } => match kernel.holder_after(name, process) {
                // Somebody else has taken the name since: the successor, or a stranger.
                Holder::Process(holder) => match is_successor(&*holder) {
                    true => CallError::Restarting { retry_in: None },
                    false => CallError::NoProc,
                },
                nobody => nobody.error(kernel),
            },
        }
    }

    /// An error of a question that this process was asked by this handle.
    pub(crate) fn refine_error(
        &self,
        error: CallError,
        process: &Process<ServerItem<S>>,
    ) -> CallError {
        match error {
            CallError::NoProc => self.refusal(process),
            other => other,
        }
    }

    /// The process that a call made now would reach, dead or alive.
    pub(crate) fn reach(&self) -> Result<Pid, CallError> {
        self.resolve().map(|process| process.pid())
    }

    /// Whether its process is in the table, or its name reserved for a successor.
    pub(crate) fn is_there(&self) -> bool {
        match self.resolve() {
            Ok(process) => process.kernel.table.contains(&process.pid()),
            Err(CallError::Restarting { .. }) => true,
            Err(_) => false,
        }
    }

    /// Asks the server, and waits up to five seconds for the answer. `make` puts the
    /// [`Reply`] into the question; most often it is the variant itself. OTP:
    /// `gen_server:call/2`, which ends the caller where this returns an error.
    /// [`ServerRef`] has an example.
    ///
    /// # Errors
    ///
    /// At once, when the server is dead or dies; after five seconds, `Timeout`. See
    /// [`CallError`] for each.
    ///
    /// # Calling again
    ///
    /// A loop such as `while server.call(..).await.is_err() {}` lets other tasks run, also
    /// where there is one thread: each call, like every async method of this crate, takes part
    /// in tokio's cooperative budget. But such a loop is never idle, and a paused clock moves
    /// only while all are: under it no virtual time passes, and a restart that
    /// [waits](crate::Backoff) never comes. [`call_waiting`](Self::call_waiting) waits for the
    /// restart.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the server may still handle it. One that was
    /// never polled has asked nothing.
    ///
    /// # Panics
    ///
    /// If it has to wait, and time is not enabled in the tokio that polls it: that one times the
    /// five seconds, so a call from another tokio than the server's ends in time whatever that
    /// one does. Polled by an executor that is not tokio, a call is timed by the server's.
    pub async fn call<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
    ) -> Result<T, CallError> {
        self.call_timeout(make, CALL_TIMEOUT).await
    }

    /// Asks the server, and waits up to `limit` for the answer, from the first poll on. OTP:
    /// `gen_server:call/3`.
    ///
    /// After a `Timeout` the server may still handle the question, so asking again may do
    /// twice what it asks for. A late answer goes nowhere: it can't be taken for another's.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::CallError;
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # struct Slow;
    /// # impl GenServer for Slow {
    /// #     type Args = ();
    /// #     type Call = Reply<u32>;
    /// #     type Cast = ();
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Slow)
    /// #     }
    /// #     async fn handle_call(&mut self, reply: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
    /// #         tokio::time::sleep(Duration::from_secs(8)).await;
    /// #         reply.send(8);
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let slow = Slow::start(&rt, ()).await?; // it takes eight seconds to answer
    /// assert_eq!(slow.call(|reply| reply).await, Err(CallError::Timeout));
    /// // It is still at the first question, for three more seconds.
    /// assert_eq!(slow.call_timeout(|reply| reply, Duration::from_secs(12)).await?, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn call_timeout<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Result<T, CallError> {
        let due = Instant::now().checked_add(limit);
        let process = match self.resolve() {
            Ok(process) => process,
            Err(_) => {
                consume_budget().await;
                self.resolve()?
            }
        };
        let edge = refuse_self(&process).and_then(|caller| wait_edge(&process, caller));
        match edge {
            Ok(None) => {}
            Ok(Some(edge)) => {
                return Box::pin(self.call_with_edge(process.into_owned(), edge, make, due)).await;
            }
            Err(error) => return after_budget(Err(error)).await,
        }
        let refine = |error| self.refine_error(error, &process);
        let waker = own_waker().await;
        let (mut answer, sent) = match ask(&process, make, waker) {
            Ok(asked) => asked,
            Err(error) => return after_budget(Err(refine(error))).await,
        };
        if let Sent::InLine(number) = sent {
            answer =
                Box::pin(wait_until_queued(&process, number, answer, due)).await.map_err(refine)?;
        }
        AwaitReply::until(answer, due, &process).await
    }

    /// Asks the server, and waits however long it takes. For servers whose answer is
    /// worth it; a supervisor is one. Two servers that ask each other so wait for ever. OTP:
    /// `gen_server:call/3` with `infinity`. [`ServerRef`] has an example.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), but for `Timeout`.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_unlimited<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
    ) -> Result<T, CallError> {
        let process = match self.resolve() {
            Ok(process) => process,
            Err(_) => {
                consume_budget().await;
                self.resolve()?
            }
        };
        let edge = refuse_self(&process).and_then(|caller| wait_edge(&process, caller));
        match edge {
            Ok(None) => {}
            Ok(Some(edge)) => {
                return Box::pin(self.call_with_edge(process.into_owned(), edge, make, None)).await;
            }
            Err(error) => return after_budget(Err(error)).await,
        }
        let refine = |error| self.refine_error(error, &process);
        let waker = own_waker().await;
        let (mut answer, sent) = match ask(&process, make, waker) {
            Ok(asked) => asked,
            Err(error) => return after_budget(Err(refine(error))).await,
        };
        if let Sent::InLine(number) = sent {
            answer = Box::pin(wait_until_queued(&process, number, answer, None))
                .await
                .map_err(refine)?;
        }
        AwaitReply::until(answer, None, &process).await
    }

    /// Resolves with the reason when the server has ended, also long after it did. A named
    /// handle waits for who holds the name now; if nobody does, `NoProc` at once.
    /// [`ServerRef`] has an example.
    ///
    /// # Cancel safety
    ///
    /// As [`Ended`].
    pub fn ended(&self) -> Ended {
        match &self.target {
            Target::Direct(process) => {
                let runtime = Runtime { kernel: process.kernel.clone() };
                Ended::of(&runtime, Some(process.clone()))
            }
            Target::Named { kernel, name } => {
                let runtime = Runtime { kernel: kernel.clone() };
                let holder = kernel.whereis(name).and_then(|pid| kernel.find(pid));
                Ended::of(&runtime, holder)
            }
        }
    }
}

/// The holder of a name, if it is a server of this type.
fn server<S: GenServer>(
    kernel: &Kernel,
    name: &str,
) -> Result<Arc<Process<ServerItem<S>>>, CallError> {
    match kernel.holder(name) {
        Holder::Process(holder) => holder.into_any().downcast().map_err(|_| CallError::WrongType),
        nobody => Err(nobody.error(kernel)),
    }
}

/// Whether a supervisor has started it in the place of another.
fn is_successor(holder: &dyn AnyProcess) -> bool {
    let parent = holder.with(|locked| locked.core().relations()?.parent);
    parent.and_then(|parent| parent.role).is_some_and(|role| role.slot.start > 1)
}

impl Holder {
    /// What a caller is told where nobody holds the name.
    fn error(self, kernel: &Kernel) -> CallError {
        match self {
            Holder::Successor { until } => {
                let left = |until: Instant| until.saturating_duration_since(Instant::now());
                CallError::Restarting { retry_in: until.map(left) }
            }
            Holder::Process(_) | Holder::Nobody => CallError::no_proc(kernel),
        }
    }
}

impl<S: GenServer> Clone for ServerRef<S> {
    fn clone(&self) -> Self {
        let target = match &self.target {
            Target::Direct(process) => Target::Direct(process.clone()),
            Target::Named { kernel, name } => {
                Target::Named { kernel: kernel.clone(), name: name.clone() }
            }
        };
        ServerRef { target }
    }
}

impl<S: GenServer> fmt::Debug for ServerRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Direct(process) => write!(f, "ServerRef({})", process.pid()),
            Target::Named { name, .. } => write!(f, "ServerRef({name:?})"),
        }
    }
}
