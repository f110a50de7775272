//! What follows a failed restart, by the decision of the child or of the closure of its specification.

use crate::child::Spec;
use crate::supervisor::end_decision::by_policy;
use crate::supervisor::incarnation::is_name_taken;
use crate::supervisor::report::Report;
use crate::supervisor::{Decision, NotStarted};

/// Returns what was decided for the child whose restart, or whose retried first start, has failed. Call it
/// only where the decision is followed: a start on request is no failure that the closure is asked about.
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
