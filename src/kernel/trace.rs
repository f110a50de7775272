//! The event trace of a proof run: the events of one runtime, in order.
//!
//! The trace exists only under `--cfg regrow_proof`. Each event except `Spawned` is recorded under
//! the lock under which it takes effect, so the trace has these events in their true order.

use tokio::time::Instant;

use crate::base::pid::{MonitorRef, Pid};
use crate::base::shared_str::SharedStr;
use crate::base::sync::PlainMutex;
use crate::exit::reason::ExitReason;
use crate::message::received::GroupChange;

/// An event of a runtime.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A process has entered the table.
    Spawned {
        /// The process.
        pid: Pid,
        /// The process to which the new process is linked from the start.
        parent: Option<Pid>,
    },
    /// A process has ended: its body is dropped, it holds no name, and it has left its groups.
    Exited {
        /// The process.
        pid: Pid,
        /// The exit reason.
        reason: ExitReason,
    },
    /// A process has registered a name.
    Registered {
        /// The name.
        name: SharedStr,
        /// The holder.
        pid: Pid,
    },
    /// A name has no holder any more.
    Freed {
        /// The name.
        name: SharedStr,
        /// The last holder.
        pid: Pid,
    },
    /// A process has joined or left a group.
    Group {
        /// The group.
        group: SharedStr,
        /// The process.
        pid: Pid,
        /// Whether it joined or left.
        change: GroupChange,
    },
    /// An exit signal was accepted or delivered.
    Signal {
        /// The sender.
        from: Pid,
        /// The receiver.
        to: Pid,
        /// Whether the signal is the exit of a link.
        by_link: bool,
        /// Whether the signal ends the receiver. Otherwise it was queued, or it cancelled a stop
        /// token.
        fatal: bool,
        /// The reason of the signal.
        reason: ExitReason,
    },
    /// A `Down` was queued.
    Down {
        /// The monitor.
        reference: MonitorRef,
        /// The process that ended.
        target: Pid,
        /// The process that receives the `Down`.
        watcher: Pid,
        /// The exit reason; `NoProc` if the target had ended before.
        reason: ExitReason,
    },
}

/// An event with its number and time.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    /// The number of the event: 1, 2, 3 … in this runtime.
    pub seq: u64,
    /// The time of the event.
    pub at: Instant,
    /// The event.
    pub event: Event,
}

#[derive(Debug, Default)]
pub(crate) struct Trace(PlainMutex<Vec<Traced>>);

impl Trace {
    pub(crate) fn record(&self, event: Event) {
        let mut lines = self.0.lock();
        let seq = lines.len() as u64 + 1;
        lines.push(Traced { seq, at: Instant::now(), event });
    }

    pub(crate) fn lines(&self) -> Vec<Traced> {
        self.0.lock().clone()
    }
}
