//! Names. A name has at most one holder, which is live or ending.
//!
//! The lock of a name's entry is taken before the lock of a process, never after it.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::base::sync::atomic::Ordering;
use crate::base::user_panics::ignore_panic;
use crate::exit::reason::ExitReason;
use crate::kernel::reserved_names::Reserved;
use crate::kernel::{Kernel, NameEntry, Vacancy};
use crate::process::{AnyProcess, KeyRefused};

/// Why a name was not registered, or a new process was not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// A process, with this pid, already holds the name. A new process has entered no table.
    NameTaken(Pid),
    /// The name is reserved for a child that is being restarted. A new process has entered no
    /// table.
    NameReserved(Reserved),
    /// The key of a registry was refused. A new process without a name has entered no table. A new
    /// process with a name has entered the table and has ended.
    Key(KeyRefused),
    /// The process is ending or has ended. A new process has entered the table and has ended with
    /// this reason, because the runtime is closed or the parent to link to has ended.
    Ended(ExitReason),
}

/// The holder of a name, for a caller that sends a request to the name.
pub(crate) enum Holder {
    Process(Arc<dyn AnyProcess>),
    /// The last holder has ended or is ending, and its supervisor starts a successor.
    Successor {
        /// When the supervisor starts the successor, if the supervisor has delayed the restart.
        until: Option<Instant>,
    },
    Free,
}

impl Kernel {
    /// Returns the holder of a name, for the request of a caller by name.
    pub(crate) fn holder(&self, name: &str) -> Holder {
        loop {
            match self.names.get(name) {
                None => return Holder::Free,
                Some(NameEntry::Vacant(vacancy)) => return self.successor(vacancy),
                // A teardown frees the name before it removes the holder from the table. So a
                // holder that is not in the table has freed the name, and the entry is read again.
                Some(NameEntry::Held(pid)) => {
                    if let Some(process) = self.find(pid) {
                        return Holder::Process(process);
                    }
                }
            }
        }
    }

    /// Returns the holder of a name for the second try of a caller by name. The earlier holder,
    /// `refused`, has refused the request because it is ending.
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
            // The teardown has freed the name after the entry was read, so the entry is read again.
            if ended {
                continue;
            }
            return match restarted_by {
                Some(parent) => self.successor(Vacancy { supervisor: parent.pid, until: None }),
                None => Holder::Free,
            };
        }
    }

    /// Returns the answer for a vacant name: `Successor` if its supervisor still restarts children,
    /// otherwise `Free`.
    fn successor(&self, vacancy: Vacancy) -> Holder {
        let supervisor = self.find(vacancy.supervisor);
        let restarts = |supervisor: Arc<dyn AnyProcess>| {
            supervisor.with(|locked| locked.core().restarts_children())
        };
        if !supervisor.is_some_and(restarts) {
            return Holder::Free;
        }
        Holder::Successor { until: vacancy.until }
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Pid> {
        match self.names.get(name)? {
            NameEntry::Held(pid) => Some(pid),
            NameEntry::Vacant(_) => None,
        }
    }

    /// Registers a name for a process that is in the table.
    pub(crate) fn register(
        &self,
        name: SharedStr,
        process: &Arc<dyn AnyProcess>,
    ) -> Result<(), NotAdmitted> {
        self.register_then(name, process, || ())
    }

    /// Registers a name, and runs `then` before another process can read the entry. So a process
    /// that is started with a name enters the table before the name is visible.
    pub(crate) fn register_then(
        &self,
        name: SharedStr,
        process: &Arc<dyn AnyProcess>,
        then: impl FnOnce(),
    ) -> Result<(), NotAdmitted> {
        let own = name.clone();
        self.names.with_entry(name, |entry| {
            if let Some(NameEntry::Held(holder)) = *entry {
                return Err(NotAdmitted::NameTaken(holder));
            }
            let vacant = *entry;
            if let Some(NameEntry::Vacant(vacancy)) = vacant
                && let Some(reserved) = self.reserved(&own, vacancy.supervisor, &**process)
            {
                return Err(NotAdmitted::NameReserved(reserved));
            }
            crate::base::failpoint::point!("register between entry and holder");
            let (open, _) = process.with_deferred(|locked| {
                let registrations = locked.core().open_registrations()?;
                registrations.names.insert(own.clone(), ());
                Some(())
            });
            open.ok_or(NotAdmitted::Ended(ExitReason::NoProc))?;
            *entry = Some(NameEntry::Held(process.pid()));
            if let Some(NameEntry::Vacant(vacancy)) = vacant {
                self.forget_vacated(vacancy.supervisor, &own);
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
                // The flag is set before the entry is freed: `runtime::known_holder` relies on this
                // order.
                if let Some(process) = &process {
                    process.head().unregistered.store(true, Ordering::Release);
                }
                *entry = None;
                #[cfg(regrow_proof)]
                self.trace
                    .record(crate::kernel::trace::Event::Freed { name: name.clone(), pid: holder });
                crate::base::failpoint::point!("unregister between entry and holder");
                // The name is removed from the record last, under the lock of the entry. The
                // teardown of the holder takes the lock of the entry of each name in its record, so
                // its `Down` can't arrive before the name is free.
                if let Some(process) = &process {
                    process
                        .with_deferred(|locked| locked.core().registrations()?.names.remove(name));
                }
                true
            });
            if removed {
                return true;
            }
        }
    }
}
