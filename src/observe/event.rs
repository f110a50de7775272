//! Lifecycle events: the starts, ends, restarts and failures of processes and children, as values.
//!
//! An event is created where the log line about the same facts is written, and is sent to the
//! listeners that exist at that time, by a [`Hub`](crate::observe::hub::Hub).

use std::sync::Arc;
use std::time::Duration;

use crate::base::{Pid, SharedStr, TimeOfDay};
use crate::exit::ExitReason;
use crate::observe::activity::Callback;
use crate::observe::{ControlAction, ControlOutcome, CrashReport};

/// One event of a runtime: the facts of a line of the lifecycle log or of a supervisor's report.
///
/// [`Runtime::events`](crate::Runtime::events) returns the stream of events. Labelled processes,
/// which include all children, have events for their starts and ends; other processes have events
/// for their crashes and for the messages that they leave unhandled. OTP: `supervisor_report`,
/// `crash_report` and `progress`, as terms of the logger.
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
    /// A process crashed. This event has what is known of the crash, and follows the
    /// [`Exited`](Self::Exited) of the same end. In a storm of crashes the reports of each child
    /// [are limited](crate::Runtime::limit_crash_reports).
    CrashReport(Arc<CrashReport>),
    /// A process ended and left messages in its mailbox that it had accepted and never handled.
    /// This event comes before [`Exited`](Self::Exited) and before any process is notified of the
    /// end. If the process was a child that [keeps its queue](crate::ChildSpec::keep_queue), the
    /// event comes when its supervisor has decided that no successor follows.
    ///
    /// Signals, timers, requests to stop or to inspect a server, and casts that a server gave to
    /// its own [`continue_with`](crate::ServerContext::continue_with) are not counted. Neither is
    /// the message whose handler ended the server: its handler had begun. The casts of a supervisor
    /// are its own, and are not counted. [`Runtime::unhandled_messages`] has the sum for all
    /// processes, and [`Runtime::dead_letters`] has each message.
    ///
    /// [`Runtime::unhandled_messages`]: crate::Runtime::unhandled_messages
    /// [`Runtime::dead_letters`]: crate::Runtime::dead_letters
    LeftUnhandled {
        /// The process.
        pid: Pid,
        /// The label of the process, if it had one.
        label: Option<SharedStr>,
        /// One of the names that the process held.
        name: Option<SharedStr>,
        /// Why the process ended.
        reason: ExitReason,
        /// The number of calls. Each caller that still waits gets an error.
        calls: usize,
        /// The number of casts. Their senders get no notice.
        casts: usize,
        /// The number of messages and streams. Their senders get no notice; the writer of a stream
        /// gets an error.
        messages: usize,
    },
    /// A child that [keeps its queue](crate::ChildSpec::keep_queue) was started again, and has taken
    /// over what its predecessor had accepted and never handled. What no successor takes over is
    /// reported by [`LeftUnhandled`](Self::LeftUnhandled), for the incarnation that left it.
    QueueHandedOn {
        /// The new incarnation.
        pid: Pid,
        /// The incarnation that has ended.
        from: Pid,
        /// The label of the process that has ended.
        label: Option<SharedStr>,
        /// The number of calls, with those that their callers have given up since. The other callers
        /// wait on, for the answer of the new incarnation.
        calls: usize,
        /// The number of casts.
        casts: usize,
        /// The number of messages and streams.
        messages: usize,
    },
    /// A start or a restart of a child failed. A failed restart is followed by another attempt or
    /// by [`GaveUp`](Self::GaveUp) or [`GivenUp`](Self::GivenUp). If a supervisor starts its first
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
    /// A handler of a server has failed, and the server goes on, as its
    /// [`on_failure`](crate::ChildSpec::on_failure) says. There is no [`Exited`](Self::Exited).
    Resumed {
        /// The supervisor of the server.
        supervisor: Pid,
        /// The id of the server.
        child: SharedStr,
        /// The process of the server.
        pid: Pid,
        /// The panic or the error of the handler.
        reason: ExitReason,
        /// The callback that has failed.
        callback: Callback,
        /// How many more failures its [budget](crate::ChildSpec::resume_budget) allows now.
        resumes_left: u32,
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
    /// A child is late with its [heartbeat](crate::ChildSpec::heartbeat): it is
    /// [`Unresponsive`](crate::Health::Unresponsive) until its next one, which has no event. If the
    /// child ends just now, this event may come after [`Exited`](Self::Exited). If it is ended for that,
    /// [`Exited`](Self::Exited) has a [`HeartbeatMissed`](crate::HeartbeatMissed) as its reason.
    Unresponsive {
        /// The supervisor of the child.
        supervisor: Pid,
        /// The id of the child.
        child: SharedStr,
        /// The pid of the incarnation.
        pid: Pid,
    },
    /// A child used up its own restart budget, and was given up. The supervisor continues without
    /// the child.
    GivenUp {
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
    /// A handler of an [`EventManager`](crate::EventManager) returned an error or panicked, and was
    /// removed. The manager runs on. If the handler panicked in its `terminate` as well, there is a
    /// second event.
    HandlerFailed {
        /// The event manager.
        manager: Pid,
        /// The id of the handler, as its [`HandlerId`](crate::HandlerId) shows it.
        handler: SharedStr,
        /// The error or the panic.
        reason: ExitReason,
    },
    /// A poll of a process takes longer than [`Runtime::watch_polls`] allows: the process computes,
    /// blocks its thread, or drops values, and has not yielded yet. There is one such event for each
    /// such poll.
    ///
    /// [`Runtime::watch_polls`]: crate::Runtime::watch_polls
    LongPoll {
        /// The process.
        pid: Pid,
        /// The label of the process, if it has one.
        label: Option<SharedStr>,
        /// The path of the process, as in [`Change::path`](crate::Change::path), if it is a
        /// supervisor or a child.
        path: Option<SharedStr>,
        /// The callback that runs. `None` for other processes, and for the callback during which the
        /// watch was turned on.
        callback: Option<Callback>,
        /// How long the poll has taken so far, at least.
        elapsed: Duration,
    },
    /// The poll of a [`LongPoll`](Self::LongPoll) has ended, so the process has yielded or ended. The
    /// process may have ended before this event comes.
    LongPollEnded {
        /// The process.
        pid: Pid,
        /// The label of the process, if it has one.
        label: Option<SharedStr>,
        /// The path of the process, if it is a supervisor or a child.
        path: Option<SharedStr>,
        /// How long the poll took, at least. The true time is longer by half the limit at most, if the
        /// thread of the watch could run.
        elapsed: Duration,
    },
    /// An action was requested from outside: by the page of an observer, or by
    /// [`Runtime::control`](crate::Runtime::control). There is one such event for each request, also
    /// for one that was refused.
    Control {
        /// When the request was answered, by the clock of the system.
        time: TimeOfDay,
        /// The action. `None` if the request was refused before it was understood.
        action: Option<ControlAction>,
        /// The path of the child, as in [`Change::path`](crate::Change::path), as the request named
        /// it. `None` if the action is about no child.
        path: Option<SharedStr>,
        /// The process of the child, as the request named it.
        pid: Option<Pid>,
        /// The requester: a name from the authentication of the application, or an address. The text
        /// comes from outside; it has at most 256 characters.
        caller: SharedStr,
        /// How the request ended.
        outcome: ControlOutcome,
    },
}
