//! All processes of one runtime, and the protocols between them: links, monitors, names, groups,
//! timers, exit signals, the start and the teardown of a process.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `restart`, `observe`, `process`.
//! **Knows nothing of** tasks and futures: an operation locks a record, changes it, and calls
//! wakers. `driver` polls the bodies of processes, and users call `runtime`.

use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use crate::base::padded::Padded;
use crate::base::pid::Pid;
use crate::base::pid_source::PidSource;
use crate::base::random::identifying_number;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use crate::base::sync::{Mutex, PidTable, Table};
use crate::kernel::wait_graph::Waits;
use crate::observe::census_wake::CensusWake;
use crate::observe::change_log::ChangeLog;
use crate::observe::counters::CounterCells;
use crate::observe::crash_report::limit::ReportLimiter;
use crate::observe::dead_letter::DeadLetter;
use crate::observe::event::LifecycleEvent;
use crate::observe::hub::Hub;
use crate::observe::log_flood::LogFlood;
use crate::observe::log_level::LogLevel;
use crate::observe::past_events::EndedEvents;
use crate::observe::stop_records::StopRecords;
use crate::observe::switches::Switches;
use crate::process::AnyProcess;
use crate::time::deadline_pool::DeadlinePool;
use crate::time::timer_queue::TimerQueue;

mod call_switches;
mod mailbox_setting;
mod log_lines;
mod paths;
mod carrying;
pub(crate) mod wait_graph;
#[cfg(feature = "chaos")]
pub(crate) mod faults;
#[cfg(regrow_proof)]
pub(crate) mod trace;
pub(crate) mod stopping;
pub(crate) mod exits;
pub(crate) mod links;
pub(crate) mod monitors;
#[cfg(feature = "cluster")]
pub(crate) mod other_nodes;
pub(crate) mod final_reason;
pub(crate) mod closing;
mod dead_letters;
pub(crate) mod unhandled;
pub(crate) mod kept_queues;
pub(crate) mod reserved_names;
pub(crate) mod name_table;
mod orphans;
pub(crate) mod stop_above;
mod kill_times;
mod backtraces;
#[cfg(all(unix, feature = "process"))]
pub(crate) mod running_programs;
pub(crate) mod groups;
#[cfg(feature = "cluster")]
pub(crate) mod foreign_members;
mod crashed_child;
mod crash_reports;
mod resumed;
mod memory;
mod announcement;
pub(crate) mod teardown;
pub(crate) mod admission;
pub(crate) mod tokio_gone;
pub(crate) mod timers;
#[cfg(regrow_proof)]
mod trace_calls;

pub(crate) use admission::{NewProcess, NotAdmitted, ORDINARY};
pub(crate) use final_reason::End;
pub(crate) use kill_times::KillTime;
pub(crate) use mailbox_setting::Mailboxes;
pub(crate) use resumed::Resumed;
pub(crate) use stop_above::{StopInProgress, StopOrigin};
pub(crate) use timers::NO_TOKIO;
pub(crate) use tokio_gone::TOKIO_GONE;
pub(crate) use wait_graph::{Until, WaitEdge};

/// The tables and counters that all clones of a [`Runtime`](crate::Runtime) share.
///
/// Threads read most fields at each start and end of a process. The fields that each start or end
/// changes are in cache lines of their own: the shards of the table, the sources of numbers, and
/// the counter of ends.
#[derive(Default)]
pub(crate) struct Kernel {
    pub(crate) table: PidTable<Arc<dyn AnyProcess>>,
    pub(crate) names: Table<SharedStr, NameEntry>,
    pub(crate) groups: Table<SharedStr, groups::Group>,
    /// The number of messages that full mailboxes refused.
    pub(crate) refused: AtomicU64,
    /// The number of messages that full mailboxes dropped.
    pub(crate) dropped: AtomicU64,
    pub(crate) counters: CounterCells,
    /// The number of messages that processes have left unhandled.
    pub(crate) unhandled: AtomicU64,
    /// Set when the runtime is shut down. From then on, a new process ends before its body runs.
    pub(crate) closed: AtomicBool,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) handle: OnceLock<tokio::runtime::Handle>,
    pub(crate) tokio_end: tokio_gone::TokioEnd,
    pub(crate) timers: TimerQueue,
    pub(crate) deadlines: Arc<DeadlinePool>,
    pub(crate) census: Arc<CensusWake>,
    pub(crate) events: Hub<LifecycleEvent>,
    pub(crate) dead_letters: Hub<DeadLetter>,
    pub(crate) crash_report_limit: ReportLimiter,
    pub(crate) log_flood: Arc<LogFlood>,
    pub(crate) changes: Arc<ChangeLog>,
    /// The last events of processes that have ended.
    pub(crate) ended_events: EndedEvents,
    pub(crate) stops: StopRecords,
    /// The program stops that are in progress. Each entry has the pid of the program's root
    /// supervisor, and the cause of the stop.
    pub(crate) stops_in_progress: Mutex<Vec<(Pid, stop_above::StopOrigin)>>,
    kill_times: kill_times::KillTimes,
    backtraces: backtraces::Backtraces,
    #[cfg(all(unix, feature = "process"))]
    pub(crate) programs: running_programs::Programs,
    /// Notified when a name is registered, when a vacant name is freed, and when the `init` of a
    /// process with a name has finished.
    pub(crate) name_changes: tokio::sync::Notify,
    /// Notified when a process reports its health.
    pub(crate) health_changes: tokio::sync::Notify,
    pub(crate) waits: Waits,
    pub(crate) switches: Switches,
    pub(crate) carrying: carrying::Carrying,
    /// Set when the runtime first has a node.
    #[cfg(feature = "cluster")]
    pub(crate) other_nodes: OnceLock<Arc<dyn other_nodes::OtherNodes>>,
    /// The process that publishes the changes of groups to other nodes, or 0.
    #[cfg(feature = "cluster")]
    pub(crate) group_publisher: AtomicU64,
    /// Set at the creation of the runtime of a chaos run.
    #[cfg(feature = "chaos")]
    pub(crate) faults: OnceLock<Arc<faults::Faults>>,
    #[cfg(regrow_proof)]
    pub(crate) trace: crate::kernel::trace::Trace,
    /// A random number that identifies this runtime. Other programs, and this program after its
    /// restart, have other numbers.
    pub(crate) instance: u64,
    log_level: AtomicU8,
    pids: Padded<PidSource>,
    next_id: Padded<AtomicU64>,
}

/// The table entry of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameEntry {
    Held(Pid),
    /// No process holds the name, because a supervisor is about to restart the child that had it.
    /// The record of the supervisor says whether the name is [reserved](reserved_names) for the
    /// successor.
    Vacant(Vacancy),
}

/// A name that no process holds, because `supervisor` is about to restart the child that had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vacancy {
    pub(crate) supervisor: Pid,
    /// When the supervisor starts the successor, if the supervisor has delayed the restart.
    pub(crate) until: Option<Instant>,
}

impl Kernel {
    pub(crate) fn new(mailboxes: Mailboxes) -> Arc<Self> {
        let mut kernel = Kernel::default();
        kernel.mailboxes = mailboxes;
        kernel.instance = identifying_number();
        kernel.pids = Padded(PidSource::new());
        kernel.next_id = Padded(AtomicU64::new(1));
        Arc::new(kernel)
    }

    /// A number that identifies this runtime: the address of its kernel. The thread-local for the
    /// current process stores this number.
    pub(crate) fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(crate) fn find(&self, pid: Pid) -> Option<Arc<dyn AnyProcess>> {
        self.table.get(pid)
    }

    /// Whether the process of a pid is one of another node.
    #[cfg(not(feature = "cluster"))]
    #[allow(clippy::unused_self)] // as with the feature
    pub(crate) fn reaches(&self, _: Pid) -> bool {
        false
    }

    /// Finds many processes at once, in their order. `None` for a process that has ended.
    pub(crate) fn find_all(&self, pids: &[Pid]) -> Vec<Option<Arc<dyn AnyProcess>>> {
        let touch = |process: &Arc<dyn AnyProcess>| process.flags().load(Ordering::Relaxed) > 0;
        self.table.get_all(pids, touch)
    }

    pub(crate) fn fresh_pid(&self) -> Pid {
        self.pids.next()
    }

    /// Returns a new number, for example for a link, a monitor, a timer or a waiter. The number is
    /// greater than all earlier ones.
    pub(crate) fn fresh_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn log_level(&self) -> LogLevel {
        LogLevel::from_bits(self.log_level.load(Ordering::Relaxed))
    }

    pub(crate) fn set_log_level(&self, level: LogLevel) {
        self.log_level.store(level as u8, Ordering::Relaxed);
    }

    /// Marks the census as outdated, if it is logged.
    pub(crate) fn mark_census(&self) {
        if self.wants_log(LogLevel::Info) {
            self.census.mark_changed();
        }
    }

    /// The tokio runtime that processes run on. The runtime is captured at the first use inside a
    /// tokio runtime.
    #[inline]
    pub(crate) fn tokio(&self) -> Option<&tokio::runtime::Handle> {
        self.handle.get().or_else(|| self.capture_tokio())
    }

    #[cold]
    #[inline(never)]
    fn capture_tokio(&self) -> Option<&tokio::runtime::Handle> {
        if let Ok(handle) = tokio::runtime::Handle::try_current() {
            // If another thread has set a handle since the check, that handle is used.
            let _ = self.handle.set(handle);
        }
        self.handle.get()
    }

    pub(crate) fn wants_log(&self, level: LogLevel) -> bool {
        level != LogLevel::Off && self.log_level() >= level
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.timers.close();
        self.deadlines.close();
        self.census.close();
        self.changes.close();
        self.switches.polls.close();
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("processes", &self.table.len()).finish_non_exhaustive()
    }
}
