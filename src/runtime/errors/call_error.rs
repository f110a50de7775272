//! Why a call got no reply.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::base::pid::Pid;
use crate::exit::reason::{Causeless, ExitReason};
use crate::kernel::Kernel;
use crate::kernel::tokio_gone::TOKIO_GONE;

/// Why a call got no reply. It is an [`Error`] whose `source` is the error that ended the
/// server, so `?` in another process' body or handler keeps the whole story. Its
/// [`Display`](fmt::Display) does not repeat its source.
///
/// OTP exits the caller instead; here it is the caller's choice, and `?` is that exit.
///
/// # Examples
///
/// ```
/// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
/// # use counter::{Call, Cast, Counter};
/// # use regrow::{GenServer, Runtime};
/// use regrow::CallError;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let counter = Counter::start(&rt, 0).await?;
/// counter.cast(Cast::Crash); // handled before the call is
/// let Err(CallError::Exited(reason)) = counter.call(Call::Get).await else { panic!() };
/// assert_eq!(reason.crash().unwrap().message(), "as asked");
///
/// // The call was made after its end: this handle is of a process that is no more.
/// assert_eq!(counter.call(Call::Get).await, Err(CallError::NoProc));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// There was no such process when the call was made, or nobody held the name and nobody
    /// will be [started](Self::Restarting) under it; or it ended while the call waited for
    /// room in its mailbox. The question was not handled.
    NoProc,
    /// The server ended before it replied, for this reason. Whether it handled the
    /// question isn't known. Of a stop: it ended for this reason, and not for the one that was
    /// asked for.
    Exited(ExitReason),
    /// Only by name: the holder of the name has ended, or has accepted an exit, and its
    /// supervisor will start a successor: try again soon. The question was not handled.
    ///
    /// Said of a permanent child whatever its reason, of a transient one after an abnormal
    /// reason, and of both while their group is restarted; not of a temporary child, nor
    /// while the supervisor stops that child, stops itself or is ending: there
    /// [`NoProc`](Self::NoProc). It is what is known at that moment: the supervisor may find
    /// that it has no restart left.
    Restarting {
        /// In how long, where a backoff says so; `None` is at once, or not known yet.
        retry_in: Option<Duration>,
    },
    /// The server lives, but dropped the reply: nobody will answer.
    NoReply,
    /// The time was up. The server may still handle the call; its reply goes nowhere.
    Timeout,
    /// A server called itself, which could only wait for ever. In its handlers it has
    /// its state at hand; [`continue_with`](crate::ServerContext::continue_with) is for
    /// later.
    CallingSelf,
    /// The server's mailbox is full, or was while the call waited for room, or has dropped
    /// the question for a newer one: only where it [has a bound](crate::Overflow). The
    /// question was not handled.
    Overloaded,
    /// The process that holds the name is no server of this type.
    WrongType,
    /// The processes of this cycle would have waited for each other for ever: only while
    /// [deadlocks are looked for](crate::Runtime::detect_deadlocks), else such calls end
    /// by [`Timeout`](Self::Timeout). The question was not handled.
    Deadlock {
        /// Each process waits for the next one. The first, which is also the last, made this call.
        cycle: Vec<Pid>,
    },
    /// In place of [`NoProc`](Self::NoProc): the tokio runtime that the
    /// [`Runtime`](crate::Runtime) runs on has shut down, so no process of it runs any more. Make
    /// a `Runtime` in each tokio runtime, as in each `#[tokio::test]`, instead of sharing one.
    TokioGone,
}

impl CallError {
    /// The error of a request that no process takes.
    #[cold]
    pub(crate) fn no_proc(kernel: &Kernel) -> Self {
        if kernel.tokio_is_gone() { CallError::TokioGone } else { CallError::NoProc }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::NoProc => f.write_str("there is no such process"),
            CallError::Exited(reason) => {
                write!(f, "the server has ended: {}", Causeless(reason))
            }
            CallError::Restarting { retry_in: None } => {
                f.write_str("the server is being restarted")
            }
            CallError::Restarting { retry_in: Some(wait) } => {
                write!(f, "the server is being restarted, next try in {wait:?}")
            }
            CallError::NoReply => f.write_str(
                "the server dropped the reply unsent: its handler is to send or keep it",
            ),
            CallError::Timeout => f.write_str(
                "the server did not reply in time: it may still handle the call, so ask again only \
                 what may be done twice",
            ),
            CallError::CallingSelf => f.write_str(
                "a server cannot wait for itself: use its state at once, or `continue_with`",
            ),
            CallError::Overloaded => f.write_str("the server's mailbox is full: try again later"),
            CallError::WrongType => f.write_str("the process is no server of this type"),
            CallError::Deadlock { cycle } => {
                f.write_str(
                    "make one of these calls a cast, they would wait for each other for ever:",
                )?;
                cycle.iter().try_for_each(|pid| write!(f, " {pid}"))
            }
            CallError::TokioGone => f.write_str(TOKIO_GONE),
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
