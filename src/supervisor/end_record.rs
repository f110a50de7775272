//! The record of the end of one incarnation, for both kinds of supervisor.

use tokio::time::Instant;

use crate::base::Pid;
use crate::exit::ExitReason;
use crate::observe::ChangeKind;
use crate::restart::{Backoff, KeptEvents, RestartState, Run};
use crate::supervisor::Incarnation;

/// The end of an incarnation, or its failed start, which has no pid.
#[derive(Debug)]
pub(crate) struct EndRecord {
    pub(crate) pid: Option<Pid>,
    pub(crate) reason: ExitReason,
    pub(crate) at: Instant,
    /// Whether the supervisor stopped the incarnation, with its group or on request. False if the
    /// incarnation ended by itself, or its start failed.
    pub(crate) stopped: bool,
}

impl EndRecord {
    /// Returns this end as a change of a child whose last start began at `started`.
    pub(crate) fn change(&self, started: Instant) -> ChangeKind {
        let EndRecord { pid, reason, at, stopped } = self;
        let (reason, uptime) = (reason.clone(), at.saturating_duration_since(started));
        match pid {
            Some(_) => ChangeKind::Ended { reason, uptime, stopped: *stopped, for_good: false },
            None => ChangeKind::StartFailed { reason },
        }
    }

    /// Records this end in the restart state of the child. Returns the entry of this end for the
    /// history, without its other events. `attempt` says how many starts of the child came before this one: 0 for the first
    /// start.
    pub(crate) fn record(
        self,
        started: Instant,
        attempt: u32,
        restarts: &mut RestartState,
        backoff: Option<Backoff>,
    ) -> Incarnation {
        let EndRecord { pid, reason, at: ended, stopped } = self;
        let delay = restarts.delay();
        let run = Run { started, ended, ran: pid.is_some() };
        match stopped {
            true => restarts.record_stop(backoff, run),
            false => restarts.record_failure(backoff, run),
        }
        let events = KeptEvents::default();
        Incarnation { pid, started, ended, reason, attempt, delay, stopped, events }
    }
}
