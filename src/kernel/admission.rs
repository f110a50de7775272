//! How a process comes into the tables, before its task runs.
//!
//! The record is in the table, linked on both sides, named and watched before the
//! body's first poll: a message sent at once isn't lost, and no end goes unheard.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::exit::reason::ExitReason;
use crate::kernel::closing::End;
use crate::kernel::names::NameRefused;
use crate::kernel::reserved_names::Reserved;
use crate::kernel::wait_graph::Until;
use crate::kernel::{Kernel, Mailboxes};
use crate::process::{
    Ancestors, AnyProcess, ChildSlot, GivenName, Link, LinkRole, Parent, Registrations, Relations,
    Stage, SupervisorRecord,
};

/// What a process is born with.
#[derive(Debug, Default)]
pub(crate) struct NewProcess {
    pub(crate) name: Option<SharedStr>,
    pub(crate) label: Option<SharedStr>,
    pub(crate) link: Option<(Pid, Link)>,
    pub(crate) parent: Option<Parent>,
    /// Of a supervisor: who is above it.
    pub(crate) ancestors: Option<Arc<Ancestors>>,
    /// How its mailbox is kept, if not like all others of the runtime.
    pub(crate) mailbox: Option<Mailboxes>,
    /// What the parent's exit cancels.
    pub(crate) stop: Option<CancellationToken>,
    /// It is [ready](Kernel::ready) only when its init is over.
    pub(crate) has_init: bool,
}

impl NewProcess {
    /// The ties of the new record: none for an ordinary process.
    pub(crate) fn relations(&self, kernel: &Kernel) -> Option<Box<Relations>> {
        let counts = self.mailbox.unwrap_or(kernel.mailboxes).counts();
        let ordinary = self.label.is_none() && self.link.is_none() && self.parent.is_none();
        // Nobody finds one without a name before its start has returned.
        let starting = self.has_init && self.name.is_some();
        if ordinary && counts.is_none() && !starting {
            return None;
        }
        let mut relations = Relations::default();
        relations.label.clone_from(&self.label);
        relations.parent = self.parent;
        let given = self.given();
        let named = starting || given.is_some();
        if counts.is_some() || named || self.stop.is_some() || self.ancestors.is_some() {
            let stop = self.stop.clone();
            let supervisor_record = self.ancestors.clone().map(|ancestors| {
                Box::new(SupervisorRecord {
                    ancestors: Some(ancestors),
                    ..SupervisorRecord::default()
                })
            });
            let registrations = Registrations {
                counts,
                stop,
                starting,
                supervisor_record,
                given,
                ..Registrations::default()
            };
            relations.registrations = Some(Box::new(registrations));
        }
        if let Some((parent, link)) = self.link {
            let role = match link.role {
                LinkRole::Task | LinkRole::Helper => LinkRole::Owner,
                LinkRole::Peer | LinkRole::Owner | LinkRole::Caller => LinkRole::Peer,
            };
            relations.links.insert(parent, Link::active(link.id, role));
        }
        Some(Box::new(relations))
    }

    /// The name of a child, which is that of all its incarnations.
    fn given(&self) -> Option<Box<GivenName>> {
        self.parent?.role?;
        let name = self.name.clone()?;
        let child = self.label.clone().unwrap_or_else(|| name.clone());
        Some(Box::new(GivenName { name, child }))
    }
}

/// Why a process was not born.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// Its name is held by this process. No trace of the newcomer is left.
    NameTaken(Pid),
    /// Its name is reserved for a child that is being restarted. No trace of it either.
    NameReserved(Reserved),
    /// The runtime is closed, or the parent it was to be linked to is dead. The record
    /// has ended with this reason.
    Ended(ExitReason),
}

impl Kernel {
    /// Brings the record into the tables. The task is spawned after this, by the
    /// caller, if it says `Ok`.
    pub(crate) fn admit(
        self: &Arc<Self>,
        process: &Arc<dyn AnyProcess>,
        new_process: &NewProcess,
    ) -> Result<(), NotAdmitted> {
        let pid = process.pid();
        let enter = || {
            self.table.insert_and(pid, Arc::clone(process), || {
                self.spawned.fetch_add(1, Ordering::Relaxed);
            });
        };
        match new_process.name.clone() {
            None => enter(),
            Some(name) => match self.register_then(name, process, enter) {
                Ok(()) => {}
                Err(NameRefused::Taken(holder)) => return Err(NotAdmitted::NameTaken(holder)),
                Err(NameRefused::Reserved(by)) => return Err(NotAdmitted::NameReserved(by)),
                Err(NameRefused::Dead) => return Err(NotAdmitted::Ended(ExitReason::NoProc)),
            },
        }
        #[cfg(regrow_proof)]
        self.trace_birth(pid, new_process);
        crate::base::failpoint::point!("birth between table and task");
        if self.closed.load(Ordering::SeqCst) {
            return Err(self.never_run(&**process, ExitReason::Killed));
        }
        if let Some((parent, link)) = new_process.link
            && !self.adopt(parent, pid, link)
        {
            return Err(self.never_run(&**process, ExitReason::NoProc));
        }
        if new_process.label.is_some() {
            self.mark_census();
        }
        Ok(())
    }

    /// Who was born to this parent and is linked to it still.
    pub(crate) fn children_of(&self, parent: Pid) -> Vec<Arc<dyn AnyProcess>> {
        let Some(process) = self.find(parent) else { return Vec::new() };
        let linked: Vec<Pid> = process.with(|locked| {
            let relations = locked.core().relations.as_ref();
            relations.map_or_else(Vec::new, |relations| {
                relations.links.iter().map(|(&pid, _)| pid).collect()
            })
        });
        let is_born_to_it = |process: &Arc<dyn AnyProcess>| {
            let own = process.with(|locked| locked.core().relations()?.parent);
            own.is_some_and(|own| own.pid == parent)
        };
        linked.into_iter().filter_map(|pid| self.find(pid)).filter(is_born_to_it).collect()
    }

    /// The process that this supervisor started for this seat, if it is linked to it still.
    pub(crate) fn child_at(&self, supervisor: Pid, slot: ChildSlot) -> Option<Pid> {
        let sits_there = |process: &Arc<dyn AnyProcess>| {
            let parent = process.with(|locked| locked.core().relations()?.parent);
            parent.and_then(|parent| parent.role).is_some_and(|role| role.slot == slot)
        };
        let born = self.children_of(supervisor);
        born.iter().find(|process| sits_there(process)).map(|process| process.pid())
    }

    /// Its init is over: who waits for the holder of its name may have it.
    pub(crate) fn ready(&self, process: &dyn AnyProcess) {
        self.waits.reached(process.pid(), Until::Started);
        let waited_for = process.with(|locked| {
            let registrations = locked.core().registrations();
            registrations.is_some_and(|registrations| std::mem::take(&mut registrations.starting))
        });
        if waited_for {
            ignore_panic(|| self.name_changes.notify_waiters());
        }
    }

    /// Ends a record whose body will not be run.
    pub(crate) fn never_run(
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
