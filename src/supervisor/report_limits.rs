//! Reports limits that children have reached, in the log, as events and as changes.

use crate::base::{ErrorChain, PAGE, Pid, excerpt, ignore_panic, name};
use crate::exit::ExitReason;
use crate::observe::log_flood::LineKind;
use crate::observe::{ChangeKind, LifecycleEvent};
use crate::supervisor::RestartLimitReached;
use crate::supervisor::report::{Report, TARGET, child_line};

impl Report {
    /// Ends the restarts of this supervisor, and reports that the supervisor gives up. Returns the
    /// reason that the supervisor ends with.
    pub(crate) fn give_up(&self, limit: RestartLimitReached) -> ExitReason {
        self.end_restarts();
        let restarts = limit.restarts;
        self.source.count_give_up(&limit.child);
        drop(self.source.own(|| ChangeKind::GaveUp {
            child: limit.child.as_str().into(),
            reason: ExitReason::from_library(limit.clone()),
        }));
        let reason = excerpt(ErrorChain(&limit), PAGE);
        child_line!(warn GaveUp, self, limit.child, %reason, restarts, budget_left = 0, "gave up");
        self.event(|supervisor| LifecycleEvent::GaveUp {
            supervisor,
            child: limit.child.as_str().into(),
            reason: ExitReason::from_library(limit.clone()),
        });
        ExitReason::from_library(limit)
    }

    /// Ends the restarts of this supervisor because a child has ended the tree. Returns the reason
    /// that the supervisor ends with. By this reason its own supervisor ends the tree as well. The
    /// reason is clean if the reason of the child is clean.
    pub(crate) fn end_tree(&self, limit: RestartLimitReached) -> ExitReason {
        self.process.with(|locked| locked.core().registrations_mut().not_restarted = true);
        match limit.last.is_clean() {
            false => self.give_up(limit),
            true => {
                self.end_restarts();
                ExitReason::shutdown_with(limit)
            }
        }
    }

    /// Reports a child that reached its own restart limit. The supervisor continues without the
    /// child.
    pub(crate) fn child_given_up(&self, pid: Option<Pid>, limit: &RestartLimitReached) {
        let restarts = limit.restarts;
        self.source.count_give_up(&limit.child);
        let kind = || ChangeKind::LimitReached { reason: ExitReason::from_library(limit.clone()) };
        self.source.keep_event(pid, kind);
        drop(self.source.child(&limit.child, pid, kind));
        let reason = excerpt(ErrorChain(limit), PAGE);
        let shown = pid.map(tracing::field::display);
        child_line!(warn ChildGivenUp, self, limit.child, pid = shown, %reason, restarts, budget_left = 0, "child given up");
        self.event(|supervisor| LifecycleEvent::GivenUp {
            supervisor,
            child: limit.child.as_str().into(),
            pid,
            reason: ExitReason::from_library(limit.clone()),
        });
    }
}
