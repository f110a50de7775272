//! The start of one child of a fixed supervisor, and the stop of one or several children.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;

use crate::base::Pid;
use crate::exit::{Result, Scope};
use crate::process::{ChildSlot, ChildStop};
use crate::supervisor::fixed::stop_sequence::{Member, StoppedEnd, Stops};
use crate::supervisor::fixed::{Child, FixedServer, RunState};
use crate::supervisor::{EndRecord, NotStarted, Position, decision, start};

/// The number of children that are stopped in one sequence. In a supervisor of very many children it
/// bounds the memory of a sequence, and the time until the ends are recorded.
const MAX_SEQUENCE: usize = 128;

/// A supervisor that has started children for longer than this lets other tasks run.
const LONG_STARTS: Duration = Duration::from_micros(500);

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

    /// Lets other tasks run if the supervisor has started children for long. It polls the `init` of a
    /// server in its own task, so the starts of many children may be one poll.
    ///
    /// A loop that starts children calls this after each start, with the position of the child. `since`
    /// is the time of the first start after the last yield. It costs no reading of the clock: a start
    /// reads it in any case.
    pub(crate) async fn yield_after_long_starts(
        &self,
        position: Position,
        since: &mut Option<Instant>,
    ) {
        let Some(started) = self.children.get(position).map(|child| child.started) else { return };
        let first = *since.get_or_insert(started);
        if started.saturating_duration_since(first) > LONG_STARTS {
            *since = Some(started);
            yield_now().await;
        }
    }

    /// Stops a child if it runs, and waits for its end. The shutdown time begins at `now`. Returns
    /// the time at which the child ended, or `now` if the child did not run, and the decision of the
    /// child, which may have ended by itself before its stop. The name of the child stays reserved
    /// if the child is to be restarted.
    pub(crate) async fn stop_incarnation(
        &mut self,
        position: Position,
        how: ChildStop,
        now: Instant,
    ) -> (Instant, Option<Scope>) {
        let Some(pid) = self.children.get(position).and_then(Child::pid) else {
            return (now, None);
        };
        let mut stops = Stops::default();
        let positions = [position].into_iter();
        match self.next_stop(&mut stops, positions, |_| Some(how), now).await {
            Some(end) => (end.1, self.record_stop(position, pid, end)),
            None => (now, None),
        }
    }

    /// Returns the end of the first of these children, which the supervisor stops one after the other;
    /// `None` if it does not run. The end is to be [recorded](Self::record_stop), and the next call
    /// gets the positions after it. `stops` may already have stopped children behind the first one, as
    /// [`stop_sequence`](crate::supervisor::fixed::stop_sequence) says.
    ///
    /// `how` is what is noted in the record of a child before its stop, if anything is. If deadlocks are
    /// detected, only the first child is stopped, because each wait for a child is an edge of the wait
    /// graph; and if there is an observation, because it receives each change in order.
    pub(crate) async fn next_stop(
        &self,
        stops: &mut Stops,
        positions: impl Iterator<Item = Position>,
        how: impl Fn(&Child) -> Option<ChildStop>,
        now: Instant,
    ) -> Option<StoppedEnd> {
        let detects_deadlocks = self.report.runtime.kernel.waits.switches.detects_deadlocks();
        let one_by_one = detects_deadlocks || self.report.source.is_observed();
        let most = if one_by_one { 1 } else { MAX_SEQUENCE };
        let member = |position| {
            let child = self.children.get(position)?;
            let (spec, process) = (child.spec.clone(), child.process()?.clone());
            Some(Member { position, spec, process, how: how(child) })
        };
        let members = || positions.map_while(member).take(most).collect();
        stops.next(&self.report, &self.children.published, members, now).await
    }

    /// Records the stop of a child that ran as this process.
    pub(crate) fn record_stop(
        &mut self,
        position: Position,
        pid: Pid,
        (reason, at): StoppedEnd,
    ) -> Option<Scope> {
        let decided = decision(&self.report, pid, &reason);
        self.record_end(position, EndRecord { pid: Some(pid), reason, at, stopped: true });
        decided
    }

    pub(crate) fn record_end(&mut self, position: Position, end: EndRecord) {
        self.children.record_end(position, end, self.backoff);
    }

    /// Prepares a child that doesn't run for the restart of its group, which will start it. A
    /// retry that is due for the child alone becomes stale. Reserves the child's name, which is
    /// free if the child had ended for good. A child that was given up stays as it is, and so does one
    /// that waits for its first start: its own retry is due although the restart may be cancelled.
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

    /// Marks a child that doesn't run as stopped: releases what is kept for its next incarnation,
    /// frees its names, and forgets it if it is temporary. Resets its restart state, so that earlier
    /// failures do not count after a later start. Nothing starts the child then, except a request.
    pub(crate) fn mark_stopped(&mut self, position: Position) {
        if let Some(child) = self.children.get(position) {
            child.spec.release();
        }
        self.mark_stopped_at_end(position);
    }

    /// Does the same for a child whose end ends the supervisor: a restart of the supervisor starts
    /// the child again, which then finds what is kept for it.
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
