//! The handle of a server: its two kinds, and the plain calls.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Pid, SharedStr, after_budget, consume_budget, own_waker};
use crate::call::Reply;
use crate::kernel::Kernel;
use crate::kernel::name_table::Holder;
use crate::mailbox::{Process, Sent};
use crate::runtime::{AwaitReply, CallError, Ended, KnownHolder};
use crate::server::handle::not_held::is_successor;
use crate::server::handle::request::{ask, is_plain_call, observed_call, wait_until_queued};
use crate::server::{GenServer, ServerItem};
use crate::time::deadline_pool::Due;

/// The time limit of [`call`](ServerRef::call) and of system messages, as in OTP.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle to a server. A handle is cheap to clone; dropping it does not affect the server.
///
/// There are two kinds. A *direct* handle, from a start, reaches one incarnation: once that
/// incarnation has ended, each call fails with `NoProc`. A *named* handle, from
/// [`Runtime::server`](crate::Runtime::server), reaches the process that holds the name at the time
/// of each call, so it stays valid through restarts.
///
/// OTP: `ServerRef`, a pid or a name; here the handle knows the type of the server.
///
/// # Examples
///
/// ```
/// # use regrow::doc_counter::{Call, Cast, Counter};
/// # use regrow::{GenServer, Runtime};
/// use regrow::{CallError, ExitReason};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let counter = Counter::start(&rt, 40).await?;
/// assert!(counter.cast(Cast::Add(2)));
/// assert_eq!(counter.call(Call::Get).await?, 42); // after the cast before it
/// assert_eq!(counter.call_unlimited(Call::Get).await?, 42);
///
/// assert_eq!(counter.stop(ExitReason::Normal).await?, ExitReason::Normal);
/// assert_eq!(counter.ended().await, ExitReason::Normal); // also after the end
/// assert!(!counter.cast(Cast::Add(1)));
/// assert_eq!(counter.call(Call::Get).await, Err(CallError::NoProc));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct ServerRef<S: GenServer> {
    pub(crate) target: Target<S>,
}

pub(crate) enum Target<S: GenServer> {
    Direct(Arc<Process<ServerItem<S>>>),
    Named { kernel: Arc<Kernel>, name: SharedStr, known: KnownHolder<ServerItem<S>> },
}

impl<S: GenServer> Target<S> {
    pub(crate) fn named(kernel: Arc<Kernel>, name: SharedStr) -> Self {
        Target::Named { kernel, name, known: KnownHolder::default() }
    }
}

impl<S: GenServer> ServerRef<S> {
    pub(crate) fn direct(process: Arc<Process<ServerItem<S>>>) -> Self {
        ServerRef { target: Target::Direct(process) }
    }

    /// Returns the server's pid. For a named handle, this is the pid of the process that holds the
    /// name now, if there is one. For a direct handle, it is the same pid even after the server has
    /// ended.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::Name;
    ///
    /// const COUNTER: Name<Counter> = Name::new("counter");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let named = rt.server(COUNTER);
    /// assert_eq!(named.pid(), None);
    /// let direct = Counter::start_named(&rt, COUNTER, 0).await?;
    /// assert_eq!(named.pid(), direct.pid());
    /// direct.stop(regrow::ExitReason::Normal).await?;
    /// assert_eq!((named.pid(), direct.pid().is_some()), (None, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn pid(&self) -> Option<Pid> {
        match &self.target {
            Target::Direct(process) => Some(process.pid()),
            Target::Named { kernel, name, .. } => kernel.whereis(name),
        }
    }

    /// Looks the name up, if the handle can remember what it finds. Its copies then need no look-up.
    #[inline]
    pub(crate) fn find(&self) {
        if let Target::Named { kernel, name, known } = &self.target
            && !known.is_taken()
        {
            drop(look_up(kernel, name, known));
        }
    }

    /// Returns the process that a call made now would reach.
    #[inline]
    pub(crate) fn resolve(&self) -> Result<Cow<'_, Arc<Process<ServerItem<S>>>>, CallError> {
        match &self.target {
            Target::Direct(process) => Ok(Cow::Borrowed(process)),
            Target::Named { kernel, name, known } => match known.current() {
                Some(process) => Ok(Cow::Borrowed(process)),
                None => look_up(kernel, name, known),
            },
        }
    }

    /// Returns the error of a request that this process has refused because it is ending. A direct
    /// handle reaches no other process, so the error is `NoProc`. For a named handle, it is
    /// `Restarting` if the process is being restarted, else `NoHolder`.
    #[cold]
    pub(crate) fn refusal(&self, process: &Process<ServerItem<S>>) -> CallError {
        match &self.target {
            Target::Direct(process) => CallError::no_proc(&process.kernel),
            Target::Named { kernel, name, .. } => loop {
                match kernel.holder_after(name, process) {
                    // Another process holds the name by now: the successor, or an unrelated process.
                    Holder::Process(holder) => match is_successor(&*holder) {
                        Some(true) => break CallError::Restarting { retry_in: None },
                        Some(false) => break CallError::NoHolder(name.clone()),
                        // That process has ended since, and holds the name no more.
                        None => {}
                    },
                    no_process => break no_process.error(kernel, name),
                }
            },
        }
    }

    /// Replaces `NoProc`, as the error of a request to this process, by [`refusal`](Self::refusal).
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

    /// Returns the pid of the process that a call made now would reach, dead or alive.
    pub(crate) fn reach(&self) -> Result<Pid, CallError> {
        self.resolve().map(|process| process.pid())
    }

    /// Returns whether the process is in the table, or the name is reserved for a successor.
    pub(crate) fn is_there(&self) -> bool {
        match self.resolve() {
            Ok(process) => process.kernel.table.contains(process.pid()),
            Err(CallError::Restarting { .. }) => true,
            Err(_) => false,
        }
    }

    /// Calls the server, and waits up to five seconds for the answer. `make` puts the [`Reply`]
    /// into the call; usually `make` is the variant itself. OTP: `gen_server:call/2`, which ends
    /// the caller instead of returning an error. [`ServerRef`] has an example.
    ///
    /// # Errors
    ///
    /// `Timeout` after five seconds. If the server is dead, or ends before it has answered, the
    /// call fails at once. [`CallError`] lists all errors.
    ///
    /// # Calling again
    ///
    /// A loop such as `while server.call(..).await.is_err() {}` lets other tasks run, also on one
    /// thread: each call, like every async method of this crate, takes part in tokio's cooperative
    /// budget. But such a loop is never idle, and a paused clock advances only while all tasks are
    /// idle. So under a paused clock a restart with a [delay](crate::Backoff) never happens. Use
    /// [`call_waiting`](Self::call_waiting), which waits for the restart.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the server may still handle it. A call that was never
    /// polled was not sent.
    ///
    /// # Panics
    ///
    /// If the call has to wait, and time is not enabled in the tokio that polls the call. The time
    /// limit of a call is measured by the tokio that polls the call. So a call from another tokio
    /// than the server's ends in time, even if the server's tokio is blocked. If another executor
    /// polls the call, the server's tokio measures the limit.
    #[inline]
    pub fn call<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
    ) -> impl Future<Output = Result<T, CallError>> {
        // No future of its own around that of `call_timeout`: each call would poll it twice.
        self.call_timeout(make, CALL_TIMEOUT)
    }

    /// Calls the server, and waits up to `limit` for the answer, from the first poll on. OTP:
    /// `gen_server:call/3`.
    ///
    /// After a `Timeout` the server may still handle the call, so a second call may do the same
    /// work twice. A late answer is dropped: it can't be taken for the answer of another call.
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
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let slow = Slow::start(&rt, ()).await?; // takes eight seconds to answer
    /// assert_eq!(slow.call(|reply| reply).await, Err(CallError::Timeout));
    /// // The server handles the first call for three more seconds.
    /// assert_eq!(slow.call_timeout(|reply| reply, Duration::from_secs(12)).await?, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn call_timeout<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
        limit: Duration,
    ) -> Result<T, CallError> {
        let mut due = self.kernel().deadlines.due_after(limit);
        let process = match self.resolve() {
            Ok(process) => process,
            Err(_) => {
                consume_budget().await;
                self.resolve()?
            }
        };
        if !is_plain_call(&process) {
            match observed_call(&process) {
                Ok(None) => {}
                Ok(Some(observed)) => {
                    let call = self.call_observed(process.into_owned(), observed, make, due);
                    return Box::pin(call).await;
                }
                Err(error) => return after_budget(Err(error)).await,
            }
        }
        let refine = |error| self.refine_error(error, &process);
        let waker = own_waker().await;
        let (mut answer, sent) = match ask(&process, make, waker) {
            Ok(asked) => asked,
            Err(error) => return after_budget(Err(refine(error))).await,
        };
        if let Sent::InSendQueue(number) = sent {
            let at = due.map(Due::instant);
            due = at.map(Due::At);
            answer =
                Box::pin(wait_until_queued(&process, number, answer, at)).await.map_err(refine)?;
        }
        AwaitReply::until(answer, due, &process).await
    }

    /// Calls the server, and waits for the answer without a limit. Two servers that call each other
    /// in this way wait for ever. OTP: `gen_server:call/3` with `infinity`. [`ServerRef`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), except for `Timeout`.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    //
    // This repeats the code of `call_timeout` without the deadline: a future shared by both methods
    // would cost each call 16 instructions, and each future of this method 48 bytes.
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
        if !is_plain_call(&process) {
            match observed_call(&process) {
                Ok(None) => {}
                Ok(Some(observed)) => {
                    let call = self.call_observed(process.into_owned(), observed, make, None);
                    return Box::pin(call).await;
                }
                Err(error) => return after_budget(Err(error)).await,
            }
        }
        let refine = |error| self.refine_error(error, &process);
        let waker = own_waker().await;
        let (mut answer, sent) = match ask(&process, make, waker) {
            Ok(asked) => asked,
            Err(error) => return after_budget(Err(refine(error))).await,
        };
        if let Sent::InSendQueue(number) = sent {
            answer = Box::pin(wait_until_queued(&process, number, answer, None))
                .await
                .map_err(refine)?;
        }
        AwaitReply::until(answer, None, &process).await
    }

    /// Returns a future that resolves with the reason when the server has ended, at once if it
    /// ended before. For a named handle, the future waits for the process that holds the name now;
    /// if no process holds the name, the future resolves with `NoProc` at once. [`ServerRef`] has
    /// an example.
    ///
    /// # Cancel safety
    ///
    /// As [`Ended`].
    pub fn ended(&self) -> Ended {
        match &self.target {
            Target::Direct(process) => Ended::of(&process.kernel, Some(process.clone())),
            Target::Named { kernel, name, .. } => {
                Ended::of(kernel, kernel.whereis(name).and_then(|pid| kernel.find(pid)))
            }
        }
    }
}

/// Returns the holder of a name, if the holder is a server of this type. The handle remembers it.
#[inline(never)]
fn look_up<'a, S: GenServer>(
    kernel: &Kernel,
    name: &SharedStr,
    known: &'a KnownHolder<ServerItem<S>>,
) -> Result<Cow<'a, Arc<Process<ServerItem<S>>>>, CallError> {
    match kernel.holder(name) {
        Holder::Process(holder) => {
            let found = holder.into_any().downcast().map_err(|_| CallError::WrongType)?;
            Ok(known.remember(found))
        }
        no_process => Err(no_process.error(kernel, name)),
    }
}

impl<S: GenServer> Clone for ServerRef<S> {
    fn clone(&self) -> Self {
        let target = match &self.target {
            Target::Direct(process) => Target::Direct(process.clone()),
            Target::Named { kernel, name, known } => {
                Target::Named { kernel: kernel.clone(), name: name.clone(), known: known.clone() }
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
