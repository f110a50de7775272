//! Lifecycle events: the starts, ends, restarts and failures of processes and children, as values.
//!
//! An event is created where the log line about the same facts is written, and is sent to the
//! listeners that exist at that time. Until there is a first listener, an event costs one load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::base::{Pid, SharedStr, ignore_panic};
use crate::exit::ExitReason;

/// The number of events that a listener may lag behind before it misses the oldest.
const KEPT: usize = 1024;

/// One event of a runtime: the facts of a line of the lifecycle log or of a supervisor's report.
///
/// [`Runtime::events`](crate::Runtime::events) returns the stream of events. Labelled processes,
/// which include all children, have events for their starts and ends; other processes have events
/// for their crashes only. OTP: `supervisor_report`, `crash_report` and `progress`, as terms of the
/// logger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// A labelled process was spawned.
    Spawned {
        /// The process.
        pid: Pid,
        /// The label of the process.
        label: SharedStr,
    },
    /// A labelled process ended, or any process ended by a panic or an error.
    Exited {
        /// The process.
        pid: Pid,
        /// The label of the process, if it had one.
        label: Option<SharedStr>,
        /// One of the names that the process held.
        name: Option<SharedStr>,
        /// Why the process ended.
        reason: ExitReason,
    },
    /// A start or a restart of a child failed. A failed restart is followed by another attempt or
    /// by [`GaveUp`](Self::GaveUp) or [`Parked`](Self::Parked). If a supervisor starts its first
    /// children, the failure fails the start of the supervisor, unless the child
    /// [retries its first start](crate::ChildSpec::retry_first_start); if the start was requested,
    /// the caller gets the error.
    StartFailed {
        /// The supervisor of the child.
        supervisor: Pid,
        /// The id of the child.
        child: SharedStr,
        /// The reason with which the child ended, or the error of the start.
        reason: ExitReason,
    },
    /// A child ended without having been asked to stop, and is not started again.
    ChildEnded {
        /// The supervisor of the child.
        supervisor: Pid,
        /// The id of the child.
        child: SharedStr,
        /// The pid of the incarnation.
        pid: Pid,
        /// Why the child ended.
        reason: ExitReason,
    },
    /// A child is to be started again, after `delay`.
    Restarting {
        /// The supervisor of the child.
        supervisor: Pid,
        /// The id of the child.
        child: SharedStr,
        /// Why the last incarnation ended, or did not start.
        reason: ExitReason,
        /// The number of restarts of the child, including this one.
        attempt: u32,
        /// How long the backoff of the child delays the restart.
        delay: Duration,
        /// How many more restarts the budget allows after this one; `None` if there is no limit.
        budget_left: Option<u32>,
    },
    /// The stop of a child by its supervisor went wrong: the child overran its time and was killed,
    /// or it ended with another reason than requested. Every clean reason is allowed for a child
    /// that is not permanent.
    ShutdownFailed {
        /// The supervisor of the child.
        supervisor: Pid,
        /// The id of the child.
        child: SharedStr,
        /// The pid of the incarnation.
        pid: Pid,
        /// The reason with which the child ended.
        reason: ExitReason,
        /// Whether the child overran its time, and was killed.
        overran: bool,
    },
    /// A child used up its own restart budget, and was given up. The supervisor continues without
    /// the child.
    Parked {
        /// The supervisor of the child.
        supervisor: Pid,
        /// The id of the child.
        child: SharedStr,
        /// The pid of the last incarnation; `None` if the child is in the list of a supervisor, and
        /// its last start failed. [`terminate_child`] of a dynamic supervisor accepts this pid, and
        /// also the pid that the start of the child returned.
        ///
        /// [`terminate_child`]: crate::DynamicSupervisorRef::terminate_child
        pid: Option<Pid>,
        /// The reason for giving up, which names the limit that the child reached.
        reason: ExitReason,
    },
    /// A supervisor reached its restart limit, and ends.
    GaveUp {
        /// The supervisor.
        supervisor: Pid,
        /// The id of the child whose end or failed start exceeded the limit.
        child: SharedStr,
        /// The reason with which the supervisor ends.
        reason: ExitReason,
    },
}

/// Distributes the events of a runtime to its listeners.
#[derive(Debug, Default)]
pub(crate) struct EventHub {
    /// Whether there has been a listener since the runtime was created.
    was_subscribed: AtomicBool,
    sender: OnceLock<Sender<LifecycleEvent>>,
}

impl EventHub {
    /// Returns a new listener, for all events from now on.
    pub(crate) fn subscribe(&self) -> Receiver<LifecycleEvent> {
        let sender = self.sender.get_or_init(|| broadcast::channel(KEPT).0);
        let receiver = sender.subscribe();
        self.was_subscribed.store(true, Ordering::Release);
        receiver
    }

    /// Sends an event to all listeners. `make` does not run while there is no listener.
    pub(crate) fn publish(&self, make: impl FnOnce() -> LifecycleEvent) {
        if !self.was_subscribed.load(Ordering::Acquire) {
            return;
        }
        let listening = self.sender.get().filter(|sender| sender.receiver_count() > 0);
        if let Some(sender) = listening {
            // An error means that the last listener was dropped just now.
            ignore_panic(|| drop(sender.send(make())));
        }
    }
}
