//! The start and the stop of one child of a fixed supervisor.

use tokio::time::Instant;

use crate::base::Pid;
use crate::exit::{Result, Scope};
use crate::process::{ChildSlot, ChildStop};
use crate::supervisor::fixed::{FixedServer, RunState};
use crate::supervisor::{EndRecord, NotStarted, Position, StopRequest, own_decision, start, stop};

impl FixedServer {
    /// Starts an incarnation of a child, and returns its pid. A child whose `init` chooses not to
    /// run is marked as stopped, or forgotten if it is temporary.
    pub(crate) async fn start_incarnation(
        &mut self,
        position: Position,
    ) -> Result<Option<Pid>, NotStarted> {
        let Some((incarnation, spec)) = self.children.begin_start(position) else {
            return Ok(None);
        };
        let slot = incarnation.slot;
        match start(&self.report, incarnation, &spec).await {
            Ok(Some(process)) => {
                let pid = process.pid();
                if let Some(child) = self.children.get_mut(position) {
                    child.has_run = true;
                }
                self.children.set(position, RunState::Running(process));
                self.report.free_names(ChildSlot { start: slot.start - 1, ..slot });
                Ok(Some(pid))
            }
            Ok(None) => {
                self.mark_stopped(position);
                Ok(None)
            }
            Err(failure) => {
                let at = Instant::now();
                let reason = failure.error.as_reason();
                self.record_end(position, EndRecord { pid: None, reason, at, stopped: false });
                Err(failure)
            }
        }
    }

    /// Stops a child if it runs, and waits for its end. The shutdown time begins at `now`. If the
    /// child is to be restarted, its name stays reserved.
    ///
    /// Returns the time at which the child ended, or `now` if the child did not run. Also returns
    /// the decision of the child: the child may have ended by itself before its stop.
    pub(crate) async fn stop_incarnation(
        &mut self,
        position: Position,
        how: ChildStop,
        now: Instant,
    ) -> (Instant, Option<Scope>) {
        let Some((child, process)) = self.children.begin_stop(position, now) else {
            return (now, None);
        };
        let pid = process.pid();
        self.report.note_stop(&**process, how);
        let (reason, at) = stop(&self.report, StopRequest::of(&child.spec, process), now).await;
        let decided = own_decision(&self.report, pid, &reason);
        self.record_end(position, EndRecord { pid: Some(pid), reason, at, stopped: true });
        (at, decided)
    }

    pub(crate) fn record_end(&mut self, position: Position, end: EndRecord) {
        self.children.record_end(position, end, self.backoff);
    }

    /// Prepares a child that doesn't run for the restart of its group, which will start the child.
    /// A retry of the child alone becomes stale. Reserves the child's name, which is free if the
    /// child had ended for good.
    ///
    /// Does not change a child that was given up. Does not change a child that waits for its first
    /// start either, because its own retry must stay valid if the restart of the group is
    /// cancelled.
    pub(crate) fn leave_to_group_restart(&mut self, position: Position, now: Instant) {
        let Some(child) = self.children.get_mut(position) else { return };
        if child.is_given_up() || child.awaits_first_start() {
            return;
        }
        self.report.reserve_name(child.slot(), &child.spec);
        if let RunState::Restarting { .. } = child.state {
            child.restarts.pause_clock(now);
            self.children.set(position, RunState::Stopped);
        }
    }

    /// Marks a child that doesn't run as stopped: releases the value that is kept for its next
    /// incarnation, frees its names, and forgets the child if it is temporary. Resets its restart
    /// state, so that earlier failures do not count after a later start. From now on only a request
    /// starts the child.
    pub(crate) fn mark_stopped(&mut self, position: Position) {
        if let Some(child) = self.children.get(position) {
            child.spec.release();
        }
        self.mark_stopped_at_end(position);
    }

    /// Marks a child as stopped whose end ends the supervisor. Does not release the value that is
    /// kept for its next incarnation, because a restart of the supervisor starts that incarnation.
    pub(crate) fn mark_stopped_at_end(&mut self, position: Position) {
        let Some(child) = self.children.get_mut(position) else { return };
        child.reset_restarts();
        let (slot, temporary) = (child.slot(), child.is_temporary());
        self.report.free_names(slot);
        match temporary {
            true => self.children.remove(position),
            false => self.children.set(position, RunState::Stopped),
        }
    }

    /// Marks a child that doesn't run as given up: frees its names, and forgets it if it is
    /// temporary. [`restart_child`](Self::restart_child) resets its restart state.
    pub(crate) fn mark_given_up(&mut self, position: Position) {
        let Some(child) = self.children.get(position) else { return };
        let (slot, temporary) = (child.slot(), child.is_temporary());
        child.spec.release();
        self.report.free_names(slot);
        match temporary {
            true => self.children.remove(position),
            false => self.children.set(position, RunState::GivenUp),
        }
    }
}
