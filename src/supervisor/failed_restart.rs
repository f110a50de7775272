//! When a decision of the child, or of its `on_failure`, replaces the next attempt after a failed
//! restart.

use crate::child::Spec;
use crate::supervisor::incarnation::is_name_taken;
use crate::supervisor::report::Report;
use crate::supervisor::restart_override::by_policy;
use crate::supervisor::{Decision, NotStarted};

/// Returns the decision after a failed restart, or a failed retry of a first start. Call this only
/// where the supervisor follows the decision. For a start on request the closure is not called.
pub(crate) fn decision_after(
    report: &Report,
    spec: Option<&Spec>,
    failure: &NotStarted,
) -> Option<Decision> {
    let error = &failure.error;
    let is_failure = || error.may_pass() && !is_name_taken(error);
    failure
        .decided
        .or_else(|| by_policy(report, spec.filter(|_| is_failure())?, &error.as_reason()))
}
