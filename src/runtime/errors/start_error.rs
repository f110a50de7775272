//! Why a process was not started.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::base::pid::Pid;
use crate::exit::reason::{Causeless, ExitReason};
use crate::kernel::tokio_gone::TOKIO_GONE;
use crate::runtime::errors::call_error::CallError;
use crate::runtime::names::write_reserved;

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
