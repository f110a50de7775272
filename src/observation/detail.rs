//! The details of one process.

use std::time::Duration;

use crate::base::{Pid, SharedStr, TimeOfDay};
use crate::observation::facts::mailbox;
use crate::observation::{ChildEvent, MailboxFacts};
use crate::observe::{Doing, Health};
use crate::process::{Locked, MonitorEntry};
use crate::runtime::Runtime;

/// All that is known about one live process, except the contents of its messages.
/// [`Runtime::process_detail`] returns it, and has an example. OTP: `process_info/1`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessDetail {
    /// When this was read, by the clock of the system.
    pub time: TimeOfDay,
    /// The process.
    pub pid: Pid,
    /// The path, as in [`Change::path`](crate::Change::path), if the process is a supervisor or a
    /// child.
    pub path: Option<SharedStr>,
    /// The label; of a child, its id, unless it was set.
    pub label: Option<SharedStr>,
    /// The names that the process holds, in alphabetical order.
    pub names: Vec<SharedStr>,
    /// The groups that the process is a member of, in alphabetical order.
    pub groups: Vec<SharedStr>,
    /// The health that the process reports; ready if it reports none.
    pub health: Health,
    /// The mailbox, and the callback that runs.
    pub mailbox: MailboxFacts,
    /// The number of handlers that have returned, if handlers are tracked.
    pub handled: Option<u64>,
    /// What the process does.
    pub doing: Doing,
    /// The processes that the process is linked to.
    pub links: Vec<Pid>,
    /// The processes that monitor it.
    pub monitored_by: Vec<Pid>,
    /// The processes that it monitors.
    pub monitors: Vec<Pid>,
    /// The supervisor of the process, or the process that started it linked.
    pub parent: Option<Pid>,
    /// The supervisors above the process, the nearest first.
    pub ancestors: Vec<Pid>,
    /// Whether the process traps exits.
    pub trap_exit: bool,
    /// Whether the process has been asked to stop.
    pub stop_requested: bool,
    /// Whether the process is a server that is [suspended](crate::ServerRef::suspend).
    pub suspended: bool,
    /// What the server publishes by [`format_status`](crate::GenServer::format_status), if it was
    /// asked: by the route `/process/{pid}` of an observer. [`Runtime::process_detail`] asks nothing.
    pub status: Option<StatusLine>,
    /// The last events of the process and, of a child, of its last incarnations: those of
    /// [`Runtime::events_of`].
    pub events: Vec<ChildEvent>,
}

/// What a server publishes by [`format_status`](crate::GenServer::format_status), in
/// [`ProcessDetail::status`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatusLine {
    /// The line. Control characters are escaped, and what follows 4,096 characters is left out.
    Line(String),
    /// The server has not answered for this time: a handler runs, or other items are queued before the
    /// request.
    Busy(Duration),
    /// `format_status` panicked. The server runs on.
    Panicked,
}

impl Runtime {
    /// Returns the details of one live process; `None` if it is not alive. Waits for nothing.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending()).named("job");
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let job = rt.process_detail(rt.whereis("job").unwrap()).unwrap();
    /// assert_eq!(job.path.unwrap(), "app/job");
    /// assert_eq!((job.parent, &job.ancestors[..]), (tree.pid(), &[tree.pid().unwrap()][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn process_detail(&self, pid: Pid) -> Option<ProcessDetail> {
        let process = self.kernel.find(pid)?;
        let (doing, events) = (Doing::of(self, pid), self.events_of(pid));
        let mut detail = process.with(|locked| {
            locked.core().is_open().then(|| {
                ProcessDetail {
                    time: TimeOfDay::now(),
                    pid,
                    path: None,
                    label: None,
                    names: Vec::new(),
                    groups: Vec::new(),
                    health: locked.core().reported_health().unwrap_or_default(),
                    mailbox: mailbox(locked),
                    handled: None,
                    doing,
                    links: Vec::new(),
                    monitored_by: Vec::new(),
                    monitors: Vec::new(),
                    parent: None,
                    ancestors: Vec::new(),
                    trap_exit: locked.core().trap,
                    stop_requested: locked.core().stop_requested || locked.core().is_stopping(),
                    suspended: false,
                    status: None,
                    events,
                }
                .with_relations(locked)
            })
        })?;
        detail.path = self.kernel.path_of(&*process).map(|(path, _)| path);
        let mut above = self.kernel.supervisor_of(&*process);
        while let Some(supervisor) = above {
            detail.ancestors.push(supervisor);
            let process = self.kernel.find(supervisor);
            above = process.and_then(|process| self.kernel.supervisor_of(&*process));
        }
        detail.names.sort_unstable();
        detail.groups.sort_unstable();
        Some(detail)
    }
}

impl ProcessDetail {
    fn with_relations(mut self, locked: &mut Locked) -> Self {
        let tracked = locked.core().tracked;
        let Some(relations) = locked.core().relations() else { return self };
        self.label.clone_from(&relations.label);
        self.parent = relations.parent.map(|parent| parent.pid);
        self.links = relations.links.keys().copied().collect();
        let watchers = relations.watchers.iter().flat_map(|watchers| watchers.iter());
        self.monitored_by = watchers.map(|(_, watcher)| watcher.pid()).collect();
        let monitored = relations.monitors.iter().filter_map(|(_, held)| match held {
            MonitorEntry::Process(pid) => Some(*pid),
            #[cfg(feature = "cluster")]
            MonitorEntry::AtNode(_) => None,
            MonitorEntry::Fired | MonitorEntry::Group { .. } => None,
        });
        self.monitors = monitored.collect();
        let Some(registrations) = &relations.registrations else { return self };
        self.names = registrations.names.keys().cloned().collect();
        self.groups = registrations.tags.keys().cloned().collect();
        self.suspended = registrations.is_suspended;
        let handled = registrations.activity.as_ref().map_or(0, |activity| activity.handled);
        self.handled = tracked.then_some(handled);
        self
    }
}
