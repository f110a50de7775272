//! The error of a call.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::base::one_line::quoted;
use crate::base::{Pid, SharedStr};
use crate::exit::{Causeless, Crash, ExitReason};
use crate::kernel::{Kernel, TOKIO_GONE};
use crate::runtime::CallChain;

/// Why a call got no reply.
///
/// The `source` of [`Exited`](Self::Exited) is the error that ended the server, so `?` in the body
/// or the handler of another process keeps the whole chain of causes. The [`Display`](fmt::Display)
/// text does not repeat the source.
///
/// OTP: a failed call exits the caller. Here the call returns an error; `?` in the body or a
/// handler of the calling process ends that process too.
///
/// # Examples
///
/// ```
/// # use regrow::doc_counter::{Call, Cast, Counter};
/// # use regrow::{GenServer, Runtime};
/// use regrow::CallError;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let counter = Counter::start(&rt, 0).await?;
/// counter.cast(Cast::Crash); // handled before the call
/// let Err(CallError::Exited(reason)) = counter.call(Call::Get).await else { panic!() };
/// assert_eq!(reason.crash().unwrap().message(), "as asked");
///
/// // This call is made after the end of the process that the handle refers to.
/// assert_eq!(counter.call(Call::Get).await, Err(CallError::NoProc));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// There is no such process: the process of this handle has ended. Calls also fail with this
    /// error if the server ended while the call waited for room in its mailbox. The request was not
    /// handled.
    NoProc,
    /// [`NoProc`](Self::NoProc) of a call by name: no process held this name when the call was made,
    /// and no supervisor [will start one](Self::Restarting) under the name. The request was not
    /// handled.
    NoHolder(SharedStr),
    /// The server ended before it replied, for this reason. It is not known whether the server
    /// handled the request. If `stop` returns this error, the server ended for this reason instead
    /// of the requested one.
    Exited(ExitReason),
    /// Only for calls by name: the holder of the name has ended or has accepted an exit, and its
    /// supervisor will start a successor. Try again soon. The request was not handled.
    ///
    /// A call gets this error while a permanent child is restarted, whatever the reason of its end;
    /// while a transient child is restarted after an abnormal reason; and while either is restarted
    /// together with its siblings. The error is [`NoProc`](Self::NoProc) for a temporary child, and
    /// while the supervisor stops that child, stops itself or is ending. `Restarting` describes the
    /// state at the time of the call: the supervisor may still reach its restart limit instead.
    Restarting {
        /// The delay until the next start, if a backoff sets one; `None` if the start is immediate
        /// or the delay is not known yet.
        retry_in: Option<Duration>,
    },
    /// The server lives, but dropped the reply without an answer.
    NoReply,
    /// The deadline of the call passed. The server may still handle the call; its answer is then
    /// dropped.
    Timeout,
    /// The deadline of the call passed, and more than one call was involved: the caller handled a
    /// call itself, or the server still waited for another server. This error is returned in the
    /// place of [`Timeout`](Self::Timeout), and only while [deadlines are
    /// propagated](crate::Runtime::propagate_deadlines). The servers may still handle their calls. If
    /// the deadline had passed before this call was made, the call was not sent.
    ChainTimeout {
        /// The caller of the first call, the server of each call down to this one, and from there on
        /// the servers that were still awaited.
        chain: CallChain,
    },
    /// A server called itself. Such a call would wait for ever. A handler can use the state of the
    /// server directly, and [`continue_with`](crate::ServerContext::continue_with) schedules work
    /// for after the handler.
    CallingSelf,
    /// Only for a mailbox with [a bound](crate::Overflow): the mailbox is full, or stayed full
    /// while the call waited for room, or dropped the request for a newer one. The request was not
    /// handled.
    Overloaded,
    /// Only for casts: the server has been asked to stop, or runs `terminate`, and takes no more
    /// casts. The message was not queued. [`ServerRef::ended`](crate::ServerRef::ended) waits for
    /// the end of the server. A call to such a server gets [`Exited`](Self::Exited) at its end.
    Stopping,
    /// The process that holds the name is not a server of this type.
    WrongType,
    /// The call would have closed a cycle of processes that wait for each other for ever. This
    /// error is returned only while [deadlock detection](crate::Runtime::detect_deadlocks) is on;
    /// otherwise such calls end with [`Timeout`](Self::Timeout). The request was not handled.
    Deadlock {
        /// Each process waits for the next one. The first pid is repeated at the end, and is that
        /// of the process that made this call.
        cycle: Vec<Pid>,
    },
    /// Only for [`peek`](crate::ServerRef::peek) and [`update`](crate::ServerRef::update): the
    /// closure of the caller panicked, in the process of the server.
    Panicked {
        /// The panic, with its message and its location.
        crash: Crash,
        /// Whether the server ends with this crash as its reason: true for `update`, because the
        /// closure may have changed half of the state; false for `peek`.
        server_ends: bool,
    },
    /// Only for calls to another node: there is no connection to it, or the connection was lost before
    /// the answer came. In the first case the request was not handled; in the second it may have been.
    NoConnection,
    /// Only for calls to another node: the request has no term, or the server there has no such call.
    /// The text says why, and quotes nothing of the request. The request was not handled.
    InvalidRequest(SharedStr),
    /// Only for calls to another node: the answer has no term, or is not of the type that the caller
    /// expects. The text says why, and quotes nothing of the answer. The request was handled.
    InvalidAnswer(SharedStr),
    /// The tokio runtime that the [`Runtime`](crate::Runtime) runs on has shut down, so its
    /// processes no longer run. This error takes the place of [`NoProc`](Self::NoProc). Create a
    /// `Runtime` in each tokio runtime, and so in each `#[tokio::test]`, instead of sharing one.
    TokioGone,
}

impl CallError {
    /// Returns whether there was no process to handle the request, and none is about to come:
    /// [`NoProc`](Self::NoProc) or [`NoHolder`](Self::NoHolder).
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// use regrow::{CallError, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let error = rt.server::<Counter>("counters").call(Call::Get).await.unwrap_err();
    /// assert_eq!(error, CallError::NoHolder("counters".into()));
    /// assert_eq!(error.to_string(), "no process holds the name \"counters\"");
    /// assert!(error.is_no_proc());
    /// # }));
    /// ```
    pub fn is_no_proc(&self) -> bool {
        matches!(self, CallError::NoProc | CallError::NoHolder(_))
    }

    /// Returns whether the deadline of the call passed: [`Timeout`](Self::Timeout) or
    /// [`ChainTimeout`](Self::ChainTimeout).
    ///
    /// ```
    /// use regrow::CallError;
    ///
    /// assert!(CallError::Timeout.is_timeout());
    /// assert!(!CallError::NoReply.is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, CallError::Timeout | CallError::ChainTimeout { .. })
    }

    /// Writes an error that only calls to other nodes get.
    fn fmt_remote(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::InvalidRequest(why) => {
                write!(f, "the request is no call of the server: {why}")
            }
            CallError::InvalidAnswer(why) => write!(f, "the answer can't be used: {why}"),
            _ => f.write_str("there is no connection to the server's node"),
        }
    }

    /// Returns the error of a request for which there is no process.
    #[cold]
    pub(crate) fn no_proc(kernel: &Kernel) -> Self {
        if kernel.tokio_is_gone() { CallError::TokioGone } else { CallError::NoProc }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::NoProc => f.write_str("there is no such process"),
            CallError::NoHolder(name) => write!(f, "no process holds the name {}", quoted(name)),
            CallError::Exited(reason) => write!(f, "the server has ended: {}", Causeless(reason)),
            CallError::Restarting { retry_in: None } => f.write_str("the server is being restarted"),
            CallError::Restarting { retry_in: Some(wait) } => {
                write!(f, "the server is being restarted, next try in {wait:?}")
            }
            CallError::NoReply => f.write_str(
                "the server dropped the reply unsent: its handler must send or keep it",
            ),
            CallError::Timeout => f.write_str(
                "the server did not reply in time: it may still handle the call, so repeat only what \
                 may be handled twice",
            ),
            CallError::ChainTimeout { chain } => write!(
                f,
                "{chain}, and got no reply in time: the servers may still handle the calls, so \
                 repeat only what may be handled twice",
            ),
            CallError::CallingSelf => f.write_str(
                "a server cannot call itself: use its state directly, or `continue_with`",
            ),
            CallError::Overloaded => f.write_str("the server's mailbox is full: try again later"),
            CallError::Stopping => f.write_str("the server is stopping and takes no more casts"),
            CallError::WrongType => f.write_str("the process is not a server of this type"),
            CallError::Deadlock { cycle } => {
                f.write_str(
                    "these processes would wait for each other for ever, make one of the calls a cast:",
                )?;
                cycle.iter().try_for_each(|pid| write!(f, " {pid}"))
            }
            CallError::Panicked { crash, server_ends } => {
                let server = if *server_ends { "the server ends" } else { "the server runs on" };
                write!(f, "the closure of this request panicked, {server}: {crash}")
            }
            CallError::TokioGone => f.write_str(TOKIO_GONE),
            remote => remote.fmt_remote(f),
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CallError::Exited(reason) => reason.cause(),
            _ => None,
        }
    }
}
