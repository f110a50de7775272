//! Names: one live holder each.

use std::sync::Arc;

use tokio::time::Instant;

use crate::kernel::{Kernel, NameEntry, Vacancy};
use crate::pid::Pid;
use crate::process::{AnyProcess, Parent, Seat, Stage};
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

/// Who is behind a name, to a caller.
pub(crate) enum Holder {
    Process(Arc<dyn AnyProcess>),
    /// The last holder has ended, or is about to; its supervisor starts a successor.
    Successor {
        /// When, if that waits.
        until: Option<Instant>,
    },
    Nobody,
}

impl Kernel {
    /// Who a caller by name is to ask.
    pub(crate) fn holder(&self, name: &str) -> Holder {
        loop {
            match self.names.get(name) {
                None => return Holder::Nobody,
                Some(NameEntry::Vacant(vacancy)) => return self.successor(vacancy),
                // A name is freed before the table forgets its holder: where the holder is
                // gone by now, the name has moved on, and is looked up again.
                Some(NameEntry::Held(pid)) => {
                    if let Some(process) = self.find(pid) {
                        return Holder::Process(process);
                    }
                }
            }
        }
    }

    /// Who a caller by name is to ask instead of this holder, which takes nothing any more.
    pub(crate) fn holder_after(&self, name: &str, refused: &dyn AnyProcess) -> Holder {
        loop {
            let process = match self.holder(name) {
                Holder::Process(process) => process,
                other => return other,
            };
            if process.pid() != refused.pid() {
                return Holder::Process(process);
            }
            let (ended, restarted_by) = process.with(|locked| {
                let core = locked.core();
                (core.stage == Stage::Ended, core.restarted_by())
            });
            // It has freed the name since, which is read again.
            if ended {
                continue;
            }
            return match restarted_by {
                Some(parent) => self.successor(Vacancy { supervisor: parent.pid, until: None }),
                None => Holder::Nobody,
            };
        }
    }

    /// Whether that supervisor starts a successor still.
    fn successor(&self, vacancy: Vacancy) -> Holder {
        let supervisor = self.find(vacancy.supervisor);
        let restarts = |supervisor: Arc<dyn AnyProcess>| {
            supervisor.with(|locked| locked.core().restarts_children())
        };
        match supervisor.is_some_and(restarts) {
            true => Holder::Successor { until: vacancy.until },
            false => Holder::Nobody,
        }
    }

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

    /// The holder has ended: frees the name if it is still its own. A holder that its
    /// supervisor restarts leaves it vacant, for its successor.
    pub(crate) fn free_name(&self, name: SharedStr, holder: Pid, restarted_by: Option<Parent>) {
        let heir = restarted_by.and_then(|by| Some((self.find(by.pid)?, by.role?.seat)));
        let own = name.clone();
        self.names.with_entry(name, |entry| {
            if *entry != Some(NameEntry::Held(holder)) {
                return;
            }
            #[cfg(regrow_proof)]
            self.trace.record(crate::trace::Event::Freed { name: own.clone(), pid: holder });
            *entry = heir.and_then(|(heir, seat)| {
                let (restarts, _) = heir.with_deferred(|locked| {
                    let core = locked.core();
                    let restarts = core.restarts_children();
                    if restarts {
                        core.standing_mut().vacant.insert(own.clone(), seat);
                    }
                    restarts
                });
                restarts.then(|| NameEntry::Vacant(Vacancy { supervisor: heir.pid(), until: None }))
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

    /// The supervisor restarts nobody any more: all names that it keeps for successors are
    /// free, and it is given no more.
    pub(crate) fn end_succession(&self, supervisor: &dyn AnyProcess) {
        let vacant = supervisor.with(|locked| {
            let standing = locked.core().standing_mut();
            standing.stopping = true;
            standing.vacant.take()
        });
        for (name, _) in vacant {
            self.clear_vacant(name, supervisor.pid());
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
