//! The errors of tasks.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::exit::{Causeless, ExitReason};
use crate::kernel::TOKIO_GONE;
use crate::runtime::StartError;

/// The reason why the wait for a task returned no result.
///
/// If an error ended the task, that error is the [`source`](Error::source) of this error, so `?` in
/// the body or handler of another process keeps the whole error chain. [`Display`](fmt::Display)
/// does not repeat the text of the source.
///
/// In OTP the caller exits instead. Here the caller decides; with `?` the caller ends with the
/// error.
///
/// ```
/// use std::time::Duration;
/// use regrow::{CrashKind, Runtime, Task, TaskError};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let bad = Task::spawn_nolink(&rt, |_| async { "x".parse::<u16>().expect("a number") });
/// let Err(TaskError::Exited(reason)) = bad.join().await else { panic!() };
/// assert_eq!(reason.crash().unwrap().kind(), CrashKind::Panic);
///
/// let slow = Task::spawn_nolink(&rt, |_| std::future::pending::<u16>());
/// assert_eq!(slow.join().await, Err(TaskError::Timeout(Duration::from_secs(5))));
/// # }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskError {
    /// The task ended with this reason before it had a result.
    Exited(ExitReason),
    /// The task took longer than this.
    Timeout(Duration),
    /// The result was already returned: each result is returned once.
    Taken,
    /// The supervisor could not start the task. Only an item of a
    /// [`TaskStream`](crate::TaskStream) has this error.
    NotStarted(StartError),
    /// The tokio runtime that the [`Runtime`](crate::Runtime) runs on has shut down, so none of its
    /// tasks runs any more. This error replaces `Exited(Killed)`. Create a `Runtime` in each tokio
    /// runtime, for example in each `#[tokio::test]`, instead of sharing one.
    TokioGone,
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Exited(reason) => {
                write!(f, "the task ended before it had a result: {}", Causeless(reason))
            }
            TaskError::Timeout(limit) => write!(f, "the task took longer than {limit:?}"),
            TaskError::Taken => f.write_str("the task's result was handed out already"),
            TaskError::NotStarted(error) => write!(f, "the task was not started: {error}"),
            TaskError::TokioGone => f.write_str(TOKIO_GONE),
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TaskError::Exited(reason) => reason.cause(),
            TaskError::NotStarted(error) => error.source(),
            TaskError::Timeout(_) | TaskError::Taken | TaskError::TokioGone => None,
        }
    }
}
