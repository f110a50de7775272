//! Adds a new process to the tables, before its task runs.
//!
//! Before the first poll of the body, the record is in the table, has its name and its label, and
//! is linked on both sides. So a message that is sent right after the start is queued, and the
//! parent is notified of the end even if the process ends at once.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::base::user_panics::ignore_panic;
use crate::exit::reason::ExitReason;
use crate::kernel::final_reason::End;
pub(crate) use crate::kernel::name_table::NotAdmitted;
use crate::kernel::wait_graph::Until;
use crate::kernel::{Kernel, Mailboxes};
use crate::process::overflow_policy::Overflow;
use crate::process::{
    Ancestors, AnyProcess, ChildFacts, ChildSlot, Counts, Link, Parent, Registrations, Relations,
    SpecKey, SpecName, Stage, StartKey, SupervisorRecord,
};

/// The initial state of a new process.
#[derive(Debug, Default)]
pub(crate) struct NewProcess {
    pub(crate) name: Option<SharedStr>,
    /// The key under which the process is registered.
    pub(crate) key: Option<Arc<dyn StartKey>>,
    pub(crate) label: Option<SharedStr>,
    pub(crate) link: Option<(Pid, Link)>,
    pub(crate) parent: Option<Parent>,
    /// Set if the parent is a supervisor.
    pub(crate) child: Option<ChildFacts>,
    /// The supervisors above this process, if it is a supervisor.
    pub(crate) ancestors: Option<Arc<Ancestors>>,
    /// The kind of the mailbox; `None` for the kind that the runtime gives to its processes.
    pub(crate) mailbox: Option<Mailboxes>,
    /// The token that the exit of the parent cancels.
    pub(crate) stop: Option<CancellationToken>,
    /// Whether the messages that are queued at the end of the process are kept for its successor.
    /// The mailbox of such a process is counted.
    pub(crate) keeps_queue: bool,
    /// The process counts as started only when its `init` has [finished](Kernel::mark_started).
    pub(crate) has_init: bool,
}

/// The initial state of most processes: without a name, a label, a parent and settings. All these
/// processes share this static, so none is built or dropped at a start.
pub(crate) static ORDINARY: NewProcess = NewProcess {
    name: None,
    key: None,
    label: None,
    link: None,
    parent: None,
    child: None,
    ancestors: None,
    mailbox: None,
    stop: None,
    keeps_queue: false,
    has_init: false,
};

impl NewProcess {
    /// The relations of the new record; `None` for an ordinary process.
    pub(crate) fn relations(&self, kernel: &Kernel) -> Option<Box<Relations>> {
        let counts = self.counts(kernel);
        let ordinary = self.label.is_none() && self.link.is_none() && self.parent.is_none();
        let starting = self.is_starting();
        if ordinary && counts.is_none() && !starting && self.key.is_none() {
            return None;
        }
        let mut relations = Relations::default();
        relations.label.clone_from(&self.label);
        relations.parent = self.parent;
        relations.child.clone_from(&self.child);
        let spec_name = self.spec_name();
        let spec_key = self.spec_key();
        let named = starting || spec_name.is_some() || spec_key.is_some();
        if counts.is_some() || named || self.stop.is_some() || self.ancestors.is_some() {
            let stop = self.stop.clone();
            let ancestors = self.ancestors.clone();
            let supervisor_record = ancestors
                .is_some()
                .then(|| Box::new(SupervisorRecord { ancestors, ..SupervisorRecord::default() }));
            let registrations = Registrations {
                counts,
                stop,
                starting,
                keeps_queue: self.keeps_queue,
                supervisor_record,
                spec_name,
                spec_key,
                ..Registrations::default()
            };
            relations.registrations = Some(Box::new(registrations));
        }
        if let Some((parent, link)) = self.link {
            relations.links.insert(parent, Link::active(link.id, link.role.of_starter()));
        }
        Some(Box::new(relations))
    }

    /// Whether the record of the process is marked as starting until its `init` has finished. Two
    /// kinds of processes need the mark: a process with a name or a key, because other processes
    /// can find it before its start has returned, and a process that keeps its queue, because its
    /// teardown treats a failed start differently.
    pub(crate) fn is_starting(&self) -> bool {
        self.has_init && (self.name.is_some() || self.key.is_some() || self.keeps_queue)
    }

    /// The counts of the mailbox, if the mailbox is counted. All items of a counted mailbox are in
    /// the inbox, so a kept queue is complete and in order.
    fn counts(&self, kernel: &Kernel) -> Option<Counts> {
        let counts = self.mailbox.unwrap_or(kernel.mailboxes).counts();
        let without_bound = || Counts::new(usize::MAX, Overflow::Reject);
        counts.or_else(|| self.keeps_queue.then(without_bound))
    }

    /// Returns the name that the specification of a child gives to all incarnations; `None` for
    /// other processes.
    fn spec_name(&self) -> Option<Box<SpecName>> {
        self.parent?.role?;
        let name = self.name.clone()?;
        let child = self.label.clone().unwrap_or_else(|| name.clone());
        Some(Box::new(SpecName { name, child }))
    }

    fn spec_key(&self) -> Option<Box<SpecKey>> {
        let key = self.key.clone()?;
        let child = self.label.clone().unwrap_or_else(|| "".into());
        Some(Box::new(SpecKey { key, child }))
    }
}

impl Kernel {
    /// Adds a new process to the tables. The caller spawns the task after this has returned `Ok`.
    pub(crate) fn admit(
        self: &Arc<Self>,
        process: &Arc<dyn AnyProcess>,
        new_process: &NewProcess,
    ) -> Result<(), NotAdmitted> {
        let pid = process.pid();
        let enter = || {
            self.table.insert(pid, Arc::clone(process));
        };
        match (new_process.name.clone(), &new_process.key) {
            (None, None) => enter(),
            (Some(name), None) => self.register_then(name, process, enter)?,
            (name, Some(key)) => self.admit_under_key(name, &**key, process, enter)?,
        }
        #[cfg(regrow_proof)]
        self.trace_spawn(pid, new_process);
        crate::base::failpoint::point!("start between table and task");
        if self.closed.load(Ordering::SeqCst) {
            return Err(self.end_unstarted(&**process, ExitReason::Killed));
        }
        if let Some((parent, link)) = new_process.link
            && !self.add_child_link(parent, pid, link)
        {
            return Err(self.end_unstarted(&**process, ExitReason::NoProc));
        }
        if new_process.label.is_some() {
            self.mark_census();
        }
        Ok(())
    }

    /// Adds a new process to the tables and to a registry, and registers its name if it has one.
    /// The registration of the name wakes tasks, which must not happen under the lock of the
    /// registry. So the name is registered first.
    fn admit_under_key(
        self: &Arc<Self>,
        name: Option<SharedStr>,
        key: &dyn StartKey,
        process: &Arc<dyn AnyProcess>,
        enter: impl Fn(),
    ) -> Result<(), NotAdmitted> {
        let parent = process.parent();
        let incarnation = parent.and_then(|parent| Some((parent.pid, parent.role?.slot)));
        // The body of the process has not run, so its record is open.
        let list = |number, registry| {
            let (replaced, _) = process.with_deferred(|locked| {
                locked.core().registrations_mut().registries.insert(number, registry)
            });
            debug_assert!(replaced.is_none(), "a new process is in no registry");
        };
        let Some(name) = name else {
            let enter = &mut |number, registry| {
                enter();
                list(number, registry);
            };
            key.admit(process.pid(), incarnation, enter).map_err(NotAdmitted::Key)?;
            ignore_panic(|| self.name_changes.notify_waiters());
            return Ok(());
        };
        self.register_then(name, process, enter)?;
        key.admit(process.pid(), incarnation, &mut &list).map_err(|refused| {
            process.with(|locked| locked.core().note_start_failed());
            self.end_unstarted(&**process, ExitReason::Killed);
            NotAdmitted::Key(refused)
        })?;
        // The registration of the name has woken tasks. They may have looked up the key before it
        // was registered, so they are woken again.
        ignore_panic(|| self.name_changes.notify_waiters());
        Ok(())
    }

    /// The processes that this parent has started and is still linked to.
    pub(crate) fn children_of(&self, parent: Pid) -> Vec<Arc<dyn AnyProcess>> {
        let Some(process) = self.find(parent) else { return Vec::new() };
        let linked: Vec<Pid> = process.with(|locked| {
            let relations = locked.core().relations.iter();
            relations.flat_map(|relations| relations.links.keys().copied()).collect()
        });
        let is_child =
            |process: &Arc<dyn AnyProcess>| process.parent().is_some_and(|own| own.pid == parent);
        linked.into_iter().filter_map(|pid| self.find(pid)).filter(is_child).collect()
    }

    /// The process that this supervisor has started as the incarnation `slot`, if the supervisor
    /// and the process are still linked.
    pub(crate) fn child_at(&self, supervisor: Pid, slot: ChildSlot) -> Option<Pid> {
        let has_slot = |process: &&Arc<dyn AnyProcess>| {
            let role = process.parent().and_then(|parent| parent.role);
            role.is_some_and(|role| role.slot == slot)
        };
        self.children_of(supervisor).iter().find(has_slot).map(|process| process.pid())
    }

    /// Notes that the `init` of a process has finished. If the process was marked as
    /// [starting](NewProcess::is_starting), removes the mark, and wakes the tasks that wait for a
    /// change of names.
    #[inline]
    pub(crate) fn mark_started(&self, process: &dyn AnyProcess, is_starting: bool) {
        self.waits.reached(process.pid(), Until::Started);
        if is_starting {
            process.with(|locked| {
                if let Some(registrations) = locked.core().registrations() {
                    registrations.starting = false;
                }
            });
            ignore_panic(|| self.name_changes.notify_waiters());
        }
    }

    /// Ends a process whose body will never run.
    pub(crate) fn end_unstarted(
        self: &Arc<Self>,
        process: &dyn AnyProcess,
        reason: ExitReason,
    ) -> NotAdmitted {
        let mut accepted = Some(reason.clone());
        process.with(|locked| {
            let core = locked.core();
            if core.stage == Stage::Live {
                process.advance(core, Stage::ExitPending);
                core.reason = accepted.take();
            }
        });
        self.tear_down(process, End::Dropped);
        NotAdmitted::Ended(reason)
    }
}
