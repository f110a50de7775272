//! Names: one live holder each.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::kernel::reserved_names::Reserved;
use crate::kernel::{Kernel, NameEntry, Vacancy};
use crate::process::AnyProcess;

/// Why a name was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NameRefused {
    /// Somebody holds it.
    Taken(Pid),
    /// Nobody holds it; the successor of a child will.
    Reserved(Reserved),
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
                (core.has_ended(), core.restarted_by())
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
            if let Some(NameEntry::Vacant(vacancy)) = vacant
                && let Some(reserved) = self.reserved(&own, vacancy.supervisor, &**process)
            {
                return Err(NameRefused::Reserved(reserved));
            }
            crate::base::failpoint::point!("register between entry and holder");
            let (taken, _) = process.with_deferred(|locked| {
                let core = locked.core();
                let open = core.is_open();
                if open {
                    core.registrations_mut().names.insert(own.clone(), ());
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
            self.trace
                .record(crate::kernel::trace::Event::Registered { name: own, pid: process.pid() });
            then();
            Ok(())
        })?;
        ignore_panic(|| self.name_changes.notify_waiters());
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
                self.trace
                    .record(crate::kernel::trace::Event::Freed { name: name.clone(), pid: holder });
                crate::base::failpoint::point!("unregister between entry and holder");
                // Last: a holder that forgot the name does not wait for it in its end.
                if let Some(process) = &process {
                    process.with_deferred(|locked| {
                        locked
                            .core()
                            .registrations()
                            .and_then(|registrations| registrations.names.remove(name))
                    });
                }
                true
            });
            if removed {
                return true;
            }
        }
    }
}
