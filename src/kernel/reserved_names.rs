//! Names between two incarnations of a child.
//!
//! **Guarantee.** While a child is restarted, a call to its name fails with `Restarting`, and only
//! a process of that child can register the name that its specification gives.
//!
//! The table entry of a name has one of these states:
//!
//! | state | next state |
//! |---|---|
//! | free: no entry | Held, when a process registers it. Vacant, when a supervisor reserves it for a child that it is about to start. |
//! | held by a process | Free, when it is unregistered, or the holder ends without a successor. Vacant, when the holder ends and its supervisor starts a successor. |
//! | vacant: left to a supervisor | Held, when the successor registers it, or any process if the name is not reserved. Free, when the supervisor gives the child up, stops, or ends. |
//!
//! A vacant name is *reserved* if the specification of the child gives it: only a process of that
//! child can take it. Any process can take a name that the ended incarnation had registered itself.
//!
//! Invariants:
//! 1. A vacant entry has the pid of a supervisor, and the record of that supervisor lists the name
//!    with the child that left it. Entry and list change under the lock of the entry. The exception
//!    is a supervisor that releases all its names at once: it empties the list before it frees the
//!    entries. A vacant entry that is not listed is not reserved.
//! 2. A supervisor that is ending, or that no longer restarts children, adds nothing to its list.
//!    An ending supervisor releases the listed names before its own end is announced.
//! 3. Lock order: the entry of a name, then one process. Under the lock of an entry,
//!    `with_deferred` takes the lock of a process. That function wakes no other task.

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::user_panics::ignore_panic;
use crate::kernel::{Kernel, NameEntry, Vacancy};
use crate::process::{
    AnyProcess, ChildSlot, Parent, Reservation, SpecKey, SpecName, VacatedKey, VacatedName,
    VacatedNames,
};

/// The child that a name is reserved for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// The id of the child.
    pub(crate) child: SharedStr,
    pub(crate) supervisor: Pid,
}

impl Kernel {
    /// Returns the child for which a vacant name is reserved; `None` if `newcomer` may take the
    /// name. Call this under the lock of the name's entry.
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

    /// Frees the name of a holder that has ended, or leaves the name to the supervisor that will
    /// start a successor. Does nothing if another process holds the name.
    ///
    /// `reserved_for` is the id of the child whose specification gives the name. If it is set, a
    /// name that becomes vacant is reserved. A name that the holder had unregistered becomes vacant
    /// as well, if it is still free.
    pub(crate) fn free_name(
        &self,
        name: SharedStr,
        holder: Pid,
        restarted_by: Option<Parent>,
        reserved_for: Option<SharedStr>,
    ) {
        let supervisor = restarted_by.and_then(|by| Some((self.find(by.pid)?, by.role?.slot)));
        let own = name.clone();
        self.names.with_entry(name, |entry| {
            let is_unregistered = entry.is_none() && reserved_for.is_some();
            if *entry != Some(NameEntry::Held(holder)) && !is_unregistered {
                return;
            }
            #[cfg(regrow_proof)]
            if !is_unregistered {
                self.trace
                    .record(crate::kernel::trace::Event::Freed { name: own.clone(), pid: holder });
            }
            *entry = supervisor.and_then(|(supervisor, slot)| {
                vacate(&*supervisor, own, VacatedName { slot, reserved_for })
            });
        });
    }

    /// Reserves the name that a specification gives for the next incarnation of its child, if the
    /// name is free. `slot` is the last incarnation. Call this for a supervisor that is about to
    /// start the child, while no incarnation of the child runs.
    pub(crate) fn reserve(&self, supervisor: &dyn AnyProcess, slot: ChildSlot, spec: SpecName) {
        let SpecName { name, child } = spec;
        let own = name.clone();
        self.names.with_entry(name, |entry| {
            if entry.is_none() {
                *entry = vacate(supervisor, own, VacatedName { slot, reserved_for: Some(child) });
            }
        });
    }

    /// Removes a name that is no longer vacant from the list of its supervisor. Call this under the
    /// lock of the name's entry.
    pub(crate) fn forget_vacated(&self, supervisor: Pid, name: &SharedStr) {
        if let Some(supervisor) = self.find(supervisor) {
            supervisor.with_deferred(|locked| locked.core().registrations()?.forget_vacated(name));
        }
    }

    /// Notes that a supervisor no longer restarts children. Frees all names that are left to the
    /// supervisor, and releases its [kept queues](crate::kernel::kept_queues).
    pub(crate) fn end_restarts(&self, supervisor: &dyn AnyProcess) {
        let vacated = supervisor.with(|locked| {
            let registrations = locked.core().registrations_mut();
            registrations.stopping = true;
            registrations.vacated_names.take()
        });
        self.release_names(vacated, supervisor.pid());
    }

    /// Frees names, and releases queues, that were taken from the list of this supervisor.
    pub(crate) fn release_names(&self, vacated: Option<Box<VacatedNames>>, supervisor: Pid) {
        let Some(vacated) = vacated else { return };
        let (names, keys, queues) = vacated.into_parts();
        for name in names {
            self.free_vacant(name, supervisor, || true);
        }
        keys.for_each(|vacated| self.free_key(vacated, supervisor));
        queues.for_each(|kept| self.release_queue(kept));
    }

    /// Frees the names that incarnations of a child up to `last` have left, except for names that a
    /// successor has taken. Releases their queue, if no successor has taken it over.
    pub(crate) fn free_names_of(&self, supervisor: &dyn AnyProcess, last: ChildSlot) {
        let has_vacated = supervisor.with(|locked| {
            locked.core().registrations().is_some_and(|own| own.vacated_names.is_some())
        });
        if has_vacated {
            self.free_vacated_names_of(supervisor, last);
        }
    }

    /// Does the same as [`free_names_of`](Self::free_names_of), for a supervisor whose list may
    /// have entries.
    #[inline(never)]
    fn free_vacated_names_of(&self, supervisor: &dyn AnyProcess, last: ChildSlot) {
        for name in vacated_by(supervisor, last) {
            let forget = || {
                let (removed, _) = supervisor.with_deferred(|locked| {
                    let registrations = locked.core().registrations()?;
                    registrations.vacated(&name).filter(|vacated| vacated.slot.is_up_to(last))?;
                    registrations.forget_vacated(&name)
                });
                removed.is_some()
            };
            self.free_vacant(name.clone(), supervisor.pid(), forget);
        }
        let left = supervisor.with(|locked| {
            let vacated = locked.core().registrations()?.vacated_names.as_mut()?;
            Some((vacated.remove_key(last), vacated.remove_queue(last)))
        });
        let Some((key, kept)) = left else { return };
        if let Some(key) = key {
            self.free_key(key, supervisor.pid());
        }
        if let Some(kept) = kept {
            self.release_queue(kept);
        }
    }

    /// Reserves the key of a process that is ending, if its supervisor will start a successor. Call
    /// this before the process leaves the registry.
    pub(super) fn release_key(
        &self,
        holder: Pid,
        key: Option<Box<SpecKey>>,
        restarted_by: Option<Parent>,
    ) {
        let Some(key) = key else { return };
        let supervisor = restarted_by.and_then(|by| Some((self.find(by.pid)?, by.role?.slot)));
        match supervisor {
            Some((supervisor, slot)) => reserve_key(&*supervisor, slot, *key, Some(holder)),
            None => ignore_panic(|| drop(key)),
        }
    }

    /// Reserves the key that a specification gives, as [`reserve`](Self::reserve) reserves a name.
    pub(crate) fn reserve_key(supervisor: &dyn AnyProcess, slot: ChildSlot, key: SpecKey) {
        reserve_key(supervisor, slot, key, None);
    }

    /// Frees a key that was taken from the list of this supervisor.
    fn free_key(&self, vacated: VacatedKey, supervisor: Pid) {
        ignore_panic(|| {
            let VacatedKey { slot, key } = vacated;
            key.release(supervisor, slot);
            drop(key);
        });
        ignore_panic(|| self.name_changes.notify_waiters());
    }

    /// Notes that the supervisor will restart this child, but not before `until`.
    pub(crate) fn postpone_names_of(&self, supervisor: Pid, last: ChildSlot, until: Instant) {
        let Some(process) = self.find(supervisor) else { return };
        for name in vacated_by(&*process, last) {
            self.names.with_entry(name, |entry| {
                if let Some(NameEntry::Vacant(vacancy)) = entry
                    && vacancy.supervisor == supervisor
                {
                    vacancy.until = Some(until);
                }
            });
        }
    }

    /// Frees a name that is left to this supervisor, if `forget` returns true. `forget` runs under
    /// the lock of the entry, and may remove the name from the supervisor's list.
    fn free_vacant(&self, name: SharedStr, supervisor: Pid, forget: impl FnOnce() -> bool) {
        let freed = self.names.with_entry(name, |entry| {
            let freed = entry.take_if(|entry| {
                matches!(entry, NameEntry::Vacant(by) if by.supervisor == supervisor) && forget()
            });
            freed.is_some()
        });
        if freed {
            ignore_panic(|| self.name_changes.notify_waiters());
        }
    }
}

/// Adds a name to the list of a supervisor, if it still restarts children. Returns the new value of
/// the name's entry: vacant, or `None`. Call this under the lock of that entry.
fn vacate(supervisor: &dyn AnyProcess, name: SharedStr, vacated: VacatedName) -> Option<NameEntry> {
    let (restarts, _) = supervisor.with_deferred(|locked| {
        let core = locked.core();
        let restarts = core.restarts_children();
        if restarts {
            core.registrations_mut().vacated_names.get_or_insert_default().insert(name, vacated);
        }
        restarts
    });
    let vacancy = Vacancy { supervisor: supervisor.pid(), until: None };
    restarts.then_some(NameEntry::Vacant(vacancy))
}

/// Reserves a key that is free or held by this process, if the supervisor still restarts children.
fn reserve_key(supervisor: &dyn AnyProcess, slot: ChildSlot, key: SpecKey, holder: Option<Pid>) {
    let SpecKey { key, child } = key;
    let reservation = Reservation { supervisor: supervisor.pid(), slot, child };
    let mut replaced = None;
    // Hashing a key, and dropping it, runs code of the user.
    ignore_panic(|| {
        key.reserve(holder, reservation, &mut |key| {
            let (listed, _) = supervisor.with_deferred(|locked| {
                let core = locked.core();
                let restarts = core.restarts_children();
                if restarts {
                    let vacated = core.registrations_mut().vacated_names.get_or_insert_default();
                    replaced = vacated.insert_key(VacatedKey { slot, key: key.clone() });
                }
                restarts
            });
            listed
        });
    });
    ignore_panic(|| drop(replaced));
}

/// The names that incarnations of a child up to `last` have left to this supervisor.
fn vacated_by(supervisor: &dyn AnyProcess, last: ChildSlot) -> Vec<SharedStr> {
    let names = supervisor.with(|locked| {
        let vacated = locked.core().registrations()?.vacated_names.as_ref()?;
        Some(vacated.left_up_to(last))
    });
    names.unwrap_or_default()
}
