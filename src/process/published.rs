//! What a process shows of itself to others that don't ask it.

use std::any::Any;
use std::sync::Arc;

use crate::observe::health::Health;
use crate::process::Core;

impl Core {
    /// How it said that it is doing.
    pub(crate) fn said_health(&mut self) -> Option<Health> {
        self.registrations()?.health.clone()
    }

    /// Shows this from here on, and until the process has ended. To be called once.
    pub(crate) fn publish(&mut self, cell: Arc<dyn Any + Send + Sync>) {
        self.registrations_mut().supervisor_record.get_or_insert_default().published = Some(cell);
    }

    pub(crate) fn published(&mut self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.registrations()?.supervisor_record.as_ref()?.published.clone()
    }
}
