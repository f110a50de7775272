//! The error of a run: why the tree did not start, or why its root failed.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use crate::base::tree_path::Path;
use crate::base::{ErrorChain, PAGE, Pid, excerpt, path_excerpt};
use crate::exit::{Causeless, ExitReason};
use crate::runtime::{Runtime, StartError};
use crate::supervisor::RestartLimitReached;

/// The error of [`run`](crate::run): the tree could not be run, did not start, or failed.
///
/// When the run returns this error, the root has ended or was never started. Unless the root was
/// killed, all processes below it have been stopped, in order.
///
/// The [source](Error::source) is the cause, if it is an error: one that ended a child or the root,
/// or one of the operating system. The [`Display`](fmt::Display) shows everything except the
/// source. The [`Debug`](fmt::Debug) also shows all causes, in one line, so a `main` that returns
/// this error prints a readable line and exits with 1.
///
/// ```
/// use regrow::{ChildSpec, ExitReason, RunError, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let lost = ChildSpec::task("feed", |_| async { Err(ExitReason::crashed("no route")) });
/// let error = regrow::run(Supervisor::one_for_one().child(lost)).await.unwrap_err();
/// let RunError::GaveUp { path, limit, .. } = &error else { panic!("{error}") };
/// assert_eq!((path.as_str(), &limit.last), ("Supervisor/feed", &ExitReason::crashed("no route")));
/// assert!(error.to_string().starts_with("Supervisor/feed was given up"));
/// # }));
/// ```
#[non_exhaustive]
pub enum RunError {
    /// The tree did not start.
    Start(StartError),
    /// A child used up its restarts, and its supervisor and all supervisors above gave up.
    GaveUp {
        /// The ids from the root down to that child, separated by `/`. An empty id is `""`. If the
        /// child is more than 128 levels down, `…` stands for the ids in the middle.
        path: String,
        /// The exit reason of that child's supervisor: the child, its budget, its last exit reason.
        limit: Box<RestartLimitReached>,
        /// The exit reason of the root.
        reason: ExitReason,
    },
    /// The root ended for another reason: it was killed, or it crashed.
    Ended(ExitReason),
    /// The run can't listen to signals.
    Signals(std::io::Error),
    /// The program is built with `panic = "abort"`, so no crash can be caught and no child
    /// restarted. Remove this setting from the profile.
    NoUnwinding,
}

impl RunError {
    /// Returns the exit code of a program that ends with this error: 1.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::FAILURE
    }

    /// Creates the error of a run whose root ended with this exit reason, which is not clean.
    /// Follows the restart limits from the root down to the child that was given up.
    ///
    /// Each step down the path requires that the supervisor that ended with a restart limit also
    /// created that limit. A child may return the restart limit of another tree by `?`; the path
    /// ends at that child.
    pub(super) fn from_root(runtime: &Runtime, root: (&str, Pid), reason: ExitReason) -> Self {
        let (mut path, mut pid) = (Path::new(), Some(root.1));
        path.push(root.0);
        let mut innermost = None;
        let mut at = Some(&reason);
        let own = |limit: &&RestartLimitReached, pid| limit.origin.is_of(&runtime.kernel, pid);
        while let Some(limit) = at.and_then(as_limit).filter(|limit| own(limit, pid)) {
            path.push(limit.child.as_str());
            innermost = Some(limit);
            (at, pid) = (Some(&limit.last), limit.origin.child);
        }
        match innermost {
            Some(limit) => {
                let (path, limit) = (path.to_string(), Box::new(limit.clone()));
                RunError::GaveUp { path, limit, reason }
            }
            None => RunError::Ended(reason),
        }
    }
}

fn as_limit(reason: &ExitReason) -> Option<&RestartLimitReached> {
    reason.crash()?.downcast_ref()
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Start(error) => {
                write!(f, "the tree did not start: {}", excerpt(error, PAGE))
            }
            RunError::GaveUp { path, limit, .. } => {
                write!(f, "{} was given up: {}", path_excerpt(path), excerpt(limit, PAGE))
            }
            RunError::Ended(reason) => {
                let reason = Causeless(reason);
                write!(f, "the root supervisor ended: {:#}", excerpt(reason, PAGE))
            }
            RunError::Signals(_) => f.write_str("signals can't be listened to"),
            RunError::NoUnwinding => f.write_str(
                "built with panic = \"abort\", so no crash could be caught: take that line out of \
                 the profile",
            ),
        }
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", excerpt(ErrorChain(self), PAGE))
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RunError::Start(error) => error.source(),
            RunError::GaveUp { limit, .. } => limit.source(),
            RunError::Ended(reason) => reason.cause(),
            RunError::Signals(error) => Some(error),
            RunError::NoUnwinding => None,
        }
    }
}
