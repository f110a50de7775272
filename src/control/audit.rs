//! The report of one request: an event, a log line and a change.
//!
//! A report that is dropped before its request has ended reports that: the requester was gone before
//! the request was complete, or tokio shuts down.

use tracing::{info, warn};

use crate::base::{PAGE, Pid, SENTENCE, SharedStr, TimeOfDay, excerpt, ignore_panic, name};
use crate::control::ControlRequest;
use crate::control::request::bounded;
use crate::kernel::TOKIO_GONE;
use crate::observe::change::Origin;
use crate::observe::change_log::Subject;
use crate::observe::{ChangeKind, ControlAction, ControlOutcome, LifecycleEvent};
use crate::process::Claim;
use crate::runtime::Runtime;

/// The target of the log lines.
const TARGET: &str = "regrow::control";

/// What is known of a request, to be reported once.
#[derive(Debug)]
pub(crate) struct AuditEntry {
    runtime: Runtime,
    action: Option<ControlAction>,
    path: SharedStr,
    pid: Option<Pid>,
    supervisor: Option<Pid>,
    caller: SharedStr,
    /// The topmost supervisor of the tree in which the child was found.
    root: Option<Pid>,
    /// Whether the action was begun.
    claim: Claim,
    is_reported: bool,
}

impl AuditEntry {
    /// Begins a request that is not understood yet.
    #[cfg(feature = "observer")]
    pub(crate) fn new(runtime: Runtime, caller: impl Into<SharedStr>) -> Self {
        let (path, caller) = (SharedStr::from(""), bounded(caller.into()));
        AuditEntry {
            runtime,
            action: None,
            path,
            pid: None,
            supervisor: None,
            caller,
            root: None,
            claim: Claim::default(),
            is_reported: false,
        }
    }

    /// Begins a request. The supervisor that carries it out begins its `claim`.
    pub(crate) fn of(runtime: Runtime, request: &ControlRequest, claim: Claim) -> Self {
        let root = request.action.level().map(|_| Pid::OUTSIDE);
        AuditEntry {
            runtime,
            action: Some(request.action),
            path: request.path.clone(),
            pid: request.pid,
            supervisor: request.supervisor,
            caller: bounded(request.caller.clone()),
            root,
            claim,
            is_reported: false,
        }
    }

    #[cfg(feature = "observer")]
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns what the request and the code that carries it out share.
    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Notes that the child was found in the tree of this topmost supervisor.
    pub(super) fn found_in(&mut self, root: Pid) {
        self.root = Some(root);
    }

    /// Leaves the report of the request to the code that carries it out.
    #[cfg(feature = "observer")]
    pub(crate) fn hand_over(mut self) {
        self.is_reported = true;
    }

    /// Reports that the request was refused.
    #[cfg(feature = "observer")]
    pub(crate) fn refused(self, why: &str) {
        self.ended(ControlOutcome::Refused(why.trim_end().into()));
    }

    /// Reports the end of the request.
    pub(super) fn ended(mut self, outcome: ControlOutcome) {
        self.report(outcome);
    }

    fn report(&mut self, outcome: ControlOutcome) {
        self.is_reported = true;
        self.log(&outcome);
        let (action, pid, caller) = (self.action, self.pid, &self.caller);
        self.runtime.kernel.events.publish(|| LifecycleEvent::Control {
            time: TimeOfDay::now(),
            action,
            path: Some(self.path.clone()).filter(|path| !path.is_empty()),
            pid,
            caller: caller.clone(),
            outcome: outcome.clone(),
        });
        let (Some(action), Some(root)) = (action, self.root) else { return };
        drop(self.runtime.kernel.changes.push(|| {
            let origin = Origin::Process(pid.unwrap_or(Pid::OUTSIDE), None);
            let (path, supervisor) = (self.path.clone(), self.supervisor);
            let kind = ChangeKind::Control { action, caller: caller.clone(), outcome };
            (Subject { root, path, pid, supervisor, origin }, kind)
        }));
    }

    /// Writes the log line. It does not depend on the level of the lifecycle log, which a request can
    /// change.
    fn log(&self, outcome: &ControlOutcome) {
        let action = || self.action.map(|action| action.to_string());
        let path = || (!self.path.is_empty()).then(|| excerpt(&self.path, PAGE).to_string());
        let pid = self.pid.map(tracing::field::display);
        let (caller, why) = (
            || name(&self.caller).to_string(),
            || outcome.why().map(|why| excerpt(why, SENTENCE).to_string()),
        );
        ignore_panic(|| match outcome {
            ControlOutcome::Done => info!(
                target: TARGET, action = action(), path = path(), pid, caller = caller(), "done"
            ),
            _ => warn!(
                target: TARGET, action = action(), path = path(), pid, caller = caller(),
                why = why(), "{}", outcome.name()
            ),
        });
    }
}

impl Drop for AuditEntry {
    fn drop(&mut self) {
        if !self.is_reported {
            self.report(match self.action {
                None => ControlOutcome::Refused(
                    "the requester left before its request was complete".into(),
                ),
                // The task of the request was dropped: tokio shuts down.
                Some(_) if self.claim.withdraw() => ControlOutcome::Refused(TOKIO_GONE.into()),
                Some(_) => ControlOutcome::Unfinished(
                    "the tokio runtime has shut down during the action".into(),
                ),
            });
        }
    }
}
