//! What a supervisor tells of its children.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::child::ChildType;
use crate::runtime::errors::call_error::{CallError, StartError};
use crate::supervisor::history::History;

/// One child, as [`SupervisorRef::which_children`](crate::SupervisorRef::which_children)
/// tells it. OTP: the tuple `{Id, Child, Type, Modules}`.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, ChildState, ChildType, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let job = ChildSpec::task("job", |_| std::future::pending());
/// let tree = Supervisor::one_for_one().child(job).start(&rt).await?;
/// let children = tree.which_children().await?;
/// assert_eq!((children[0].id.as_str(), children[0].kind), ("job", ChildType::Worker));
/// assert_eq!(children[0].state, ChildState::Running(children[0].pid().unwrap()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its id.
    pub id: String,
    /// What it is doing.
    pub state: ChildState,
    /// Whether it is a supervisor.
    pub kind: ChildType,
    /// How many times its supervisor started it again, in vain or not. Starts that were asked for
    /// are not counted here, so a number that grows is always a sign of trouble.
    pub restarts: u32,
    /// How many times it was started again, in vain or not, because that was asked for: by
    /// [`restart_child`](crate::SupervisorRef::restart_child), or by a `SIGHUP`, see
    /// [`restart_on_hangup`](crate::Run::restart_on_hangup). Always 0 under a dynamic supervisor.
    pub starts_by_hand: u32,
    /// When the incarnation that runs was started.
    pub since: Option<Instant>,
    /// Those before it.
    pub history: History,
}

/// What a child is doing. [`ChildInfo`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildState {
    /// It runs as this process.
    Running(Pid),
    /// It ended, and is about to be tried again. [`Backoff`](crate::Backoff) has an example.
    Restarting {
        /// The time left of a delay; one that the clock can't represent, such as `Duration::MAX`,
        /// is shown as a hundred years. `None`: as soon as the supervisor comes to it; of a
        /// supervisor that was killed, when all that it left has ended.
        retry_in: Option<Duration>,
    },
    /// It does not run, and will not by itself.
    Stopped,
}

impl ChildInfo {
    /// Its pid, if it runs. [`ChildInfo`] has an example.
    pub fn pid(&self) -> Option<Pid> {
        match self.state {
            ChildState::Running(pid) => Some(pid),
            ChildState::Restarting { .. } | ChildState::Stopped => None,
        }
    }
}

/// How many children a supervisor has. OTP: `count_children/1`. [`SupervisorSpec`] has an
/// example.
///
/// [`SupervisorSpec`]: crate::SupervisorSpec
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChildCounts {
    /// All that are known.
    pub specs: usize,
    /// Those that run.
    pub active: usize,
    /// Those that are supervisors, running or not.
    pub supervisors: usize,
    /// Those that are not.
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

/// Why a request about a child was refused.
/// [`SupervisorRef::restart_child`](crate::SupervisorRef::restart_child) has an example. Its
/// [`Display`](fmt::Display) does not repeat its source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildError {
    /// The supervisor knows no child of this id.
    NotFound(String),
    /// The child runs: terminate it first.
    Running {
        /// The child's id.
        id: String,
        /// The process it runs as.
        pid: Pid,
    },
    /// The child waits for its restart, which `terminate_child` calls off.
    Restarting(String),
    /// The child was not started; it stays known, and not running.
    NotStarted(StartError),
    /// The supervisor could not be asked.
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
