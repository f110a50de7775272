//! Access to the registrations of a process, and to what only some processes have in them.

use crate::process::mailbox_counts::Counts;
use crate::process::{Core, Registrations, SupervisorRecord};

impl Core {
    pub(crate) fn registrations(&mut self) -> Option<&mut Registrations> {
        if !self.has_registrations {
            return None;
        }
        self.relations()?.registrations.as_deref_mut()
    }

    pub(crate) fn held_registrations(&self) -> Option<&Registrations> {
        self.relations.as_ref()?.registrations.as_deref()
    }

    /// The counts of the mailbox, if it is counted.
    pub(crate) fn counts(&mut self) -> Option<&mut Counts> {
        self.registrations()?.counts.as_mut()
    }

    pub(crate) fn registrations_mut(&mut self) -> &mut Registrations {
        self.has_registrations = true;
        self.relations_mut().registrations.get_or_insert_default()
    }

    pub(crate) fn supervisor_record(&mut self) -> Option<&mut SupervisorRecord> {
        self.registrations()?.supervisor_record.as_deref_mut()
    }

    pub(crate) fn supervisor_record_mut(&mut self) -> &mut SupervisorRecord {
        self.registrations_mut().supervisor_record.get_or_insert_default()
    }

    /// The registrations, if names and groups may still be added.
    pub(crate) fn open_registrations(&mut self) -> Option<&mut Registrations> {
        self.is_open().then(|| self.registrations_mut())
    }
}
