//! Looking at one process, or at what is left of all.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::observe::activity::Handling;
use crate::observe::doing::Doing;
use crate::process::overflow::Overflow;
use crate::process::{Locked, Parked};
use crate::runtime::Runtime;

/// A snapshot of one live process. OTP: `process_info/1`.
///
/// # Examples
///
/// ```
/// use regrow::Runtime;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let rt = Runtime::with_mailbox_depth();
/// let worker = rt.spawn(|_| std::future::pending()).pid();
/// let watcher = rt.spawn_link(worker, |_| std::future::pending()).pid();
/// rt.monitor(watcher, worker);
/// rt.send(worker, b"to do".to_vec());
///
/// let info = rt.info(worker).unwrap();
/// assert_eq!((info.links, info.monitors, info.monitoring), (1, 1, 0));
/// assert_eq!(info.mailbox_depth, 1);
/// assert_eq!(rt.info(watcher).unwrap().monitoring, 1);
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Its pid.
    pub pid: Pid,
    /// How many processes it is linked to.
    pub links: usize,
    /// How many monitors watch it.
    pub monitors: usize,
    /// How many monitors it holds: of processes that have not ended, and of groups.
    pub monitoring: usize,
    /// The names it holds, in alphabetical order.
    pub names: Vec<String>,
    /// The groups it is in, in alphabetical order.
    pub tags: Vec<String>,
    /// Its label.
    pub label: Option<String>,
    /// What is queued and not yet received; 0 also where it is not counted: see
    /// [`depth`](Self::depth).
    pub mailbox_depth: usize,
    /// Whether that is counted.
    is_counted: bool,
    /// How many messages its mailbox holds at most, signals aside; `None` without a bound.
    pub mailbox_capacity: Option<usize>,
    /// What its mailbox does when it is full; `None` without a bound.
    pub overflow: Option<Overflow>,
    /// How many messages, streams, casts and calls its full mailbox has cost so far:
    /// refused, dropped or evicted.
    pub dropped_messages: u64,
    /// Whether it traps exits.
    pub trap_exit: bool,
    /// How many handlers of it have returned; `None` unless it is a server whose handlers are
    /// [tracked](Runtime::track_handlers), as with the two below.
    pub handled: Option<u64>,
    /// Which callback runs; `None` also while it waits, or is
    /// [suspended](crate::ServerRef::suspend).
    pub handling: Option<Handling>,
    /// Whether it waits for a message. [`doing`](Self::doing) says it in a word.
    pub receiving: bool,
    /// For how long the oldest in its mailbox has been there, signals included; `None` also if
    /// that is empty.
    pub oldest_queued: Option<Duration>,
}

/// What is still there of a runtime: all zero at rest, after its
/// [`shutdown`](Runtime::shutdown). [`Runtime::leftovers`] counts it, and has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Leftovers {
    /// Live processes.
    pub processes: usize,
    /// Names, held or kept for a successor.
    pub names: usize,
    /// Groups, with members or watched.
    pub groups: usize,
    /// Ends of links: two for each link.
    pub links: usize,
    /// Ends of monitors: two for each monitor.
    pub monitors: usize,
    /// Pending timers.
    pub timers: usize,
    /// Calls under way that have a deadline.
    pub calls: usize,
}

impl Doing {
    /// What this process is doing now; of one that has ended, whatever else may be.
    pub(crate) fn of(runtime: &Runtime, pid: Pid) -> Self {
        runtime.info(pid).map_or(Doing::Working, |info| info.doing())
    }
}

impl Runtime {
    /// What one live process looks like, or `None` if it is not alive. OTP:
    /// `process_info/1`.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// rt.register("idler", pid);
    /// let info = rt.info(pid).unwrap();
    /// assert_eq!(info.names, ["idler"]);
    /// assert!(!info.trap_exit);
    /// # });
    /// ```
    pub fn info(&self, pid: Pid) -> Option<ProcessInfo> {
        let process = self.kernel.find(pid)?;
        let mut info = process.with(|locked| {
            let core = locked.core();
            let mut info = ProcessInfo {
                pid,
                links: 0,
                monitors: 0,
                monitoring: 0,
                names: Vec::new(),
                tags: Vec::new(),
                label: None,
                mailbox_depth: 0,
                is_counted: false,
                mailbox_capacity: None,
                overflow: None,
                dropped_messages: 0,
                trap_exit: core.trap,
                handled: None,
                handling: None,
                receiving: match core.parked {
                    Parked::Nobody => false,
                    Parked::Ahead => process.has_handled(),
                    Parked::Task | Parked::Foreign => true,
                },
                oldest_queued: None,
            };
            if !core.is_open() {
                return None;
            }
            if let Some(relations) = &core.relations {
                info.tell(relations);
            }
            if core.tracked {
                info.tell_work(locked);
            }
            Some(info)
        })?;
        info.names.sort_unstable();
        info.tags.sort_unstable();
        Some(info)
    }

    /// Gives a process a label, in place of an earlier one: free text for people, not unique.
    /// Labelled processes speak in the log and are counted in the census. False if it is not
    /// alive. A supervised child is labelled with its id. OTP: `proc_lib:set_label/1`.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// assert!(rt.set_label(worker.pid(), "worker"));
    /// assert_eq!(rt.info(worker.pid()).unwrap().label.as_deref(), Some("worker"));
    /// worker.kill();
    /// worker.join().await;
    /// assert!(!rt.set_label(worker.pid(), "late"));
    /// # });
    /// ```
    pub fn set_label(&self, pid: Pid, label: impl Into<String>) -> bool {
        let Some(process) = self.kernel.find(pid) else { return false };
        let mut label = Some(label.into().into());
        // A span that says the old label is dropped after unlock.
        let (labelled, _old) = process.with(|locked| {
            let core = locked.core();
            if !core.is_open() {
                return (false, None);
            }
            std::mem::swap(&mut core.relations_mut().label, &mut label);
            (true, core.registrations().and_then(|registrations| registrations.span.take()))
        });
        if labelled {
            self.kernel.mark_census();
        }
        labelled
    }

    /// Counts what is left in the tables. For tests that want to see that nothing is: it
    /// looks at every process, so not for every second of a program's life.
    ///
    /// ```
    /// use regrow::{Leftovers, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// rt.register("worker", worker.pid());
    /// let left = rt.leftovers();
    /// assert_eq!((left.processes, left.names, left.links), (1, 1, 0));
    ///
    /// worker.kill();
    /// worker.join().await;
    /// assert_eq!(rt.leftovers(), Leftovers::default());
    /// # });
    /// ```
    pub fn leftovers(&self) -> Leftovers {
        let kernel = &self.kernel;
        let pids = self.list();
        let infos = pids.iter().filter_map(|&pid| self.info(pid));
        let (links, monitors) = infos.fold((0, 0), |(links, monitors), info| {
            (links + info.links, monitors + info.monitors + info.monitoring)
        });
        Leftovers {
            processes: pids.len(),
            names: kernel.names.len(),
            groups: kernel.groups.len(),
            links,
            monitors,
            timers: kernel.timers.len(),
            calls: kernel.deadlines.active_waits(),
        }
    }
}

impl ProcessInfo {
    /// What is queued in its mailbox and not yet received; `None` where that is not counted. It
    /// is counted in a runtime that does so for all processes, and in a mailbox with a bound.
    /// OTP: `message_queue_len`, which is always counted.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let queued = |rt: &Runtime| {
    ///     let worker = rt.spawn(|_| std::future::pending()).pid();
    ///     rt.send(worker, b"to do".to_vec());
    ///     rt.info(worker).unwrap().depth()
    /// };
    /// assert_eq!(queued(&Runtime::with_mailbox_depth()), Some(1));
    /// assert_eq!(queued(&Runtime::new()), None); // not 0
    /// # });
    /// ```
    pub fn depth(&self) -> Option<usize> {
        self.is_counted.then_some(self.mailbox_depth)
    }

    /// What it is doing, in a word. [`Doing`] has an example.
    pub fn doing(&self) -> Doing {
        match self.handling {
            Some(handling) => Doing::Handling(handling),
            None if self.receiving => Doing::Receiving,
            None => Doing::Working,
        }
    }

    fn tell(&mut self, relations: &crate::process::Relations) {
        self.links = relations.links.len();
        self.monitors = relations.watchers.as_ref().map_or(0, |watchers| watchers.len());
        let fired =
            |held: &crate::process::Monitored| matches!(held, crate::process::Monitored::Fired);
        self.monitoring = relations.monitors.iter().filter(|(_, held)| !fired(held)).count();
        self.label = relations.label.as_ref().map(ToString::to_string);
        let Some(registrations) = &relations.registrations else { return };
        self.names = registrations.names.iter().map(|(name, ())| name.to_string()).collect();
        self.tags = registrations.tags.iter().map(|(tag, ())| tag.to_string()).collect();
        if let Some(counts) = &registrations.counts {
            (self.mailbox_depth, self.is_counted) = (counts.depth, true);
            self.mailbox_capacity = counts.bound();
            self.overflow = counts.bound().map(|_| counts.overflow);
            self.dropped_messages = counts.dropped;
        }
    }
}

impl ProcessInfo {
    fn tell_work(&mut self, locked: &mut Locked) {
        let (now, in_inbox) = (Instant::now(), locked.oldest_queued());
        let activity =
            locked.core().registrations().and_then(|registrations| registrations.activity.as_mut());
        let oldest = activity.as_ref().and_then(|activity| activity.next_queued).or(in_inbox);
        self.oldest_queued = oldest.map(|at| now.saturating_duration_since(at));
        self.handled = Some(activity.as_ref().map_or(0, |activity| activity.handled));
        let running = activity.and_then(|activity| activity.running);
        self.handling = running.map(|running| running.handling(now));
    }
}

#[cfg(regrow_proof)]
impl Runtime {
    /// Everything that has happened in this runtime so far.
    pub fn trace(&self) -> Vec<crate::kernel::trace::Traced> {
        self.kernel.trace.lines()
    }
}
