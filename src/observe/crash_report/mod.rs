//! Crash reports: what is known of a crash, as one value.
//!
//! The teardown of a process gathers the facts ([`kernel::crash_reports`]); this folder has the
//! value, its text, its line in the log, and the limit of reports in a storm of crashes.
//!
//! [`kernel::crash_reports`]: crate::kernel

use std::time::Duration;

use tokio::time::Instant;

use crate::base::{Pid, SharedStr};
use crate::exit::{ExitReason, Shutdown};
use crate::message::MessageKind;
use crate::observe::Callback;
use crate::observe::state_record::MachineStatus;
use crate::restart::policy::Restart;
use crate::restart::{Backoff, FailurePolicy, History};

mod parts;
mod text;
pub(crate) mod log_line;
pub(crate) mod limit;

/// The report of one crash: which process crashed, why, what it was handling, and its life before.
/// A report never contains a message.
///
/// A report is made for each process that a panic or an error ends, supervised or not, and for each
/// child that another process or the program ends with a reason that is not clean while its
/// supervisor has not asked it to stop: a kill, or the crash of a linked process. It is the event
/// [`LifecycleEvent::CrashReport`](crate::LifecycleEvent::CrashReport), which follows the
/// [`Exited`](crate::LifecycleEvent::Exited) of the same end, and a line of the log: target
/// `regrow::crash`, level WARN, from the runtime's log level [`Warn`](crate::LogLevel::Warn) on. In
/// a storm of crashes the reports of each child [are limited](crate::Runtime::limit_crash_reports);
/// the events of each crash are not, and its lines have [another limit](crate::Runtime::limit_log_lines).
/// A report is also made for a handler that fails and whose server
/// [goes on](crate::FailurePolicy::Resume).
///
/// The process gathers the facts itself when it ends, so a report does not wait for the supervisor,
/// and says nothing of what the supervisor decides: that is the next
/// [`Restarting`](crate::LifecycleEvent::Restarting), [`ChildEnded`](crate::LifecycleEvent::ChildEnded)
/// or [`GaveUp`](crate::LifecycleEvent::GaveUp).
///
/// The [`Display`](std::fmt::Display) of a report has several lines, for a person. Control
/// characters in ids, names and reasons are escaped in it, so no text can begin a line of its own.
/// OTP: the `crash_report` of `proc_lib`.
///
/// # Examples
///
/// A report for an error tracker:
///
/// ```
/// use regrow::{ChildSpec, LifecycleEvent, Restart, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let mut events = rt.events();
/// let parser = ChildSpec::task("parser", |_| async { Err("42".parse::<bool>().unwrap_err())? });
/// let tree = Supervisor::one_for_one().with_id("ingest");
/// let tree = tree.child(parser.restart(Restart::Transient)).start(&rt).await?;
/// let report = loop {
///     if let Some(LifecycleEvent::CrashReport(report)) = events.next().await {
///         break report;
///     }
/// };
/// assert_eq!(report.path, "ingest/parser");
/// assert_eq!(report.reason.to_string(), "error: provided string was not `true` or `false`");
/// let child = report.child.as_ref().unwrap();
/// assert_eq!((child.incarnation, child.restart), (1, Restart::Transient));
/// assert_eq!(child.budget, Some((3, std::time::Duration::from_secs(5))));
/// assert!(report.to_string().starts_with("ingest/parser #"));
/// # drop(tree);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CrashReport {
    /// The process that ended.
    pub pid: Pid,
    /// The path of a supervisor or a child, as in [`Change::path`](crate::Change::path). Of any other
    /// process, the labels of the processes above and its own, escaped in the same way: a process
    /// without a label has its name or its pid there, and above the 64 nearest `…` replaces the
    /// others.
    pub path: SharedStr,
    /// The label of the process, if it had one; of a child, its id, unless it was set.
    pub label: Option<SharedStr>,
    /// One of the names that the process held.
    pub name: Option<SharedStr>,
    /// Whether the process failed itself.
    pub cause: CrashCause,
    /// Why the process ended, or its handler failed: the panic or the error with its sources, the location, and the
    /// [backtrace](crate::Crash::backtrace_text) if there is one.
    pub reason: ExitReason,
    /// When the process ended.
    pub at: Instant,
    /// The life of the child and its specification; `None` if no supervisor had started the process.
    pub child: Option<CrashedChild>,
    /// The callback in which the process failed; `None` if the process is no server, or was ended
    /// from outside while its handlers were not [tracked](crate::Runtime::track_handlers).
    pub handling: Option<CrashHandling>,
    /// The state of a [state machine](crate::StateMachine), and its last changes; `None` for any other
    /// process.
    pub machine: Option<MachineStatus>,
    /// The number of messages, streams, casts and calls that were in the mailbox and were never
    /// handled. The message whose handler failed is not counted, nor are the casts of a supervisor,
    /// which are its own, nor the messages that a [kept queue](crate::ChildSpec::keep_queue) leaves to
    /// the next incarnation: [`QueueHandedOn`](crate::LifecycleEvent::QueueHandedOn) counts these.
    pub mailbox_depth: usize,
    /// The processes that were linked to this one: the first 16, in the order of their pids.
    pub links: Vec<Pid>,
    /// The number of linked processes that `links` leaves out.
    pub more_links: usize,
    /// The processes above, the nearest first: the supervisors and, for a process that was started
    /// with `start_link`, the process that started it. At most 64. Of a process that has ended, no
    /// further processes above are known.
    pub ancestors: Vec<Ancestor>,
    /// How many reports with this path were left out since the last one was made.
    pub left_out: u64,
}

/// Whether a process that crashed failed itself. [`CrashReport`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CrashCause {
    /// The process panicked, or ended with an error.
    Own,
    /// Another process or the program ended the process: a kill, the exit of a linked process, or a
    /// request to stop with this reason.
    Outside,
    /// A handler of the server failed, and the server goes on, as its
    /// [`on_failure`](crate::ChildSpec::on_failure) says.
    Resumed,
}

/// The life of a crashed child, and its specification in short. [`CrashReport`] has an example.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CrashedChild {
    /// The supervisor.
    pub supervisor: Pid,
    /// The number of the start that made this process: 1 for the first start.
    pub incarnation: u32,
    /// The time since the start of the process began.
    pub uptime: Duration,
    /// When the child is started again.
    pub restart: Restart,
    /// What the [`on_failure`](crate::ChildSpec::on_failure) of the child decides about this failure.
    /// `None` if the child has no such closure, if it panicked, if the child has
    /// [decided](crate::NoRestart) itself, or if its supervisor was stopping it or was stopping itself.
    /// Also `None` for a failure in `init`: the error of the start decides then, if the start was a restart. A server that has used up its
    /// [resumes](crate::ChildSpec::resume_budget) ends although this is `Resume`.
    pub policy: Option<FailurePolicy>,
    /// How long the child may take to stop.
    pub shutdown: Shutdown,
    /// The delays of restarts; `None` if restarts have none.
    pub backoff: Option<Backoff>,
    /// How many restarts are allowed within which period, by the child's own budget or by that of
    /// its supervisor. `None` if there is no limit, if the child is never restarted, or if the
    /// supervisor had ended. How many of them are left is in the
    /// [`Restarting`](crate::LifecycleEvent::Restarting) that follows.
    pub budget: Option<(u32, Duration)>,
    /// The last incarnations before this one.
    pub history: History,
}

/// The callback in which a server failed. [`CrashReport`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashHandling {
    /// The callback.
    pub callback: Callback,
    /// The kind of the message; `None` if the callback handles no call and no cast.
    pub kind: Option<MessageKind>,
    /// The name of the type of the message: the server's [`Call`](crate::GenServer::Call) or
    /// [`Cast`](crate::GenServer::Cast). Use this text in logs only, as [`std::any::type_name`]
    /// says.
    pub message_type: Option<&'static str>,
    /// How long the callback had been running. `None` unless handlers are
    /// [tracked](crate::Runtime::track_handlers) or slow handlers are
    /// [reported](crate::Runtime::warn_after).
    pub elapsed: Option<Duration>,
}

/// A process above a crashed process. [`CrashReport::ancestors`] lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ancestor {
    /// The pid.
    pub pid: Pid,
    /// The label of the process, of a supervisor its id; `None` if it has none or had ended.
    pub label: Option<SharedStr>,
}

/// Two reports are equal if they are about the same end.
impl PartialEq for CrashReport {
    fn eq(&self, other: &Self) -> bool {
        (self.pid, self.at, &self.reason) == (other.pid, other.at, &other.reason)
    }
}

impl Eq for CrashReport {}
