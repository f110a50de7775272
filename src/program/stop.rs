//! Steps 3 to 5 of a run: the stop in order, the kill at the deadline or a second signal, and the
//! report.

use std::future::pending;
use std::sync::Arc;

use tokio::time::Instant;

use crate::kernel::{KillTime, StopInProgress};
use crate::program::run::next_request;
use crate::program::{
    CutShort, ForcedStop, KILL_WAIT, Run, RunError, ServiceManager, SignalRequest, StopCause,
    StopReport, StopState, TreeMembers, Watchdog, first, sleep_until_due,
};
use crate::runtime::StartError;
use crate::supervisor::SupervisorRef;

/// What the steps of a run report to, apart from the watchdog.
#[derive(Clone, Copy)]
pub(super) struct Watch<'a> {
    pub(super) stop_state: &'a StopState,
    pub(super) manager: &'a Option<ServiceManager>,
}

/// A stop that has begun.
pub(super) struct Stop {
    cause: StopCause,
    began: Instant,
    members: Arc<TreeMembers>,
    /// Marks the processes below the root as about to be stopped, until this is dropped.
    _in_progress: StopInProgress,
    /// Shows observations the deadline of the root, until this is dropped.
    _kill_time: Option<KillTime>,
}

impl Stop {
    /// Kills all remaining processes, and returns the report.
    async fn force(self, by: CutShort, watchdog: &Option<Watchdog>) -> StopReport {
        let notify_watchdog = || watchdog.iter().for_each(Watchdog::notify_forcing);
        notify_watchdog();
        self.members.kill_all(KILL_WAIT).await;
        notify_watchdog();
        self.report(Some(by))
    }

    fn report(self, cut_short: Option<CutShort>) -> StopReport {
        let took = self.began.elapsed();
        let by = cut_short.unwrap_or(CutShort::Deadline);
        let children = self.members.report(took, &ForcedStop { by, all_killed: true });
        StopReport { cause: self.cause, took, forced: cut_short.is_some(), children }
    }
}

impl Run {
    /// Begins the stop: notifies the watchdog, records the outcomes of children from here on, and
    /// cancels the token of [`Run::cancel_on_stop`].
    pub(super) fn begin_stop(
        &self,
        watch: Watch<'_>,
        watchdog: &Option<Watchdog>,
        cause: StopCause,
    ) -> Stop {
        if let Some(watchdog) = watchdog {
            watchdog.stop_began(&cause, self.deadline);
        }
        if let Some(manager) = watch.manager {
            manager.stopping(&cause);
        }
        let members =
            watch.stop_state.begin(&cause).expect("the root is set before the stop begins");
        let in_progress = members.begin_stop(&cause);
        if let Some(token) = &self.cancel_on_stop {
            token.cancel();
        }
        let began = Instant::now();
        let due = began.checked_add(self.deadline);
        let kill_time = due.map(|due| members.note_kill_time(members.root_pid(), due));
        Stop { cause, began, members, _in_progress: in_progress, _kill_time: kill_time }
    }

    /// Cuts each phase short whose time to stop is over. The phases are stopped one after the other,
    /// the last one first, so the time of a phase begins when the phase after it has ended.
    async fn enforce_phase_times(&self, members: &TreeMembers, began: Instant) {
        let phases: Vec<_> = self.phases.iter().rev().collect();
        let running: Vec<_> = phases.iter().map(|(id, _)| members.child_of_root(id)).collect();
        for ((id, limit), phase) in phases.into_iter().zip(running) {
            let Some(phase) = phase else { continue };
            let due = limit.and_then(|limit| Instant::now().checked_add(limit));
            let _kill_time = due.map(|due| members.note_kill_time(phase, due));
            let ended = async { drop(members.ended(phase).await) };
            let overdue = async {
                sleep_until_due(due).await;
                members.cut_short(phase, id, began, KILL_WAIT).await;
                members.ended(phase).await;
            };
            first(ended, overdue).await;
        }
    }

    /// Waits for the deadline or a second signal, and returns which of the two came first.
    async fn cut_short(&self, watchdog: &mut Option<Watchdog>, began: Instant) -> CutShort {
        let deadline = async {
            sleep_until_due(began.checked_add(self.deadline)).await;
            CutShort::Deadline
        };
        let second_signal = async {
            while !matches!(next_request(watchdog).await, SignalRequest::StopNow(_)) {}
            CutShort::SecondSignal
        };
        first(deadline, second_signal).await
    }

    /// Stops the tree in order. Kills it at the deadline or at a second signal.
    pub(super) async fn stop(
        &self,
        tree: &SupervisorRef,
        watchdog: &mut Option<Watchdog>,
        stop: Stop,
    ) -> Result<StopReport, RunError> {
        let ended = tree.ended();
        let stopped = async {
            // If the root has ended already, `ended` has its exit reason.
            drop(tree.stop().await);
            Ok(ended.await)
        };
        let limits = self.enforce_phase_times(&stop.members, stop.began);
        let cut_short = async {
            let cut_short = self.cut_short(watchdog, stop.began);
            Err(first(cut_short, async {
                limits.await;
                pending().await
            })
            .await)
        };
        // Invariant 3: the exit reason of the root decides.
        match first(stopped, cut_short).await {
            Ok(reason) if reason.is_clean() => Ok(stop.report(None)),
            Ok(reason) => Err(stop.members.error(reason)),
            Err(by) => Ok(stop.force(by, watchdog).await),
        }
    }

    /// Waits for the end of the start, and then stops the tree. Kills the tree if the deadline or a
    /// second signal comes first.
    pub(super) async fn stop_during_start(
        &self,
        starting: impl Future<Output = Result<SupervisorRef, StartError>>,
        watchdog: &mut Option<Watchdog>,
        stop: Stop,
    ) -> Result<StopReport, RunError> {
        let started = async { Ok(starting.await) };
        let cut_short = async { Err(self.cut_short(watchdog, stop.began).await) };
        match first(started, cut_short).await {
            Ok(started) => {
                let tree = started.map_err(RunError::Start)?;
                self.stop(&tree, watchdog, stop).await
            }
            Err(by) => Ok(stop.force(by, watchdog).await),
        }
    }
}
