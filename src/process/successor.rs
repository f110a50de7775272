//! Decides whether a process that is ending will have a successor.
//!
//! The decision is made in two places: where a caller by name is refused, so that the caller learns
//! whether to try again, and where a name is released, so that the name becomes vacant or free. The
//! decision uses the facts that are known at that moment:
//!
//! * Before the teardown fixes the exit reason, the reason of the accepted exit signal counts. A
//!   panic of the body may still replace that reason.
//! * A supervisor whose restart limit is used up counts as one that restarts its children, until it
//!   has noticed that the limit is used up.

use crate::process::{ChildRole, ChildStop, Core, Parent, Stage};

impl Core {
    /// The supervisor that will start a successor of this process, unless that supervisor ends.
    /// `None` while the process is live, and when it has ended.
    pub(crate) fn restarted_by(&self) -> Option<Parent> {
        let parent = self.relations.as_ref()?.parent?;
        let role = parent.role?;
        let reason = self.reason.as_ref()?;
        let not_restarted = self.held_registrations().is_some_and(|own| own.not_restarted);
        let is_starting = || self.held_registrations().is_some_and(|own| own.starting);
        let restarts = match role.stop {
            ChildStop::ForGood => false,
            ChildStop::ForRestart => true,
            ChildStop::Starting | ChildStop::StartFailed => role.slot.start > 1,
            ChildStop::No if not_restarted => false,
            ChildStop::No if is_starting() => role.slot.start > 1,
            ChildStop::No => role.restart.restarts_after(reason),
        };
        restarts.then_some(parent)
    }

    /// Whether this process, a supervisor, still restarts its children. True if this process is
    /// live, has not ended its restarts, and is not being stopped by its own supervisor.
    pub(crate) fn restarts_children(&self) -> bool {
        let stopping = self.held_registrations().is_some_and(|own| own.stopping);
        let role = self.relations.as_ref().and_then(|relations| relations.parent?.role);
        let stopped =
            |role: ChildRole| matches!(role.stop, ChildStop::ForGood | ChildStop::ForRestart);
        self.stage == Stage::Live && !stopping && !role.is_some_and(stopped)
    }

    /// Notes that the start of this process failed or was given up, unless a stop is noted.
    pub(crate) fn note_start_failed(&mut self) {
        let role = self.relations().and_then(|relations| relations.parent?.role);
        if role.is_some_and(|role| !role.stop.is_asked_for()) {
            self.note_stop(ChildStop::StartFailed);
        }
    }

    /// Notes whether the supervisor of this process stops it, and whether a successor follows.
    pub(crate) fn note_stop(&mut self, stop: ChildStop) {
        let parent = self.relations().and_then(|relations| relations.parent.as_mut());
        if let Some(Parent { role: Some(role), .. }) = parent {
            role.stop = stop;
        }
    }
}
