//! Names between two incarnations of a child.
//!
//! An incarnation that ends, and whose supervisor starts a successor, leaves its names to that
//! supervisor: their entries are *vacant*, and requests by these names say `Restarting`. A name that
//! the child's specification gives is *reserved* as well: only a process of the same child can take
//! it. A name that the incarnation had registered itself can be taken by any process.
//!
//! Invariants:
//! 1. A vacant entry names a supervisor, and the record of that supervisor lists the name, with
//!    the child that left it. Both change under the entry's lock. A supervisor that releases all
//!    of them at once empties its list first: an entry that is not listed is free.
//! 2. Nothing is added to the list of a supervisor that is ending or restarts no children. It
//!    releases the listed names before its own end is announced.

use tokio::time::Instant;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::kernel::{Kernel, NameEntry, Vacancy};
use crate::process::{AnyProcess, ChildSlot, GivenName, Parent, VacatedName, VacatedNames};

/// For which child a name is reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// The child's id.
    pub(crate) child: SharedStr,
    pub(crate) supervisor: Pid,
}

impl Kernel {
    /// The child for which a vacant name is reserved; `None` if this process may take it. To be
    /// called under the lock of the name's entry.
    pub(crate) fn reserved(
        &self,
        name: &SharedStr,
        supervisor: Pid,
        newcomer: &dyn AnyProcess,
    ) -> Option<Reserved> {
        let process = self.find(supervisor)?;
        let (vacated, _) = process.with_deferred(|locked| {
            let vacated = locked.core().registrations()?.vacated(name)?;
            Some((vacated.slot.child, vacated.reserved_for.clone()?))
        });
        let (child, id) = vacated?;
        let (parent, _) = newcomer.with_deferred(|locked| locked.core().relations()?.parent);
        let is_successor = parent.is_some_and(|parent| {
            parent.pid == supervisor && parent.role.is_some_and(|role| role.slot.child == child)
        });
        (!is_successor).then_some(Reserved { child: id, supervisor })
    }

    /// The holder has ended: frees the name if it is still its own. Where its supervisor starts a
    /// successor, the name is left to that instead. It is reserved if the specification of this
    /// child gives it, also where the holder had unregistered it and no other process has it.
    pub(crate) fn free_name(
        &self,
        name: SharedStr,
        holder: Pid,
        restarted_by: Option<Parent>,
        reserved_for: Option<SharedStr>,
    ) {
        let heir = restarted_by.and_then(|by| Some((self.find(by.pid)?, by.role?.slot)));
        let own = name.clone();
        self.names.with_entry(name, |entry| {
            let given_up = entry.is_none() && reserved_for.is_some();
            if *entry != Some(NameEntry::Held(holder)) && !given_up {
                return;
            }
            #[cfg(regrow_proof)]
            if !given_up {
                self.trace
                    .record(crate::kernel::trace::Event::Freed { name: own.clone(), pid: holder });
            }
            *entry = heir
                .and_then(|(heir, slot)| leave(&*heir, own, VacatedName { slot, reserved_for }));
        });
    }

    /// The supervisor is about to start a child of this specification, and none of its incarnations
    /// runs: if nobody has the name that it gives, the child that is known by this seat has it.
    pub(crate) fn reserve(&self, supervisor: &dyn AnyProcess, slot: ChildSlot, given: GivenName) {
        let GivenName { name, child } = given;
        let own = name.clone();
        self.names.with_entry(name, |entry| {
            if entry.is_none() {
                *entry = leave(supervisor, own, VacatedName { slot, reserved_for: Some(child) });
            }
        });
    }

    /// A name that was vacant is held: its supervisor need not list it any more. To be called
    /// under the lock of the name's entry.
    pub(crate) fn forget_vacant(&self, supervisor: Pid, name: &SharedStr) {
        if let Some(supervisor) = self.find(supervisor) {
            supervisor.with_deferred(|locked| {
                locked
                    .core()
                    .registrations()
                    .and_then(|registrations| registrations.forget_vacated(name))
            });
        }
    }

    /// The supervisor restarts nobody any more: all names that it keeps for successors are
    /// free, and it is given no more.
    pub(crate) fn end_restarts(&self, supervisor: &dyn AnyProcess) {
        let vacant = supervisor.with(|locked| {
            let registrations = locked.core().registrations_mut();
            registrations.stopping = true;
            registrations.vacant.take()
        });
        self.release_names(vacant, supervisor.pid());
    }

    /// Frees names that this supervisor has listed, and lists no more.
    pub(crate) fn release_names(&self, vacant: Option<Box<VacatedNames>>, supervisor: Pid) {
        for name in vacant.into_iter().flat_map(|vacant| vacant.into_names()) {
            self.clear_vacant(name, supervisor, || true);
        }
    }

    /// The supervisor is done with this incarnation of a child and those before it: what
    /// a successor didn't take of their names is free.
    pub(crate) fn clear_vacant_of(&self, supervisor: &dyn AnyProcess, last: ChildSlot) {
        for name in vacant_of(supervisor, last) {
            let is_done_with = || {
                let (removed, _) = supervisor.with_deferred(|locked| {
                    let registrations = locked.core().registrations()?;
                    registrations.vacated(&name).filter(|vacated| vacated.slot.is_up_to(last))?;
                    registrations.forget_vacated(&name)
                });
                removed.is_some()
            };
            self.clear_vacant(name.clone(), supervisor.pid(), is_done_with);
        }
    }

    /// The supervisor restarts this child, but not before then.
    pub(crate) fn postpone_vacant(&self, supervisor: Pid, last: ChildSlot, until: Instant) {
        let Some(process) = self.find(supervisor) else { return };
        for name in vacant_of(&*process, last) {
            self.names.with_entry(name, |entry| {
                if let Some(NameEntry::Vacant(vacancy)) = entry
                    && vacancy.supervisor == supervisor
                {
                    vacancy.until = Some(until);
                }
            });
        }
    }

    /// Frees a name that is left to this supervisor, if `is_free` says so under the entry's lock.
    fn clear_vacant(&self, name: SharedStr, supervisor: Pid, is_free: impl FnOnce() -> bool) {
        let cleared = self.names.with_entry(name, |entry| {
            let vacant =
                matches!(entry, Some(NameEntry::Vacant(by)) if by.supervisor == supervisor);
            let cleared = vacant && is_free();
            if cleared {
                *entry = None;
            }
            cleared
        });
        if cleared {
            ignore_panic(|| self.name_changes.notify_waiters());
        }
    }
}

/// Lists a name with a supervisor, if that starts children still. To be called under the lock of
/// the name's entry, of which it gives the new value.
fn leave(supervisor: &dyn AnyProcess, name: SharedStr, vacated: VacatedName) -> Option<NameEntry> {
    let (restarts, _) = supervisor.with_deferred(|locked| {
        let core = locked.core();
        let restarts = core.restarts_children();
        if restarts {
            core.registrations_mut().vacant.get_or_insert_default().insert(name, vacated);
        }
        restarts
    });
    let vacancy = Vacancy { supervisor: supervisor.pid(), until: None };
    restarts.then_some(NameEntry::Vacant(vacancy))
}

/// Names that incarnations up to this one have left to their supervisor.
fn vacant_of(supervisor: &dyn AnyProcess, last: ChildSlot) -> Vec<SharedStr> {
    let left = supervisor.with(|locked| {
        let vacant = locked.core().registrations()?.vacant.as_ref()?;
        Some(vacant.left_up_to(last))
    });
    left.unwrap_or_default()
}
