//! The changes of the children in a [published state](crate::supervisor::published_state), for a
//! supervisor of a declared list, which publishes all its children.
//!
//! **Invariant.** Each change of a child is made in two places under one lock, the lock of the
//! cell: in the published state, and as a [change] for observations. Both have the same content.
//! [`change_log`](crate::observe::change_log) explains the reason.
//!
//! [change]: crate::Change

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::{Pid, ignore_panic};
use crate::child::{ChildType, Spec};
use crate::exit::ExitReason;
use crate::observe::ChangeKind;
use crate::observe::change_log::Pushed;
use crate::process::AnyProcess;
use crate::restart::KeptEvents;
use crate::supervisor::change_source::ChangeSource;
use crate::supervisor::published_state::{
    PublishedCell, PublishedChild, PublishedChildState, PublishedState, Step,
};
use crate::supervisor::{History, Incarnation};

impl PublishedCell {
    /// Adds a child after the others, as stopped.
    pub(crate) fn add(&self, key: u64, spec: &Spec) {
        let child = PublishedChild {
            id: spec.id.clone(),
            kind: spec.kind,
            readiness: spec.readiness,
            state: PublishedChildState::Stopped,
            process: None,
            is_stop_reported: true,
            restarts: 0,
            started: Instant::now(),
            stop_due: None,
            history: History::default(),
        };
        let is_supervisor = spec.kind == ChildType::Supervisor;
        drop(self.change(|state| {
            let before = state.children.insert(key, child);
            (before, self.tell(state, key, None, || ChangeKind::Added { is_supervisor }))
        }));
    }

    /// Publishes that a start of this child began at `since`. `start` is the number of this start,
    /// from 1. `restarts` is the number of starts until now that were restarts without a request.
    /// Returns the history of the child.
    pub(crate) fn begin_start(
        &self,
        key: u64,
        start: u32,
        restarts: u32,
        since: Instant,
    ) -> History {
        let (history, pushed) = self.change(|state| {
            state.step = Step::Starting { key, start, since };
            let mut history = History::default();
            if let Some(child) = state.children.get_mut(key) {
                (child.restarts, child.started) = (restarts, since);
                (child.is_stop_reported, child.stop_due) = (false, None);
                history = child.history.clone();
            }
            let kind = || ChangeKind::Starting { attempt: start - 1 };
            (history, self.tell(state, key, None, kind))
        });
        drop(pushed);
        history
    }

    /// Publishes that a stop of this child began at `since`. The stop kills the child at `due`.
    pub(crate) fn begin_stop(&self, key: u64, pid: Pid, since: Instant, due: Option<Instant>) {
        drop(self.change(|state| {
            state.step = Step::Stopping { key, since };
            if let Some(child) = state.children.get_mut(key) {
                child.stop_due = due;
            }
            self.tell(state, key, Some(pid), || ChangeKind::stopping(due))
        }));
    }

    /// Publishes that the supervisor begins to stop all its children.
    pub(crate) fn begin_ending(&self, since: Instant) {
        drop(self.change(|state| {
            state.ending = Some(since);
            self.source().and_then(|source| source.own(|| ChangeKind::Ending))
        }));
    }

    /// Publishes a new state of this child, and its process if it runs. Ends the step if it is a
    /// start or a stop of the child.
    pub(crate) fn set(
        &self,
        key: u64,
        child_state: PublishedChildState,
        mut process: Option<Arc<dyn AnyProcess>>,
    ) {
        drop(self.change(|state| {
            if let Some(child) = state.children.get_mut(key) {
                std::mem::swap(&mut child.process, &mut process);
            }
            self.set_state(state, key, child_state)
        }));
        ignore_panic(|| drop(process));
    }

    fn set_state(
        &self,
        state: &mut PublishedState,
        key: u64,
        child_state: PublishedChildState,
    ) -> Option<Pushed> {
        state.end_step(key);
        let child = state.children.get_mut(key)?;
        let before = std::mem::replace(&mut child.state, child_state);
        let is_stopped = child_state == PublishedChildState::Stopped;
        let was_reported = std::mem::replace(&mut child.is_stop_reported, is_stopped);
        // The record of an end sets the child to stopped before the next step is decided.
        if if is_stopped { was_reported } else { before == child_state } {
            return None;
        }
        let kind = match child_state {
            PublishedChildState::Running(pid) => {
                let source = self.observed_source()?;
                let more = (child.kind == ChildType::Supervisor, child.history.last_pid());
                return source.child_started(&child.id, pid, more);
            }
            PublishedChildState::Restarting { due } => {
                let left = |due: Instant| due.saturating_duration_since(Instant::now());
                ChangeKind::Waiting { retry_in: due.map(left) }
            }
            PublishedChildState::Stopped => ChangeKind::Stopped,
            PublishedChildState::GivenUp => ChangeKind::GivenUp,
        };
        self.tell(state, key, None, || kind)
    }

    /// Publishes the end of an incarnation, or its failed start, and adds the incarnation to the
    /// history of the child.
    pub(crate) fn record_end(&self, key: u64, incarnation: Incarnation) {
        drop(self.change(|state| {
            state.end_step(key);
            let Some(child) = state.children.get_mut(key) else {
                return (vec![incarnation], None, None);
            };
            let process = child.process.take();
            child.state = PublishedChildState::Stopped;
            (child.is_stop_reported, child.stop_due) = (false, None);
            let pid = incarnation.pid;
            let oldest = child.history.push(incarnation);
            let pushed = self.observed_source().and_then(|source| {
                let child = state.children.get(key)?;
                let last = child.history.last()?;
                source.child(&child.id, pid, || end_of(last))
            });
            (oldest, process, pushed)
        }));
    }

    /// Returns the events of a process that has ended, for the history of its child.
    pub(crate) fn kept_events(&self, pid: Option<Pid>) -> KeptEvents {
        self.source().map_or_else(KeptEvents::default, |source| source.kept_events(pid))
    }

    pub(crate) fn child(&self, key: u64) -> Option<PublishedChild> {
        self.change(|state| state.children.get(key).cloned())
    }

    /// Removes a child that does not run, and adds it to the list of ended children.
    pub(crate) fn remove(&self, key: u64) {
        drop(self.change(|state| {
            state.end_step(key);
            let pushed = self.tell(state, key, None, || ChangeKind::Removed);
            let removed = state.children.remove(key);
            let all = self.source().is_some_and(ChangeSource::is_observed);
            (removed.map(|child| state.keep_ended(child, all)), pushed)
        }));
    }

    /// Removes a child that the supervisor has stopped for its own end.
    pub(crate) fn remove_stopped(&self, key: u64, pid: Pid, reason: ExitReason, uptime: Duration) {
        drop(self.change(|state| {
            state.end_step(key);
            let pushed = self.tell(state, key, Some(pid), || ChangeKind::Ended {
                reason,
                uptime,
                stopped: true,
                for_good: true,
            });
            (state.children.remove(key), pushed)
        }));
    }

    /// Removes a child that an ending dynamic supervisor has waited for.
    pub(crate) fn remove_awaited(&self, pid: Pid, id: &str, reason: &ExitReason, uptime: Duration) {
        drop(self.change(|state| {
            let removed = state.children.remove(pid.raw());
            let pushed = self.source().and_then(|source| {
                source.child(id, Some(pid), || ChangeKind::Ended {
                    reason: reason.clone(),
                    uptime,
                    stopped: true,
                    for_good: true,
                })
            });
            (removed, pushed)
        }));
    }

    /// Adds a change of a child to the log of changes.
    fn tell(
        &self,
        state: &PublishedState,
        key: u64,
        pid: Option<Pid>,
        kind: impl FnOnce() -> ChangeKind,
    ) -> Option<Pushed> {
        self.observed_source()?.child(&state.children.get(key)?.id, pid, kind)
    }

    /// Returns the source of changes, if there is an observation.
    fn observed_source(&self) -> Option<&ChangeSource> {
        self.source().filter(|source| source.is_observed())
    }
}

/// The change that reports the end of an incarnation, or its failed start.
fn end_of(last: &Incarnation) -> ChangeKind {
    let (reason, stopped) = (last.reason.clone(), last.stopped);
    let uptime = last.ended.saturating_duration_since(last.started);
    match last.pid {
        Some(_) => ChangeKind::Ended { reason, uptime, stopped, for_good: false },
        None => ChangeKind::StartFailed { reason },
    }
}
