//! Snapshots of one process, and counts of the entries left in the tables.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::Pid;
use crate::observe::{Doing, Handling};
use crate::process::overflow_policy::Overflow;
use crate::process::{Locked, Memory, MonitorEntry, Relations};
use crate::runtime::Runtime;

/// A snapshot of one live process. OTP: `process_info/1`.
///
/// # Examples
///
/// ```
/// use regrow::Runtime;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
/// # }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// The pid of the process.
    pub pid: Pid,
    /// The number of processes that the process is linked to.
    pub links: usize,
    /// The number of monitors that watch the process.
    pub monitors: usize,
    /// The number of monitors that the process holds, of groups and of processes that have not
    /// ended.
    pub monitoring: usize,
    /// The names that the process holds, in alphabetical order.
    pub names: Vec<String>,
    /// The groups that the process is a member of, in alphabetical order.
    pub tags: Vec<String>,
    /// The label of the process, if it has one.
    pub label: Option<String>,
    /// The number of items that are queued and not yet received. Also 0 if the mailbox is not
    /// counted: see [`depth`](Self::depth).
    pub mailbox_depth: usize,
    /// Whether the mailbox is counted.
    is_counted: bool,
    /// The largest number of messages and streams that the mailbox may hold. Signals do not count.
    /// `None` without a bound.
    pub mailbox_capacity: Option<usize>,
    /// The policy of the mailbox when it is full; `None` without a bound.
    pub overflow: Option<Overflow>,
    /// The number of messages, streams, casts and calls that were lost so far because the mailbox
    /// was full: refused, dropped or evicted.
    pub dropped_messages: u64,
    /// The memory that the process holds, in bytes: what it [reports](Runtime::set_memory) or else, at
    /// least 0, what is [measured](Runtime::measure_memory). `None` if there is neither.
    pub memory: Option<u64>,
    /// Whether the process traps exits.
    pub trap_exit: bool,
    /// The number of handlers of the process that have returned. `None` unless the process is a
    /// server whose handlers are [tracked](Runtime::track_handlers); the same holds for `handling`
    /// and `oldest_queued`.
    pub handled: Option<u64>,
    /// The callback that runs now. Also `None` while the server waits or is
    /// [suspended](crate::ServerRef::suspend).
    pub handling: Option<Handling>,
    /// Whether the process waits for a message. [`doing`](Self::doing) combines this with
    /// `handling`.
    pub receiving: bool,
    /// The time for which the oldest item of the mailbox has been queued, signals included. Also
    /// `None` if the mailbox is empty.
    pub oldest_queued: Option<Duration>,
}

/// The numbers of entries left in the tables of a runtime. All are zero once all processes have
/// ended after a [`shutdown`](Runtime::shutdown). [`Runtime::leftovers`] returns them, and has an
/// example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Leftovers {
    /// Live processes.
    pub processes: usize,
    /// Names that are held, or reserved for a successor.
    pub names: usize,
    /// Groups that have members or are watched.
    pub groups: usize,
    /// Link entries: two for each link.
    pub links: usize,
    /// Monitor entries: two for each monitor.
    pub monitors: usize,
    /// Pending timers.
    pub timers: usize,
    /// Waits with a deadline that are in progress, such as calls.
    pub calls: usize,
}

impl Doing {
    /// Returns the current activity of this process, or `Working` if it has ended.
    pub(crate) fn of(runtime: &Runtime, pid: Pid) -> Self {
        runtime.info(pid).map_or(Doing::Working, |info| info.doing())
    }
}

impl Runtime {
    /// Takes a snapshot of one live process. Returns `None` if it is not alive. OTP:
    /// `process_info/1`.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pid = rt.spawn(|_| std::future::pending()).pid();
    /// rt.register("idler", pid);
    /// let info = rt.info(pid).unwrap();
    /// assert_eq!(info.names, ["idler"]);
    /// assert!(!info.trap_exit);
    /// # }));
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
                memory: None,
                trap_exit: core.trap,
                handled: None,
                handling: None,
                receiving: process.is_receiving(core),
                oldest_queued: None,
            };
            if !core.is_open() {
                return None;
            }
            core.relations.iter().for_each(|relations| info.add_relations(relations));
            if core.tracked {
                info.add_activity(locked);
            }
            Some(info)
        })?;
        info.names.sort_unstable();
        info.tags.sort_unstable();
        Some(info)
    }

    /// Sets the label of a process, and replaces an earlier one. Returns false if the process is
    /// not alive. OTP: `proc_lib:set_label/1`.
    ///
    /// A label is free text for people, and need not be unique. Processes with a label appear in
    /// the lifecycle log and in the census. A supervised child is labelled with its id.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// assert!(rt.set_label(worker.pid(), "worker"));
    /// assert_eq!(rt.info(worker.pid()).unwrap().label.as_deref(), Some("worker"));
    /// worker.kill();
    /// worker.join().await;
    /// assert!(!rt.set_label(worker.pid(), "late"));
    /// # }));
    /// ```
    pub fn set_label(&self, pid: Pid, label: impl Into<String>) -> bool {
        let Some(process) = self.kernel.find(pid) else { return false };
        let mut label = Some(label.into().into());
        // The span with the old label is dropped after unlock.
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

    /// Counts the entries left in the tables. Use this in tests that check that nothing leaks. The
    /// method visits every process, so do not call it frequently in a running program.
    ///
    /// ```
    /// use regrow::{Leftovers, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = rt.spawn(|_| std::future::pending());
    /// rt.register("worker", worker.pid());
    /// let left = rt.leftovers();
    /// assert_eq!((left.processes, left.names, left.links), (1, 1, 0));
    ///
    /// worker.kill();
    /// worker.join().await;
    /// assert_eq!(rt.leftovers(), Leftovers::default());
    /// # }));
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
    /// The number of items that are queued and not yet received; `None` if the mailbox is not
    /// counted. A mailbox is counted if it has a bound, or if its runtime counts all mailboxes.
    /// OTP: `message_queue_len`, which is always counted.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let queued = |rt: &Runtime| {
    ///     let worker = rt.spawn(|_| std::future::pending()).pid();
    ///     rt.send(worker, b"to do".to_vec());
    ///     rt.info(worker).unwrap().depth()
    /// };
    /// assert_eq!(queued(&Runtime::with_mailbox_depth()), Some(1));
    /// assert_eq!(queued(&Runtime::new()), None); // not 0
    /// # }));
    /// ```
    pub fn depth(&self) -> Option<usize> {
        self.is_counted.then_some(self.mailbox_depth)
    }

    /// The current activity of the process. [`Doing`] has an example.
    pub fn doing(&self) -> Doing {
        match self.handling {
            Some(handling) => Doing::Handling(handling),
            None if self.receiving => Doing::Receiving,
            None => Doing::Working,
        }
    }

    fn add_relations(&mut self, relations: &Relations) {
        self.links = relations.links.len();
        self.monitors = relations.watchers.as_ref().map_or(0, |watchers| watchers.len());
        let active = |(_, held): &(_, &_)| !matches!(held, MonitorEntry::Fired);
        self.monitoring = relations.monitors.iter().filter(active).count();
        self.label = relations.label.as_ref().map(ToString::to_string);
        let Some(registrations) = &relations.registrations else { return };
        self.names = registrations.names.iter().map(|(name, ())| name.to_string()).collect();
        self.tags = registrations.tags.iter().map(|(tag, ())| tag.to_string()).collect();
        self.memory = registrations.limited.as_ref().and_then(|own| own.memory).map(Memory::bytes);
        if let Some(counts) = &registrations.counts {
            (self.mailbox_depth, self.is_counted) = (counts.depth, true);
            self.mailbox_capacity = counts.bound();
            self.overflow = counts.bound().map(|_| counts.overflow);
            self.dropped_messages = counts.dropped;
        }
    }
}

impl ProcessInfo {
    fn add_activity(&mut self, locked: &mut Locked) {
        let (now, in_inbox) = (Instant::now(), locked.mail.oldest_queued());
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
    /// Returns the trace of all that has happened in this runtime so far.
    pub fn trace(&self) -> Vec<crate::kernel::trace::Traced> {
        self.kernel.trace.lines()
    }
}
