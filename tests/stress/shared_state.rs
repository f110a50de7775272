//! The state that all threads and processes of one run share.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use regrow::{ExitReason, MonitorRef, Pid, ProcessHandle, Runtime, TimerRef};
use tokio::sync::watch;

/// The number of processes that actors can choose from.
const PLACES: usize = 128;

pub(crate) const NAMES: usize = 16;
pub(crate) const GROUPS: usize = 6;

/// The sender of a message: the raw pid of a process, or a number that no pid has.
pub(crate) type Sender = u64;

/// The state of one monitor, as recorded by the processes that set it, remove it or receive its
/// `Down`.
#[derive(Debug, Default, Clone)]
pub(crate) struct Watch {
    /// `None` if the monitor was set by name.
    pub(crate) target: Option<Pid>,
    /// `demonitor` was called, and returned that it was in time.
    pub(crate) in_time: bool,
    /// `demonitor_flush` was called, so a `Down` that was queued has been removed.
    pub(crate) flushed: bool,
    /// The number of `Down`s that arrived.
    pub(crate) downs: usize,
}

/// A process, and the last round in which it answered.
pub(crate) struct Soldier {
    pub(crate) handle: ProcessHandle,
    pub(crate) answered: watch::Receiver<u32>,
}

/// The records that the invariants are checked against.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) soldiers: Vec<Soldier>,
    pub(crate) timers: Vec<TimerRef>,
    /// Timers that are due after the end of the test, and their targets.
    pub(crate) late_timers: Vec<(TimerRef, Pid)>,
    pub(crate) watches: HashMap<MonitorRef, Watch>,
    /// The number of messages that each sender sent to each process.
    pub(crate) sent: HashMap<(Sender, Pid), u32>,
    /// The number of the last message that each process received from each sender.
    pub(crate) got: HashMap<(Sender, Pid), u32>,
    /// The reason of each end, as its first observer received it.
    pub(crate) reasons: HashMap<Pid, ExitReason>,
    /// The processes whose bodies have started and have not been dropped yet.
    pub(crate) embodied: HashSet<Pid>,
    pub(crate) pids: HashSet<Pid>,
    pub(crate) complaints: Vec<String>,
}

pub(crate) struct Field {
    pub(crate) rt: Runtime,
    /// The number of operations that remain.
    budget: AtomicI64,
    /// Incremented before and after each item is handled.
    pub(crate) handled: AtomicU64,
    places: Vec<AtomicU64>,
    notes: Mutex<Notes>,
}

impl Field {
    pub(crate) fn new(operations: i64) -> Self {
        Field {
            rt: Runtime::new(),
            budget: AtomicI64::new(operations),
            handled: AtomicU64::new(0),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            notes: Mutex::default(),
        }
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one operation from the budget; returns false if there is none.
    pub(crate) fn may_go_on(&self) -> bool {
        self.budget.fetch_sub(1, Ordering::Relaxed) > 0
    }

    /// Returns the process at this index, alive or not.
    pub(crate) fn at(&self, place: usize) -> Pid {
        Pid::from_raw(self.places[place % PLACES].load(Ordering::Relaxed))
    }

    /// Puts a process at an index, and kills the previous process there.
    pub(crate) fn enlist(&self, place: usize, soldier: Soldier) {
        let pid = soldier.handle.pid();
        let before = self.places[place % PLACES].swap(pid.raw(), Ordering::Relaxed);
        self.rt.kill(Pid::from_raw(before));
        let mut notes = self.notes();
        if !notes.pids.insert(pid) {
            notes.complaints.push(format!("I-25: {pid} was given twice"));
        }
        notes.soldiers.push(soldier);
    }

    pub(crate) fn watched(&self, reference: MonitorRef, target: Option<Pid>) {
        self.notes().watches.entry(reference).or_default().target = target;
    }

    pub(crate) fn complain(&self, invariant: &str, what: impl Debug) {
        self.notes().complaints.push(format!("{invariant}: {what:?}"));
    }
}
