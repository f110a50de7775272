//! Names: one live holder each.

use std::sync::Arc;

use crate::kernel::{Kernel, NameEntry};
use crate::pid::Pid;
use crate::process::{AnyProcess, Parent};
use crate::shared_str::SharedStr;

/// Why a name was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameRefused {
    /// Somebody holds it.
    Taken(Pid),
    /// The one it was meant for is dead.
    Dead,
}

impl Kernel {
    pub(crate) fn whereis(&self, name: &str) -> Option<Pid> {
        match self.names.get(name)? {
            NameEntry::Held(pid) => Some(pid),
            NameEntry::Vacant(_) => None,
        }
    }

    /// Gives the name to a process that is in the table or about to be.
    pub(crate) fn register(
        &self,
        name: SharedStr,
        process: &Arc<dyn AnyProcess>,
    ) -> Result<(), NameRefused> {
        self.register_then(name, process, || ())
    }

    /// Gives the name, and runs `then` before anybody can see it: how a process is
    /// born with a name.
    pub(crate) fn register_then(
        &self,
        name: SharedStr,
        process: &Arc<dyn AnyProcess>,
        then: impl FnOnce(),
    ) -> Result<(), NameRefused> {
        let own = name.clone();
        let vacant = self.names.with_entry(name, |entry| {
            if let Some(NameEntry::Held(holder)) = *entry {
                return Err(NameRefused::Taken(holder));
            }
            let vacant = *entry;
            crate::failpoint::point!("register between entry and holder");
            let (taken, _) = process.with_deferred(|locked| {
                let core = locked.core();
                let open = core.is_open();
                if open {
                    core.standing_mut().names.insert(own.clone(), ());
                }
                open
            });
            if !taken {
                return Err(NameRefused::Dead);
            }
            *entry = Some(NameEntry::Held(process.pid()));
            if let Some(NameEntry::Vacant(supervisor)) = vacant {
                self.forget_vacant(supervisor, &own);
            }
            #[cfg(regrow_proof)]
            self.trace.record(crate::trace::Event::Registered { name: own, pid: process.pid() });
            then();
            Ok(vacant.is_some())
        })?;
        if vacant {
            self.vacancies.notify_waiters();
        }
        Ok(())
    }

    pub(crate) fn unregister(&self, name: &SharedStr) -> bool {
        loop {
            let Some(holder) = self.whereis(name) else { return false };
            let process = self.find(holder);
            let removed = self.names.with_entry(name.clone(), |entry| {
                if *entry != Some(NameEntry::Held(holder)) {
                    return false;
                }
                if let Some(process) = &process {
                    process.with_deferred(|locked| {
                        locked.core().standing().and_then(|standing| standing.names.remove(name))
                    });
                }
                *entry = None;
                #[cfg(regrow_proof)]
                self.trace.record(crate::trace::Event::Freed { name: name.clone(), pid: holder });
                true
            });
            if removed {
                return true;
            }
        }
    }

    /// The holder has ended: frees the name if it is still its own. A supervised
    /// holder leaves it vacant, for its successor.
    pub(crate) fn free_name(&self, name: SharedStr, holder: Pid, parent: Option<Parent>) {
        let heir = parent.filter(|parent| parent.supervises).and_then(|p| self.find(p.pid));
        let own = name.clone();
        self.names.with_entry(name, |entry| {
            if *entry != Some(NameEntry::Held(holder)) {
                return;
            }
            #[cfg(regrow_proof)]
            self.trace.record(crate::trace::Event::Freed { name: own.clone(), pid: holder });
            *entry = heir.and_then(|heir| {
                let (open, _) = heir.with_deferred(|locked| {
                    let core = locked.core();
                    let open = core.is_open();
                    if open {
                        core.standing_mut().vacant.insert(own.clone(), holder);
                    }
                    open
                });
                open.then(|| NameEntry::Vacant(heir.pid()))
            });
        });
    }

    /// A supervisor need not remember a name any more.
    fn forget_vacant(&self, supervisor: Pid, name: &SharedStr) {
        if let Some(supervisor) = self.find(supervisor) {
            supervisor.with_deferred(|locked| {
                locked.core().standing().and_then(|standing| standing.vacant.remove(name))
            });
        }
    }

    /// The supervisor is done with this dead child: what its successor didn't take of
    /// its names is free.
    pub(crate) fn clear_vacant_of(&self, supervisor: Pid, child: Pid) {
        let Some(process) = self.find(supervisor) else { return };
        let names = process.with(|locked| {
            let Some(standing) = locked.core().standing() else { return Vec::new() };
            let left = standing.vacant.iter().filter(|(_, holder)| **holder == child);
            left.map(|(name, _)| name.clone()).collect()
        });
        for name in names {
            self.forget_vacant(supervisor, &name);
            self.clear_vacant(name, supervisor);
        }
    }

    /// The supervisor won't restart the holder, or has ended itself.
    pub(crate) fn clear_vacant(&self, name: SharedStr, supervisor: Pid) {
        let cleared = self.names.with_entry(name, |entry| {
            let vacant = *entry == Some(NameEntry::Vacant(supervisor));
            if vacant {
                *entry = None;
            }
            vacant
        });
        if cleared {
            self.vacancies.notify_waiters();
        }
    }
}
