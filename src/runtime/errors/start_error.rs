//! The error of a start.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::base::Pid;
use crate::exit::{Causeless, ExitReason};
use crate::kernel::TOKIO_GONE;
use crate::runtime::CallError;
use crate::runtime::names::reserved;

/// Why a process was not started. When a start returns this error, the process that it created, if
/// any, has ended and holds no name. Only after [`Unreachable`](Self::Unreachable) the process may
/// be alive.
///
/// `?` in the body or the handler of another process turns this error into a crash of that process.
/// The `source` of this error is the error that ended the process, also if that process is a child
/// of a child. The [`Display`](fmt::Display) text shows everything except the source. OTP:
/// `{error, Reason}` and `ignore`.
///
/// # Examples
///
/// ```
/// # use regrow::Runtime;
/// use regrow::{ChildSpec, StartError, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// `init` chose not to run the process. This is not a failure, and there is no process.
    Ignored,
    /// The process ended before it was ready, for this reason.
    Failed(ExitReason),
    /// The tokio runtime that the [`Runtime`](crate::Runtime) runs on has shut down, so its
    /// processes no longer run. Create a `Runtime` in each tokio runtime, and so in each
    /// `#[tokio::test]`, instead of sharing one.
    TokioGone,
    /// `init` took longer than this limit, so the process was killed.
    InitTimeout(Duration),
    /// The process did not report within this time that it is ready, so it was stopped.
    NotReady(Duration),
    /// Another process, a child of this supervisor or not, holds the name. `init` was not run. If
    /// the id of a child is taken, the error is [`AlreadyRunning`](Self::AlreadyRunning).
    AlreadyStarted {
        /// The name.
        name: String,
        /// The process that holds it.
        pid: Pid,
    },
    /// The name is reserved for a child that its supervisor is restarting. `init` was not run. Wait
    /// for that child, terminate or delete it, or use another name.
    NameReserved {
        /// The name.
        name: String,
        /// The id of the child whose specification gives this name.
        child: String,
        /// The supervisor of that child.
        supervisor: Pid,
    },
    /// A child of a supervisor was not started, so the supervisor was not started either. If more
    /// than 128 nested supervisors failed in this way, the ones in the middle are replaced by a
    /// single one with the id `…`.
    Child {
        /// The child's id.
        id: String,
        /// Why the child was not started.
        error: Box<StartError>,
    },
    /// Two children have this id. Give one of them another id.
    DuplicateId(String),
    /// A child with this id runs under this supervisor. Terminate and delete that child, or give
    /// the new child another id. If another process holds the name, the error is
    /// [`AlreadyStarted`](Self::AlreadyStarted).
    AlreadyRunning {
        /// The child's id.
        id: String,
        /// The child's pid.
        pid: Pid,
    },
    /// The supervisor has a child with this id that does not run. Restart or delete that child.
    AlreadyPresent(String),
    /// The dynamic supervisor already has this many children, which is its maximum.
    MaxChildren(usize),
    /// The last child with this name ended too often, so its dynamic supervisor gave up this child,
    /// but no other child. No child is started under the name until a restart is within the child's
    /// own limit again:
    /// [`DynamicSupervisor::child_intensity`](crate::DynamicSupervisor::child_intensity).
    GivenUp {
        /// The name.
        name: String,
        /// The time until a start under this name is allowed again.
        retry_in: Duration,
        /// Why the child last ended or was last not started.
        reason: ExitReason,
    },
    /// A setting is invalid. The text says which one, and how to correct it.
    Invalid(String),
    /// The call to the supervisor failed.
    Unreachable(CallError),
}

/// The largest number of nested [`StartError::Child`]s. Each supervisor above clones and compares
/// all of them, recursively on the stack.
const NESTED: usize = 128;

impl StartError {
    /// Returns the error of a supervisor whose child with this id failed to start with `error`.
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

    /// Returns whether another start may succeed. A description that can't work and a tokio that has
    /// shut down fail every start.
    pub(crate) fn may_pass(&self) -> bool {
        let (error, _) = innermost(self);
        !matches!(
            error,
            StartError::Invalid(_) | StartError::DuplicateId(_) | StartError::TokioGone
        )
    }

    /// Returns the exit reason that stands for a failed start.
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
                f.write_str(&reserved(name, child, *supervisor))
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
                write!(f, "the supervisor has {most} children, which is its maximum")
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

/// The largest number of supervisors that `Display` names above a child that was not started. If
/// there are more, `Display` names these and the innermost one.
const NAMED: usize = 32;

/// Returns the error of the innermost child, and the number of supervisors above that child.
fn innermost(error: &StartError) -> (&StartError, usize) {
    let (mut at, mut depth) = (error, 0);
    while let StartError::Child { error, .. } = at {
        (at, depth) = (error, depth + 1);
    }
    (at, depth)
}

/// Writes the nested errors. This function is not recursive, because a tree may be deeper than the
/// stack allows.
fn not_started(f: &mut fmt::Formatter<'_>, id: &str, error: &StartError) -> fmt::Result {
    let (why, below) = innermost(error);
    write!(f, "child {id:?} was not started: ")?;
    let mut at = error;
    for nth in 0..below {
        let StartError::Child { id, error } = at else { break };
        if nth < NAMED || nth + 1 == below {
            write!(f, "child {id:?} was not started: ")?;
        } else if nth == NAMED {
            write!(f, "… ({} more): ", below - NAMED - 1)?;
        }
        at = error;
    }
    write!(f, "{why}")
}
