//! Names: one live holder each.

use std::sync::Arc;

use tokio::time::Instant;

use crate::kernel::{Kernel, NameEntry, Vacancy};
use crate::pid::Pid;
use crate::process::{AnyProcess, Parent, Seat};
use crate::quietly::quietly;
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
        self.names.with_entry(name, |entry| {
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
            if let Some(NameEntry::Vacant(vacancy)) = vacant {
                self.forget_vacant(vacancy.supervisor, &own);
            }
            #[cfg(regrow_proof)]
            self.trace.record(crate::trace::Event::Registered { name: own, pid: process.pid() });
            then();
            Ok(())
        })?;
        quietly(|| self.successions.notify_waiters());
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
                *entry = None;
                #[cfg(regrow_proof)]
                self.trace.record(crate::trace::Event::Freed { name: name.clone(), pid: holder });
                crate::failpoint::point!("unregister between entry and holder");
                // Last: a holder that forgot the name does not wait for it in its end.
                if let Some(process) = &process {
                    process.with_deferred(|locked| {
                        locked.core().standing().and_then(|standing| standing.names.remove(name))
                    });
                }
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
        let heir = parent.and_then(|parent| Some((self.find(parent.pid)?, parent.seat?)));
        let own = name.clone();
        self.names.with_entry(name, |entry| {
            if *entry != Some(NameEntry::Held(holder)) {
                return;
            }
            #[cfg(regrow_proof)]
            self.trace.record(crate::trace::Event::Freed { name: own.clone(), pid: holder });
            *entry = heir.and_then(|(heir, seat)| {
                let (open, _) = heir.with_deferred(|locked| {
                    let core = locked.core();
                    let open = core.is_open();
                    if open {
                        core.standing_mut().vacant.insert(own.clone(), seat);
                    }
                    open
                });
                open.then(|| NameEntry::Vacant(Vacancy { supervisor: heir.pid(), until: None }))
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

    /// The supervisor is done with this incarnation of a child and those before it: what
    /// a successor didn't take of their names is free.
    pub(crate) fn clear_vacant_of(&self, supervisor: &dyn AnyProcess, last: Seat) {
        for name in vacant_of(supervisor, last) {
            self.forget_vacant(supervisor.pid(), &name);
            self.clear_vacant(name, supervisor.pid());
        }
    }

    /// The supervisor restarts this child, but not before then.
    pub(crate) fn postpone_vacant(&self, supervisor: Pid, last: Seat, until: Instant) {
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

    /// The supervisor won't restart the holder, or has ended itself.
    pub(crate) fn clear_vacant(&self, name: SharedStr, supervisor: Pid) {
        let cleared = self.names.with_entry(name, |entry| {
            let vacant =
                matches!(entry, Some(NameEntry::Vacant(by)) if by.supervisor == supervisor);
            if vacant {
                *entry = None;
            }
            vacant
        });
        if cleared {
            quietly(|| self.successions.notify_waiters());
        }
    }
}

/// Names that incarnations up to this one have left to their supervisor.
fn vacant_of(supervisor: &dyn AnyProcess, last: Seat) -> Vec<SharedStr> {
    supervisor.with(|locked| match locked.core().standing() {
        Some(standing) if !standing.vacant.is_empty() => {
            let left = standing.vacant.iter().filter(|(_, seat)| seat.is_up_to(last));
            left.map(|(name, _)| name.clone()).collect()
        }
        _ => Vec::new(),
    })
}
