//! The table of children, and the pids by which each child is found.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::{Pid, ignore_panic};
use crate::child::ChildType;
use crate::exit::ExitReason;
use crate::observe::ChangeKind;
use crate::process::AnyProcess;
use crate::supervisor::dynamic::{Child, DynamicServer, Retry, State};
use crate::supervisor::{Incarnation, PublishedChild, PublishedChildState};

impl DynamicServer {
    /// Returns the last pid of the child that is known by this pid. A child is known by its last
    /// pid and by the pid that its first start returned.
    pub(super) fn last_pid(&self, pid: Pid) -> Pid {
        self.last_pids.get(&pid).copied().unwrap_or(pid)
    }

    /// Returns a number for a child, a retry, or a child that was given up.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Returns whether the child waits for this retry, or for the start that this retry has begun.
    pub(super) fn waits_for(&self, Retry { pid, id }: Retry) -> bool {
        let state = self.children.get(&pid).map(|child| &child.state);
        matches!(state, Some(State::Restarting { retry_id, .. }) if *retry_id == id)
    }

    /// Reports a change of the child with this pid to the observations.
    pub(super) fn tell(&self, pid: Pid, kind: impl FnOnce() -> ChangeKind) {
        if self.report.source.is_observed()
            && let Some(child) = self.children.get(&pid)
        {
            drop(self.report.source.child(&child.id, Some(pid), kind));
        }
    }

    /// Adds a child that runs as this process, and returns the pid.
    pub(super) fn insert(&mut self, mut child: Child, process: Arc<dyn AnyProcess>) -> Pid {
        let pid = process.pid();
        child.state = State::Running(process);
        match child.first_pid {
            Pid::OUTSIDE => child.first_pid = pid,
            first => drop(self.last_pids.insert(first, pid)),
        }
        let previous = child.last_pid();
        let is_supervisor = child.kind == ChildType::Supervisor;
        self.children.insert(pid, child);
        if self.report.source.is_observed()
            && let Some(child) = self.children.get(&pid)
        {
            drop(self.report.source.child_started(&child.id, pid, (is_supervisor, previous)));
        }
        pid
    }

    /// Removes a child from the table and from all indexes.
    pub(super) fn take(&mut self, pid: Pid) -> Option<Child> {
        let child = self.children.remove(&pid)?;
        self.last_pids.remove(&child.first_pid);
        if let State::GivenUp(given_up) = &child.state {
            self.given_up_by_age.remove(&given_up.number);
            // The entry may belong to another child of the same name, which was given up later.
            if let Some(name) = child.name()
                && self.given_up_by_name.get(&name) == Some(&pid)
            {
                self.given_up_by_name.remove(&name);
            }
        }
        Some(child)
    }

    /// Removes a child that does not run, releases the value that is kept for its next incarnation,
    /// and frees the name that is reserved for the child. The list of the last ended children keeps
    /// the child with its last end.
    pub(super) fn forget(&mut self, pid: Pid) {
        self.tell(pid, || ChangeKind::Removed);
        if let Some(child) = self.take(pid) {
            child.release();
            self.report.free_names(child.slot);
            self.keep(child.shown(pid));
        }
    }

    /// Removes a child that has ended for good, releases the value that is kept for its next
    /// incarnation, and frees the name that is reserved for the child.
    pub(super) fn forget_ended(&mut self, pid: Pid, reason: ExitReason) {
        if let Some(child) = self.take(pid) {
            child.release();
            self.report_end(&child, pid, reason, false);
            self.report.free_names(child.slot);
        }
    }

    /// Reports the end of a child that is no longer known, and adds the child to the list of the
    /// last ended children. `stopped` says whether the supervisor stopped the child.
    pub(super) fn report_end(&self, child: &Child, pid: Pid, reason: ExitReason, stopped: bool) {
        let source = &self.report.source;
        let is_observed = source.is_observed();
        if !is_observed && reason.is_clean() {
            return;
        }
        let ended = Instant::now();
        let uptime = ended.saturating_duration_since(child.started);
        drop(source.child(&child.id, Some(pid), || {
            let reason = reason.clone();
            ChangeKind::Ended { reason, uptime, stopped, for_good: true }
        }));
        let (started, attempt) = (child.started, child.attempt());
        let (pid_of_last, delay) = (Some(pid), Duration::ZERO);
        let events = source.kept_events(Some(pid));
        #[rustfmt::skip]
        let last =
            Incarnation { pid: pid_of_last, started, ended, reason, attempt, delay, stopped, events };
        let mut shown = child.shown(pid);
        let oldest = shown.history.push(last);
        self.keep(shown);
        ignore_panic(|| drop(oldest));
    }

    /// Keeps a child in the list of the last ended children.
    fn keep(&self, child: PublishedChild) {
        let is_observed = self.report.source.is_observed();
        let child = PublishedChild { state: PublishedChildState::Stopped, ..child };
        let forgotten = self.published.change(|state| state.keep_ended(child, is_observed));
        ignore_panic(|| drop(forgotten));
    }
}
