//! The outcome of one process, from its recorded stop, or from its state when the stop was cut short.

use std::time::Duration;

use crate::base::{Pid, SharedStr};
use crate::observe::Doing;
use crate::observe::stop_records::StopRecord;
use crate::program::{CutShort, StopOutcome};

/// A live child, and its supervisor.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) supervisor: Pid,
    pub(super) child: Option<SharedStr>,
    pub(super) doing: Doing,
    pub(super) progress: StopProgress,
    /// Set if the stop of the phase was cut short: the time since the beginning of the whole stop.
    pub(super) cut: Option<Duration>,
}

/// The event that cut a stop short, and whether all processes were killed.
#[derive(Debug, Clone, Copy)]
pub(super) struct ForcedStop {
    pub(super) by: CutShort,
    /// Whether all processes were killed. If not, the watchdog ends the program because no async
    /// code runs.
    pub(super) all_killed: bool,
}

/// The progress of the stop of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopProgress {
    /// The supervisor waits for the start of the child.
    Starting,
    /// The child runs, and its supervisor has not asked it to stop.
    Running,
    /// The supervisor has asked the child to stop, or has killed it.
    StopRequested,
}

impl ForcedStop {
    /// Returns the outcome of a process that was alive when the stop was cut short.
    pub(super) fn outcome(
        &self,
        member: &Member,
        waits_for_a_child: bool,
        alive: bool,
    ) -> StopOutcome {
        let by = if member.cut.is_some() { CutShort::PhaseTime } else { self.by };
        let all_killed = self.all_killed || member.cut.is_some();
        match (member.progress, waits_for_a_child) {
            (StopProgress::StopRequested, true) => StopOutcome::HeldUp(by),
            (StopProgress::Starting, true) => StopOutcome::NotAsked(by),
            _ if alive && !all_killed => match (member.progress, member.doing) {
                (StopProgress::Running, Doing::Receiving) => StopOutcome::NotAsked(by),
                _ => StopOutcome::LeftBehind,
            },
            _ if alive => StopOutcome::NotYielding,
            (StopProgress::StopRequested, false) => StopOutcome::Killed,
            (StopProgress::Starting, false) => StopOutcome::NotStarted(by),
            (StopProgress::Running, _) => StopOutcome::NotAsked(by),
        }
    }
}

pub(super) fn outcome(stop: &StopRecord) -> StopOutcome {
    match stop {
        StopRecord { overran: Some(_), .. } => StopOutcome::Killed,
        StopRecord { killed_at_once: true, .. } => StopOutcome::KilledAtOnce,
        StopRecord { reason, .. } => StopOutcome::Stopped(reason.clone()),
    }
}
