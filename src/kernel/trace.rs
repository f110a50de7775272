//! The event trace of a proof run: what happened in one runtime, in order.
//!
//! It exists only under `--cfg regrow_proof`. Each event is recorded where it takes
//! effect, under the lock that makes it so.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::message::received::GroupChange;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A process is in the table.
    Spawned {
        /// Who.
        pid: Pid,
        /// Whom it was born linked to.
        parent: Option<Pid>,
    },
    /// A process has ended: its values are dropped, its names and groups free.
    Exited {
        /// Who.
        pid: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// A name has a holder.
    Registered {
        /// Which name.
        name: SharedStr,
        /// Who holds it.
        pid: Pid,
    },
    /// A name has none any more.
    Freed {
        /// Which name.
        name: SharedStr,
        /// Who held it.
        pid: Pid,
    },
    /// A group has a member more or less.
    Group {
        /// Which group.
        group: SharedStr,
        /// Who.
        pid: Pid,
        /// Joined or left.
        change: GroupChange,
    },
    /// An exit signal took effect, or was queued.
    Signal {
        /// From whom.
        from: Pid,
        /// To whom.
        to: Pid,
        /// Whether a link carried it.
        by_link: bool,
        /// Whether it is fatal; else it was queued.
        fatal: bool,
        /// Its reason.
        reason: ExitReason,
    },
    /// A `Down` was queued.
    Down {
        /// Of which monitor.
        reference: MonitorRef,
        /// Who ended.
        target: Pid,
        /// Who is told.
        watcher: Pid,
        /// Why it ended; `NoProc` if it was not there to be watched.
        reason: ExitReason,
    },
}

/// One line of the trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    /// Its number: 1, 2, 3 … in this runtime.
    pub seq: u64,
    /// When.
    pub at: Instant,
    /// What.
    pub event: Event,
}

#[derive(Debug, Default)]
pub(crate) struct Trace(Mutex<Vec<Traced>>);

impl Trace {
    pub(crate) fn record(&self, event: Event) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = lines.len() as u64 + 1;
        lines.push(Traced { seq, at: Instant::now(), event });
    }

    pub(crate) fn lines(&self) -> Vec<Traced> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
