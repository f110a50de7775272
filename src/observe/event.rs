//! What happens to processes and children, as values for code.
//!
//! Events are made where the log line is made, of the same facts, and go to whoever
//! listens at that moment. While nobody does, an event costs one load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;

/// How many events a listener may lie behind before it misses the oldest.
const KEPT: usize = 1024;

/// One thing that happened in a runtime, as [`Runtime::events`](crate::Runtime::events)
/// tells it: the facts of the lifecycle log and of the supervisors' reports.
///
/// Labelled processes speak, which all children are; of others, only their crashes do.
/// OTP: `supervisor_report`, `crash_report` and `progress`, as terms of the logger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// A labelled process was spawned.
    Spawned {
        /// Who.
        pid: Pid,
        /// Its label.
        label: SharedStr,
    },
    /// A labelled process ended, or any by a panic or an error.
    Exited {
        /// Who.
        pid: Pid,
        /// Its label, if it had one.
        label: Option<SharedStr>,
        /// One of the names it held.
        name: Option<SharedStr>,
        /// Why.
        reason: ExitReason,
    },
    /// A child was not started, or not started again. Another try follows, or
    /// [`GaveUp`](Self::GaveUp), or its supervisor's own start has failed.
    StartFailed {
        /// Whose child.
        supervisor: Pid,
        /// Its id.
        child: SharedStr,
        /// Why: what it ended with, or the start's error.
        reason: ExitReason,
    },
    /// A child ended that nobody had asked to, and is not started again.
    ChildEnded {
        /// Whose child.
        supervisor: Pid,
        /// Its id.
        child: SharedStr,
        /// Which incarnation.
        pid: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// A child is being started again.
    Restarting {
        /// Whose child.
        supervisor: Pid,
        /// Its id.
        child: SharedStr,
        /// Why its last incarnation ended, or did not start.
        reason: ExitReason,
        /// Which restart it is, counted from 1.
        attempt: u32,
        /// How long it has waited for that, by its backoff.
        delay: Duration,
        /// How many restarts the budget still allows after this one; `None` if any number.
        budget_left: Option<u32>,
    },
    /// A child did not end as it was asked to: it overran its time and was killed, or it
    /// ended with another reason than `shutdown`.
    ShutdownFailed {
        /// Whose child.
        supervisor: Pid,
        /// Its id.
        child: SharedStr,
        /// Which incarnation.
        pid: Pid,
        /// What it ended with.
        reason: ExitReason,
        /// Whether its time was up, so that it was killed.
        overran: bool,
    },
    /// A dynamic child used up the restarts of its own, and was given up; its supervisor goes
    /// on without it.
    Parked {
        /// Whose child.
        supervisor: Pid,
        /// Its id.
        child: SharedStr,
        /// The pid of its last incarnation. [`terminate_child`] takes it, as well as the one that
        /// its start returned.
        ///
        /// [`terminate_child`]: crate::DynamicSupervisorRef::terminate_child
        pid: Pid,
        /// Which limit it reached.
        reason: ExitReason,
    },
    /// A supervisor ran out of restarts, and ends.
    GaveUp {
        /// Which supervisor.
        supervisor: Pid,
        /// The child whose end was one too many.
        child: SharedStr,
        /// What the supervisor ends with.
        reason: ExitReason,
    },
}

/// Where events are given out.
#[derive(Debug, Default)]
pub(crate) struct EventHub {
    /// Somebody has asked for events since this runtime was made.
    was_subscribed: AtomicBool,
    sender: OnceLock<Sender<LifecycleEvent>>,
}

impl EventHub {
    pub(crate) fn subscribe(&self) -> Receiver<LifecycleEvent> {
        let sender = self.sender.get_or_init(|| broadcast::channel(KEPT).0);
        let receiver = sender.subscribe();
        self.was_subscribed.store(true, Ordering::Release);
        receiver
    }

    /// Tells all who listen. `make` is not run when nobody does.
    pub(crate) fn publish(&self, make: impl FnOnce() -> LifecycleEvent) {
        if !self.was_subscribed.load(Ordering::Acquire) {
            return;
        }
        let listening = self.sender.get().filter(|sender| sender.receiver_count() > 0);
        if let Some(sender) = listening {
            // Who stopped listening this very moment misses nothing.
            ignore_panic(|| drop(sender.send(make())));
        }
    }
}
