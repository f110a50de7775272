//! The facts that a [crash report](crate::kernel::crash_reports) has about the child that failed,
//! and about its ancestors.

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::observe::activity::Callback;
use crate::observe::crash_report::{Ancestor, CrashCause, CrashHandling, CrashedChild};
use crate::process::{ChildStop, Relations};
use crate::restart::policy::Restart;

/// The number of ancestors that a report lists. The bound limits the time of a report in a deep
/// tree.
pub(super) const MAX_ANCESTORS: usize = 64;

impl Kernel {
    /// Whether the supervisor calls the `on_failure` of this child, which has failed, and follows
    /// the answer. This is so if the child had started and is not being stopped.
    pub(super) fn follows_policy(
        &self,
        relations: &Relations,
        (cause, handling): (CrashCause, Option<&CrashHandling>),
    ) -> bool {
        if cause == CrashCause::Resumed {
            return true;
        }
        let Some((parent, role)) = relations.parent.and_then(|of| Some((of.pid, of.role?))) else {
            return false;
        };
        let is_starting = relations.registrations.as_ref().is_some_and(|own| own.starting)
            || handling.is_some_and(|handling| handling.callback == Callback::Init);
        role.stop == ChildStop::No && !is_starting && self.restarts_children(parent)
    }

    /// The ancestors, the nearest first.
    pub(super) fn ancestors_of(&self, relations: &Relations) -> Vec<Ancestor> {
        let (mut next, mut ancestors) = (relations.parent, Vec::new());
        while let Some(parent) = next.take_if(|_| ancestors.len() < MAX_ANCESTORS) {
            let mut label = None;
            if let Some(process) = self.find(parent.pid) {
                (label, next) = process.with(|locked| {
                    let relations = locked.core().relations.as_ref();
                    relations.map_or((None, None), |above| (above.label.clone(), above.parent))
                });
            }
            ancestors.push(Ancestor { pid: parent.pid, label });
        }
        ancestors
    }

    pub(super) fn crashed_child(
        &self,
        pid: Pid,
        relations: &Relations,
        (reason, at): (&ExitReason, Instant),
        asks_policy: bool,
    ) -> Option<CrashedChild> {
        let (parent, facts) = (relations.parent?, relations.child.as_ref()?);
        let role = parent.role?;
        let shared = self.find(parent.pid).and_then(|supervisor| {
            supervisor.with(|locked| locked.core().supervisor_record()?.child_rules)
        });
        let own = facts.own_rules.as_deref().cloned().unwrap_or_default();
        let policy = asks_policy.then(|| own.policy_after(reason, (self.number(), pid))).flatten();
        let (backoff, budget) = match role.restart {
            Restart::Temporary => (None, None),
            Restart::Permanent | Restart::Transient => own.backoff_and_budget(shared),
        };
        Some(CrashedChild {
            supervisor: parent.pid,
            incarnation: role.slot.start,
            uptime: at.saturating_duration_since(facts.started),
            restart: role.restart,
            policy,
            shutdown: parent.shutdown,
            backoff,
            budget,
            history: facts.history.clone(),
        })
    }
}
