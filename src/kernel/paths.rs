//! The paths of processes in their trees, and how a process reports a change of its own, such as
//! its health.

use std::any::Any;
use std::sync::Arc;

use crate::base::node_path::NodePath;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::user_panics::ignore_panic;
use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::observe::change::{ChangeKind, Origin};
use crate::observe::change_log::{Pushed, Subject};
use crate::observe::past_events::{PastEvent, PastEvents};
use crate::process::{AnyProcess, Core, Locked, Place};
use crate::restart::KeptEvents;

impl Kernel {
    /// Returns the path of a supervisor; `None` if it has ended or is no supervisor.
    pub(crate) fn supervisor_path(&self, pid: Pid) -> Option<Arc<NodePath>> {
        self.find(pid)?.with(|locked| locked.core().supervisor_record()?.path.clone())
    }

    /// Returns the pid of the supervisor of a process, if it has one.
    pub(crate) fn supervisor_of(&self, process: &dyn AnyProcess) -> Option<Pid> {
        process.parent().filter(|parent| parent.role.is_some()).map(|parent| parent.pid)
    }

    /// Returns the path of a process, and its supervisor. `None` if the process is neither a
    /// supervisor nor a child.
    pub(crate) fn path_of(&self, process: &dyn AnyProcess) -> Option<(SharedStr, Option<Pid>)> {
        Some((place_of(process)?.text(), self.supervisor_of(process)))
    }

    /// Returns the path under which a process is counted; `None` if the process is neither a
    /// supervisor nor a child.
    pub(crate) fn counted_path(&self, process: &dyn AnyProcess) -> Option<SharedStr> {
        Some(place_of(process)?.counted())
    }

    /// Returns the topmost supervisor of the tree of a process, and the path of the process.
    pub(crate) fn place_in_tree(&self, process: &dyn AnyProcess) -> Option<(Pid, SharedStr)> {
        let place = place_of(process)?;
        Some((place.root(), place.text()))
    }

    /// Returns the subject of a change that a process reports about itself.
    pub(crate) fn own_subject(&self, process: &dyn AnyProcess) -> Option<Subject> {
        let (place, supervisor) = (place_of(process)?, self.supervisor_of(process));
        let (root, path, pid) = (place.root(), place.text(), process.pid());
        let origin = Origin::Process(pid, place.above().cloned());
        Some(Subject { root, path, pid: Some(pid), supervisor, origin })
    }

    /// Runs `change` under the lock of a process. If `change` returns true, the health of the
    /// process may have changed, and the change is reported under the same lock. So a picture that
    /// contains the new health also covers the number of the change.
    pub(crate) fn change_health<R>(
        &self,
        process: &dyn AnyProcess,
        change: impl FnOnce(&mut Core) -> (R, bool),
    ) -> R {
        let is_observed = self.changes.is_observed();
        let subject = is_observed.then(|| self.own_subject(process)).flatten();
        let (result, changed, pushed) = process.with(|locked| {
            let (result, changed) = change(locked.core());
            let forgotten = changed.then(|| keep_health(locked)).flatten();
            let subject = subject.filter(|_| changed);
            let pushed = subject.map(|subject| self.push_health(locked, subject));
            (result, changed, (pushed, forgotten))
        });
        ignore_panic(|| drop(pushed));
        if changed && !is_observed && self.changes.is_observed() {
            // An observation has begun meanwhile, and may have read the health before the change.
            let subject = self.own_subject(process);
            let push = |subject| process.with(|locked| self.push_health(locked, subject));
            drop(subject.map(push));
        }
        result
    }

    /// Keeps an event of a supervisor or a child for later observations. The record of the process
    /// has the event until the process closes. Call this without a lock.
    pub(crate) fn keep_event(&self, pid: Pid, kind: ChangeKind) {
        let event = PastEvent::now(kind);
        let forgotten = match self.find(pid) {
            Some(process) => process.with(|locked| match locked.core().is_open() {
                true => (locked.core().keep_event(event), None),
                false => self.ended_events.push(pid, event),
            }),
            None => self.ended_events.push(pid, event),
        };
        ignore_panic(|| drop(forgotten));
    }

    /// Moves the events out of the record of a process that closes. Call this in the step
    /// *closing*, under the lock of the process, and drop the result after unlock.
    pub(crate) fn keep_ended_events(&self, pid: Pid, core: &mut Core) -> Option<Arc<PastEvents>> {
        let events = core.registrations()?.past_events.take()?;
        self.ended_events.keep(pid, events)
    }

    /// Returns the events of a process that has ended, for the history of its child.
    pub(crate) fn kept_events(&self, pid: Option<Pid>) -> KeptEvents {
        let events = pid.and_then(|pid| self.ended_events.of(pid));
        KeptEvents(events.map(|events| events as Arc<dyn Any + Send + Sync>))
    }

    /// Returns the last events of a process, live or ended, that are in no history.
    pub(crate) fn past_events(&self, pid: Pid) -> Option<Arc<PastEvents>> {
        let of_record = |process: Arc<dyn AnyProcess>| {
            process.with(|locked| locked.core().registrations()?.past_events.clone())
        };
        // If the process has closed after the look-up, its events are among those of ended
        // processes.
        self.find(pid).and_then(of_record).or_else(|| self.ended_events.of(pid))
    }

    fn push_health(&self, locked: &mut Locked, subject: Subject) -> Option<Pushed> {
        let health = locked.core().reported_health().unwrap_or_default();
        self.changes.push(|| (subject, ChangeKind::Health { health }))
    }

    /// Reports the end of a supervisor, if it is the root of a tree.
    pub(crate) fn report_root_end(&self, pid: Pid, reason: &ExitReason) {
        drop(self.changes.root_ended(pid, |uptime| {
            let reason = reason.clone();
            ChangeKind::Ended { reason, uptime, stopped: false, for_good: true }
        }));
    }

    /// Keeps a change that a process in a tree reports about itself. If there is an observation,
    /// also adds the change to the log of changes.
    pub(crate) fn report_own_change(
        &self,
        process: &dyn AnyProcess,
        kind: impl FnOnce() -> ChangeKind,
    ) {
        if place_of(process).is_none() {
            return;
        }
        let kind = kind();
        self.keep_event(process.pid(), kind.clone());
        if self.changes.is_observed()
            && let Some(subject) = self.own_subject(process)
        {
            drop(self.changes.push(|| (subject, kind)));
        }
    }
}

/// Keeps the new health of a supervisor or a child for later observations. Keeps nothing for a
/// process that has closed, because the teardown takes its relations.
fn keep_health(locked: &mut Locked) -> Option<PastEvent> {
    let core = locked.core();
    let health = core.reported_health().unwrap_or_default();
    core.relations()?.place()?;
    if core.is_open() {
        core.keep_event(PastEvent::now(ChangeKind::Health { health }))
    } else {
        None
    }
}

fn place_of(process: &dyn AnyProcess) -> Option<Place> {
    process.with(|locked| locked.core().relations()?.place())
}
