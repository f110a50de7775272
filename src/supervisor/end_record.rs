//! The record of the end of one incarnation, for both kinds of supervisor.

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason;
use crate::restart::backoff::Backoff;
use crate::restart::restart_state::{RestartState, Run};
use crate::supervisor::history::Incarnation;

/// The end of an incarnation, or its failed start, which has no pid.
#[derive(Debug)]
pub(crate) struct EndRecord {
    pub(crate) pid: Option<Pid>,
    pub(crate) reason: ExitReason,
    pub(crate) at: Instant,
    pub(crate) by: EndedBy,
}

/// The cause of the end of an incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// The incarnation ended by itself, or its start failed.
    Itself,
    /// The supervisor stopped the incarnation, with its group or on request.
    Supervisor,
}

/// The start of the incarnation that ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartRecord {
    pub(crate) started: Instant,
    /// How many times the child had been started again by then: 0 for the first start.
    pub(crate) attempt: u32,
}

impl EndRecord {
    /// Records this end in the restart state of the child. Returns the entry of this end for the
    /// history.
    pub(crate) fn record(
        self,
        start: StartRecord,
        restarts: &mut RestartState,
        backoff: Option<Backoff>,
    ) -> Incarnation {
        let EndRecord { pid, reason, at: ended, by } = self;
        let StartRecord { started, attempt } = start;
        let delay = restarts.delay();
        let run = Run { started, ended, ran: pid.is_some() };
        match by {
            EndedBy::Itself => restarts.record_failure(backoff, run),
            EndedBy::Supervisor => restarts.record_stop(backoff, run),
        }
        Incarnation { pid, started, ended, reason, attempt, delay }
    }
}
