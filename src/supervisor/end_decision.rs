//! What a child has decided about its restart by the reason of its end.

use crate::base::Pid;
use crate::exit::{ExitReason, NoRestart, Scope};
use crate::supervisor::{Limit, Report, RestartLimitReached};

/// Returns the decision of the child that ended as this process, if it made one. A supervisor whose
/// child ends the tree decides the same for itself.
pub(crate) fn decision(report: &Report, pid: Pid, reason: &ExitReason) -> Option<Scope> {
    let kernel = &report.runtime.kernel;
    let limit: Option<&RestartLimitReached> = match reason {
        ExitReason::Crashed(crash) => crash.downcast_ref(),
        ExitReason::ShutdownWith(detail) => detail.downcast_ref(),
        _ => return None,
    };
    let ends_tree = limit
        .is_some_and(|own| own.limit == Limit::EndOfTree && own.origin.is_of(kernel, Some(pid)));
    if ends_tree { Some(Scope::Tree) } else { NoRestart::of(reason, kernel.number(), pid) }
}
