//! The information that a supervisor returns about its children, and the errors of requests about a
//! child.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::Pid;
use crate::child::ChildType;
use crate::runtime::{CallError, StartError};
use crate::supervisor::History;

/// Information about one child, as
/// [`SupervisorRef::which_children`](crate::SupervisorRef::which_children) returns it. OTP: the
/// tuple `{Id, Child, Type, Modules}`.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, ChildState, ChildType, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let job = ChildSpec::task("job", |_| std::future::pending());
/// let tree = Supervisor::one_for_one().child(job).start(&rt).await?;
/// let children = tree.which_children().await?;
/// assert_eq!((children[0].id.as_str(), children[0].kind), ("job", ChildType::Worker));
/// assert_eq!(children[0].state, ChildState::Running(children[0].pid().unwrap()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildInfo {
    /// The id of the child.
    pub id: String,
    /// Whether the child runs, waits for a restart or is stopped.
    pub state: ChildState,
    /// Whether the child is a worker or a supervisor.
    pub kind: ChildType,
    /// How often the supervisor restarted the child, failed starts included. Requested starts are
    /// not counted. So an increase always means that a child ended, or failed to start, without a
    /// request.
    pub restarts: u32,
    /// How often the child was started again on request, failed starts included: by
    /// [`restart_child`](crate::SupervisorRef::restart_child), or by a `SIGHUP`, see
    /// [`restart_on_hangup`](crate::Run::restart_on_hangup), or by
    /// [`control`](crate::Runtime::control), under a dynamic supervisor only by that.
    pub starts_by_hand: u32,
    /// When the running incarnation was started; `None` if the child does not run.
    pub since: Option<Instant>,
    /// The last incarnations that have ended.
    pub history: History,
}

/// Whether a child runs, waits for a restart or is stopped. [`ChildInfo`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildState {
    /// The child runs as this process.
    Running(Pid),
    /// The child does not run, and waits for a restart. [`Backoff`](crate::Backoff) has an example.
    Restarting {
        /// The time that is left of the delay. A delay that the clock can't represent, such as
        /// `Duration::MAX`, is shown as a hundred years. `None` if the restart has no delay, or is
        /// in progress. A restart without a delay is attempted as soon as the supervisor has
        /// handled earlier messages or, after a supervisor in the group was killed, when all
        /// processes that it left have ended.
        retry_in: Option<Duration>,
    },
    /// The child does not run. The supervisor starts it again only on request or in a restart of
    /// its group.
    Stopped,
    /// The child was given up, and does not run: it used up its own
    /// [budget](crate::ChildSpec::restart_budget), or
    /// [asked](crate::TaskContext::give_up) not to be restarted. The supervisor starts it again only
    /// on request. [`ChildSpec::restart_budget`](crate::ChildSpec::restart_budget) has an example.
    GivenUp,
}

impl ChildInfo {
    /// Returns the pid of the child, if it runs. [`ChildInfo`] has an example.
    pub fn pid(&self) -> Option<Pid> {
        match self.state {
            ChildState::Running(pid) => Some(pid),
            ChildState::Restarting { .. } | ChildState::Stopped | ChildState::GivenUp => None,
        }
    }
}

/// The numbers of a supervisor's children: of all, of those that run, and of each type. OTP:
/// `count_children/1`. [`SupervisorSpec`] has an example.
///
/// [`SupervisorSpec`]: crate::SupervisorSpec
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChildCounts {
    /// All children that the supervisor knows.
    pub specs: usize,
    /// The children that run.
    pub active: usize,
    /// The children that are supervisors, running or not.
    pub supervisors: usize,
    /// The children that are not supervisors, running or not.
    pub workers: usize,
}

impl ChildCounts {
    /// Counts children by their types and by whether they run.
    pub(crate) fn of(children: impl Iterator<Item = (ChildType, bool)>) -> Self {
        let mut counts = ChildCounts::default();
        for (kind, is_running) in children {
            counts.specs += 1;
            counts.active += usize::from(is_running);
            match kind {
                ChildType::Worker => counts.workers += 1,
                ChildType::Supervisor => counts.supervisors += 1,
            }
        }
        counts
    }
}

/// The error of a request about a child.
/// [`SupervisorRef::restart_child`](crate::SupervisorRef::restart_child) has an example. The text
/// of the error does not repeat its [`source`](Error::source).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildError {
    /// The supervisor knows no child of this id.
    NotFound(String),
    /// The child runs. Terminate it before this request.
    Running {
        /// The id of the child.
        id: String,
        /// The pid of the child.
        pid: Pid,
    },
    /// The child waits for its restart. `terminate_child` cancels that restart.
    Restarting(String),
    /// The supervisor is stopping the child.
    Stopping(String),
    /// The child runs as another process than the request has named, or does not run. The supervisor
    /// has done nothing.
    Changed {
        /// The id of the child.
        id: String,
        /// The process of the child, if it runs.
        pid: Option<Pid>,
    },
    /// The child is [temporary](crate::Restart::Temporary), so its supervisor never starts it again.
    Temporary(String),
    /// The child was not started. The supervisor still knows the child, as stopped.
    NotStarted(StartError),
    /// The request did not reach the supervisor, or the supervisor ended before it answered.
    Unreachable(CallError),
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChildError::NotFound(id) => write!(f, "the supervisor has no child {id:?}"),
            ChildError::Running { id, pid } => {
                write!(f, "child {id:?} runs, as {pid}: terminate it first")
            }
            ChildError::Restarting(id) => {
                write!(f, "child {id:?} is being restarted: terminate it first")
            }
            ChildError::Stopping(id) => {
                write!(f, "child {id:?} is being stopped: wait for its end")
            }
            ChildError::Changed { id, pid: Some(pid) } => {
                write!(f, "child {id:?} runs as another process, {pid}: name that one")
            }
            ChildError::Changed { id, pid: None } => {
                write!(f, "child {id:?} does not run as this process any more: look at it again")
            }
            ChildError::Temporary(id) => {
                write!(f, "child {id:?} is temporary and is never started again: start another one")
            }
            ChildError::NotStarted(error) => write!(f, "the child was not started: {error}"),
            ChildError::Unreachable(error) => {
                write!(f, "the supervisor could not be asked: {error}")
            }
        }
    }
}

impl Error for ChildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ChildError::NotStarted(error) => error.source(),
            ChildError::Unreachable(error) => error.source(),
            _ => None,
        }
    }
}

impl From<StartError> for ChildError {
    fn from(error: StartError) -> Self {
        ChildError::NotStarted(error)
    }
}

impl From<CallError> for ChildError {
    fn from(error: CallError) -> Self {
        ChildError::Unreachable(error)
    }
}
