//! The error of a process that decides what follows its own end: no restart, or the end of the tree.
//!
//! **Guarantee.** The decision counts only for the process that made it. A process that ends with
//! the error of another process, by `?`, over a link, or inside of an error of its own, has an
//! ordinary crash.
//!
//! The error names the process that made it. The end of a process is compared with that name, also
//! if other errors contain the error.

use std::error::Error;
use std::fmt;

use crate::base::Pid;
use crate::base::user_panics::catch_panic;
use crate::exit::reason::reason_of;
use crate::exit::{Causeless, ExitError, ExitReason};

/// How many sources of an error are visited. The chain of sources may be a cycle.
const MAX_VISITED: usize = 1_000;

/// The error of a process that is not to be restarted, or that ends its tree.
/// [`TaskContext::give_up`](crate::TaskContext::give_up) and
/// [`TaskContext::end_tree`](crate::TaskContext::end_tree) return it as an [`ExitReason`], as do the
/// methods of the other contexts. OTP has no counterpart: there a supervisor decides by the restart
/// type alone.
///
/// The [`source`](Error::source) is the error that the process gave, if it gave one. If the process
/// gave a clean reason, the end is clean, and this value is the [`Detail`](crate::Detail) of
/// `ShutdownWith`.
///
/// ```
/// use regrow::{ChildSpec, NoRestart, RestartLimitReached, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let migrate = ChildSpec::task("migrate", |ctx| async move {
///     Err(ctx.end_tree("the schema is newer than this program"))
/// });
/// let tree = Supervisor::one_for_one().child(migrate).start(&rt).await?;
/// let reason = tree.ended().await;
/// let limit = reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap();
/// let asked = limit.last.crash().unwrap().downcast_ref::<NoRestart>().unwrap();
/// assert!(asked.ends_tree());
/// assert_eq!(asked.reason().to_string(), "error: the schema is newer than this program");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRestart {
    runtime: usize,
    by: Pid,
    scope: Scope,
    reason: ExitReason,
}

/// What a [`NoRestart`] applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The process that made the error.
    Child,
    /// All processes of its tree.
    Tree,
}

impl NoRestart {
    /// Returns the reason of an end with this decision. `runtime` is the number of the runtime of
    /// the process `by`.
    pub(crate) fn decide<E: Into<ExitReason> + 'static>(
        (runtime, by): (usize, Pid),
        scope: Scope,
        reason: E,
    ) -> ExitReason {
        let reason = reason_of(reason);
        let is_clean = reason.is_clean();
        let error = NoRestart { runtime, by, scope, reason };
        match is_clean {
            true => ExitReason::shutdown_with(error),
            false => ExitReason::from_library(error),
        }
    }

    /// Returns the decision that this process made with the reason of its end, if it made one. Runs
    /// code of the user: the `source` of errors.
    #[inline]
    pub(crate) fn of(reason: &ExitReason, runtime: usize, by: Pid) -> Option<Scope> {
        let is_own =
            |own: &NoRestart| (own.runtime == runtime && own.by == by).then_some(own.scope);
        let error = match reason {
            ExitReason::ShutdownWith(detail) => return is_own(detail.downcast_ref()?),
            ExitReason::Crashed(crash) => crash.error()?,
            _ => return None,
        };
        Self::inside(error, is_own)
    }

    /// Searches an error and its sources for the decision.
    fn inside(
        error: &(dyn Error + 'static),
        is_own: impl Fn(&NoRestart) -> Option<Scope>,
    ) -> Option<Scope> {
        let mut at: &(dyn Error + 'static) = error;
        for _ in 0..MAX_VISITED {
            if let Some(scope) = at.downcast_ref().and_then(&is_own) {
                return Some(scope);
            }
            at = match at.downcast_ref::<ExitError>().map(ExitError::reason) {
                // The detail of a clean reason is no source.
                Some(ExitReason::ShutdownWith(detail)) => return is_own(detail.downcast_ref()?),
                _ => catch_panic(|| at.source()).ok().flatten()?,
            };
        }
        None
    }

    /// Returns the reason that the process gave. [`NoRestart`] has an example.
    pub fn reason(&self) -> &ExitReason {
        &self.reason
    }

    /// Returns the process that made the decision.
    pub fn by(&self) -> Pid {
        self.by
    }

    /// Returns whether the whole tree ends, and not only the process. [`NoRestart`] has an example.
    pub fn ends_tree(&self) -> bool {
        self.scope == Scope::Tree
    }
}

impl fmt::Display for NoRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.scope {
            Scope::Child => "not to be restarted",
            Scope::Tree => "its tree is to end",
        };
        write!(f, "{what}: {}", Causeless(&self.reason))
    }
}

impl Error for NoRestart {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.cause()
    }
}

#[cfg(test)]
mod tests {
    use super::{NoRestart, Scope};
    use crate::base::Pid;
    use crate::exit::ExitReason;
    use std::error::Error;
    use std::fmt;

    /// An error with a source.
    #[derive(Debug)]
    struct Outer(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn a_decision_is_found_inside_other_errors_and_only_for_its_own_process() {
        let (own, other) = ((7, Pid::from_raw(1)), (7, Pid::from_raw(2)));
        let of = |reason: &ExitReason, (runtime, by)| NoRestart::of(reason, runtime, by);
        for clean in [false, true] {
            let given = if clean { ExitReason::Shutdown } else { ExitReason::from("no luck") };
            for scope in [Scope::Child, Scope::Tree] {
                let direct = NoRestart::decide(own, scope, given.clone());
                assert_eq!(direct.is_clean(), clean);
                let through = ExitReason::from(direct.clone().into_error());
                let wrapped = ExitReason::from(Outer(direct.clone().into_error().into()));
                for reason in [&direct, &through, &wrapped] {
                    assert_eq!(of(reason, own), Some(scope), "{reason}");
                    assert_eq!(of(reason, other), None);
                    assert_eq!(of(reason, (8, own.1)), None);
                }
            }
        }
        assert_eq!(of(&ExitReason::from("no luck"), own), None);
    }
}
