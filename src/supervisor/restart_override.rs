//! When a decision replaces the restart type of a child: the decision of the child itself, or the
//! decision of the [`on_failure`](crate::ChildSpec::on_failure) of its specification, which is a
//! closure.
//!
//! **Guarantees.** The decision of the child itself comes first. The closure is called only for a
//! reason that is not clean, and without a lock. Its panic does not reach the supervisor.
//!
//! | the child ends | |
//! |---|---|
//! | by itself | its own decision, then the closure |
//! | while its restart, or the retry of its first start, is in progress | likewise, by the error of the start; the closure is not asked if another process holds the name, or if no start can succeed |
//! | while a start on request, or a first start that is not retried, is in progress | its own decision only |
//! | in its stop by the supervisor, or just before it | its own decision only: a group that restarts starts the child, whose next failure is decided by the closure |

use crate::base::{PAGE, Pid, excerpt, ignore_panic, name};
use crate::child::Spec;
use crate::exit::{ExitReason, NoRestart, Scope};
use crate::observe::log_flood::LineKind;
use crate::restart::FailurePolicy;
use crate::supervisor::report::TARGET;
use crate::supervisor::{Limit, Report, RestartLimitReached};

/// A decision about the end of a child, which replaces its restart type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The child is not started again.
    GiveUp,
    /// The child ends its tree: each of its ancestors ends.
    EndTree,
    /// The supervisor ends, as if it had used up its budget.
    Escalate,
}

impl From<Scope> for Decision {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Child => Decision::GiveUp,
            Scope::Tree => Decision::EndTree,
        }
    }
}

/// Returns the decision for the child that ended by itself as this process. `spec` is the
/// specification of the child, if the supervisor has kept it.
pub(crate) fn decision(
    report: &Report,
    spec: Option<&Spec>,
    pid: Pid,
    reason: &ExitReason,
) -> Option<Decision> {
    let own = own_decision(report, pid, reason).map(Decision::from);
    own.or_else(|| by_policy(report, spec?, reason))
}

/// Returns the decision of the child that ended as this process, if the child made one. If a child
/// ends the tree, its supervisor makes the same decision for itself.
pub(crate) fn own_decision(report: &Report, pid: Pid, reason: &ExitReason) -> Option<Scope> {
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

/// Returns the decision of the closure of this child, if it has one.
pub(super) fn by_policy(report: &Report, spec: &Spec, reason: &ExitReason) -> Option<Decision> {
    let on_failure = spec.own_rules.as_ref()?.on_failure.as_ref()?;
    match on_failure.decide(reason) {
        // A process that has ended cannot be resumed.
        Ok(FailurePolicy::Restart | FailurePolicy::Resume) => None,
        Ok(FailurePolicy::Stop) => Some(Decision::GiveUp),
        Ok(FailurePolicy::Escalate) => Some(Decision::Escalate),
        Err(panic) => {
            report.policy_panicked(&spec.id, &panic);
            None
        }
    }
}

impl Report {
    /// Logs that the closure of a child has panicked. In that case the restart type decides.
    fn policy_panicked(&self, child: &str, panic: &str) {
        let (supervisor, label, child) = (self.supervisor, name(&self.label), name(child));
        let panic = excerpt(panic, PAGE);
        self.runtime.kernel.line(LineKind::PolicyPanicked, || {
            ignore_panic(|| {
                tracing::warn!(
                    target: TARGET, %supervisor, %label, %child, %panic,
                    "on_failure panicked: the restart type decides"
                );
            });
        });
    }
}
