//! The restart types of children.

use crate::exit::ExitReason;

/// Whether a child that ended is started again. OTP: the restart type.
///
/// | | `Normal`, `Shutdown`, `ShutdownWith` | any other reason |
/// |---|---|---|
/// | `Permanent` | yes | yes |
/// | `Transient` | no | yes |
/// | `Temporary` | no | no |
///
/// # Examples
///
/// A task that may finish must not be permanent, which is the default: the supervisor restarts the
/// task after each end, until the supervisor gives up.
///
/// ```
/// use regrow::{ChildSpec, ChildState, Restart, RestartLimitReached, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let import = ChildSpec::task("import", |_| async { Ok(()) });
///
/// // Wrong.
/// let tree = Supervisor::one_for_one().child(import.clone()).start(&rt).await?;
/// let reason = tree.ended().await;
/// assert!(reason.crash().unwrap().downcast_ref::<RestartLimitReached>().is_some());
///
/// // Right.
/// let tree = Supervisor::one_for_one().start(&rt).await?;
/// let pid = tree.start_child(import.restart(Restart::Transient)).await?;
/// rt.ended(pid).await;
/// assert_eq!(tree.which_children().await?[0].state, ChildState::Stopped);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Restart {
    /// The child is restarted after any end, unless `terminate_child` has stopped the child, or its
    /// supervisor is ending.
    #[default]
    Permanent,
    /// The child is restarted after an end with any reason but `Normal`, `Shutdown` and
    /// `ShutdownWith`. The exceptions are the same as for `Permanent`.
    Transient,
    /// The child is never restarted, and is removed from its supervisor when it ends.
    Temporary,
}

impl Restart {
    /// Returns whether a child of this type is restarted after an end with this reason.
    pub(crate) fn restarts_after(self, reason: &ExitReason) -> bool {
        match self {
            Restart::Permanent => true,
            Restart::Transient => !reason.is_clean(),
            Restart::Temporary => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Restart::{Permanent, Temporary, Transient};
    use crate::exit::reason::ExitReason;

    #[test]
    fn the_restart_type_and_the_reason_decide_whether_a_child_is_restarted() {
        let clean = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with("x")];
        let not = [ExitReason::Killed, ExitReason::NoProc, ExitReason::crashed("x")];
        for reason in clean.iter().chain(&not) {
            assert!(Permanent.restarts_after(reason) && !Temporary.restarts_after(reason));
        }
        assert!(clean.iter().all(|reason| !Transient.restarts_after(reason)));
        assert!(not.iter().all(|reason| Transient.restarts_after(reason)));
    }
}
