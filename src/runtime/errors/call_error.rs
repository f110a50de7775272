//! Why a call, or a start, didn't give what was asked.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::base::pid::Pid;
use crate::exit::reason::{Causeless, ExitReason};
use crate::kernel::Kernel;
use crate::kernel::tokio_gone::TOKIO_GONE;
use crate::runtime::names::write_reserved;

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

/// Why a process was not started. Nothing of it is left when this is returned: it has
/// ended, and its name is free.
///
/// `?` in another process' body or handler turns it into that process' crash. Its `source` is the
/// error that ended the process, also where that is a child of a child; its
/// [`Display`](fmt::Display) says everything but that error. OTP: `{error, Reason}` and `ignore`.
///
/// # Examples
///
/// ```
/// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
/// # use regrow::Runtime;
/// use regrow::{ChildSpec, StartError, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let counter = ChildSpec::task("counter", |_| std::future::pending()).named("counter");
/// let tree = Supervisor::one_for_one().child(counter.clone()).start(&rt).await?;
///
/// // A second tree that wants the same name.
/// let error = Supervisor::one_for_one().child(counter).start(&rt).await.unwrap_err();
/// let StartError::Child { id, error } = error else { panic!() };
/// let pid = rt.whereis("counter").unwrap();
/// assert_eq!(id, "counter");
/// assert_eq!(*error, StartError::AlreadyStarted { name: "counter".into(), pid });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// Its `init` chose not to run: no failure, and no process.
    Ignored,
    /// It ended before it was ready, for this reason.
    Failed(ExitReason),
    /// The tokio runtime that the [`Runtime`](crate::Runtime) runs on has shut down, so no process
    /// of it runs any more. Make a `Runtime` in each tokio runtime, as in each `#[tokio::test]`,
    /// instead of sharing one.
    TokioGone,
    /// Its `init` took longer than this, so it was killed.
    InitTimeout(Duration),
    /// It did not say within this time that it is ready, so it was stopped.
    NotReady(Duration),
    /// Another process holds the name, of this supervisor or not; `init` was not run. If a child's
    /// id is taken, the error is [`AlreadyRunning`](Self::AlreadyRunning).
    AlreadyStarted {
        /// The name.
        name: String,
        /// The process that holds it.
        pid: Pid,
    },
    /// The name is reserved for a child that its supervisor starts again, so `init` was not run:
    /// wait for that child, terminate or delete it, or take another name.
    NameReserved {
        /// The name.
        name: String,
        /// The id of the child whose specification gives this name.
        child: String,
        /// The supervisor of that child.
        supervisor: Pid,
    },
    /// A child of a supervisor was not started, so the supervisor was not started either. Where
    /// more than 128 supervisors below each other failed in this way, those in the middle are left
    /// out, and one with the id `…` stands for them.
    Child {
        /// The child's id.
        id: String,
        /// Why it was not.
        error: Box<StartError>,
    },
    /// Two children have this id: give one of them another.
    DuplicateId(String),
    /// A child of this id runs under this supervisor: terminate and delete that one, or give this
    /// one another id. If another process holds the name, the error is
    /// [`AlreadyStarted`](Self::AlreadyStarted).
    AlreadyRunning {
        /// The child's id.
        id: String,
        /// The child's pid.
        pid: Pid,
    },
    /// A child of this id is known to the supervisor, but not running: restart or
    /// delete that one.
    AlreadyPresent(String),
    /// The dynamic supervisor has as many children as it is to have, this many.
    MaxChildren(usize),
    /// The last child of this name ended too often, and its dynamic supervisor gave it up alone.
    /// Nothing is started under the name until a restart would be within the child's own budget
    /// again: [`DynamicSupervisor::child_intensity`](crate::DynamicSupervisor::child_intensity).
    GivenUp {
        /// The name.
        name: String,
        /// In how long the next start under this name is tried.
        retry_in: Duration,
        /// Why the child last ended, or was not started.
        reason: ExitReason,
    },
    /// A setting that can't work, and what to do about it.
    Invalid(String),
    /// The supervisor itself could not be asked.
    Unreachable(CallError),
}

/// A [`StartError::Child`] has so many others in it at most: each level above clones and compares
/// them all, on its stack.
const NESTED: usize = 128;

impl StartError {
    /// The error of a supervisor whose child of this id failed to start with this one.
    pub(crate) fn of_child(id: String, error: StartError) -> Self {
        let mut ids = Vec::new();
        let mut error = error;
        while let StartError::Child { id, error: below } = error {
            ids.push(id);
            error = *below;
        }
        if ids.len() >= NESTED {
            let gap = ids.len() / 2;
            ids.splice(gap..=gap + 1, ["…".to_owned()]);
        }
        let wrap = |error, id| StartError::Child { id, error: Box::new(error) };
        ids.into_iter().rev().chain([id]).fold(error, wrap)
    }

    /// What a start that failed counts as, where an end is asked for.
    pub(crate) fn as_reason(&self) -> ExitReason {
        match self {
            StartError::Failed(reason) => reason.clone(),
            other => ExitReason::from_library(other.clone()),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Ignored => f.write_str("init chose not to run"),
            StartError::Failed(reason) => {
                write!(f, "it ended before it was ready: {}", Causeless(reason))
            }
            StartError::TokioGone => f.write_str(TOKIO_GONE),
            StartError::NotReady(limit) => write!(f, "it was not ready within {limit:?}"),
            StartError::InitTimeout(limit) => write!(f, "its init took longer than {limit:?}"),
            StartError::AlreadyStarted { name, pid } => {
                write!(f, "the name {name:?} is held by {pid}: take another, or use that process")
            }
            StartError::NameReserved { name, child, supervisor } => {
                write_reserved(f, name, child, *supervisor)
            }
            StartError::Child { id, error } => not_started(f, id, error),
            StartError::DuplicateId(id) => write!(f, "there are two children with the id {id:?}"),
            StartError::AlreadyRunning { id, pid } => write!(
                f,
                "a child {id:?} runs under this supervisor, as {pid}: terminate and delete it, or \
                 give this one another id"
            ),
            StartError::AlreadyPresent(id) => {
                write!(f, "child {id:?} is present but not running: restart or delete it")
            }
            StartError::MaxChildren(most) => {
                write!(f, "the supervisor has {most} children, and is to have no more")
            }
            StartError::GivenUp { name, retry_in, reason } => write!(
                f,
                "{name:?} ended too often and was given up: not started again for {retry_in:?}, \
                 last: {}",
                Causeless(reason)
            ),
            StartError::Invalid(what) => f.write_str(what),
            StartError::Unreachable(error) => {
                write!(f, "the supervisor could not be asked: {error}")
            }
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StartError::Child { error, .. } => innermost(error).0.source(),
            StartError::Failed(reason) | StartError::GivenUp { reason, .. } => reason.cause(),
            StartError::Unreachable(error) => error.source(),
            _ => None,
        }
    }
}

/// So many supervisors are named on the way down to a child that was not started, and of more only
/// the last.
const WAY: usize = 32;

/// The error at the end of the way down, and how many supervisors are on it.
fn innermost(error: &StartError) -> (&StartError, usize) {
    let (mut at, mut depth) = (error, 0);
    while let StartError::Child { error, .. } = at {
        (at, depth) = (error, depth + 1);
    }
    (at, depth)
}

/// Names the whole way down. No recursion: a tree may be deeper than the stack.
fn not_started(f: &mut fmt::Formatter<'_>, id: &str, error: &StartError) -> fmt::Result {
    let (why, below) = innermost(error);
    write!(f, "child {id:?} was not started: ")?;
    let mut at = error;
    for nth in 0..below {
        let StartError::Child { id, error } = at else { break };
        if nth < WAY || nth + 1 == below {
            write!(f, "child {id:?} was not started: ")?;
        } else if nth == WAY {
            write!(f, "… ({} more): ", below - WAY - 1)?;
        }
        at = error;
    }
    write!(f, "{why}")
}
