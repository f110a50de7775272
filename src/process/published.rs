//! The values that a process publishes, for readers that don't send it a request.

use std::any::Any;
use std::sync::Arc;

use tokio::time::Instant;

use crate::observe::health::Health;
use crate::observe::past_events::PastEvent;
use crate::process::Core;
use crate::process::heartbeat::Heartbeats;

impl Core {
    /// The health that the process has reported; `Unresponsive` if that is worse and a heartbeat is
    /// overdue.
    pub(crate) fn reported_health(&mut self) -> Option<Health> {
        let registrations = self.registrations()?;
        let health = registrations.health.clone();
        let is_late = registrations.heartbeats.as_ref().is_some_and(|beats| beats.is_late);
        // `None` is less than `Some`.
        if is_late { health.max(Some(Health::Unresponsive)) } else { health }
    }

    /// Keeps an event of this open process. Returns the event that has no room any more, which the
    /// caller drops after unlock.
    #[must_use = "dropping the event runs a user's code"]
    pub(crate) fn keep_event(&mut self, event: PastEvent) -> Option<PastEvent> {
        let events = self.registrations_mut().past_events.get_or_insert_default();
        Arc::make_mut(events).push(event)
    }

    pub(crate) fn heartbeats(&mut self) -> Option<&mut Heartbeats> {
        self.registrations()?.heartbeats.as_deref_mut()
    }

    /// Notes a heartbeat. Returns whether the process was late.
    pub(crate) fn beat(&mut self) -> bool {
        let Some(heartbeats) = self.heartbeats() else { return false };
        heartbeats.last = Instant::now();
        std::mem::take(&mut heartbeats.is_late)
    }

    /// Notes that the process is a server that is suspended, or resumed. The resumption counts as a
    /// heartbeat. Returns whether the process was late.
    pub(crate) fn suspend_heartbeats(&mut self, is_suspended: bool) -> bool {
        if let Some(registrations) = self.open_registrations() {
            registrations.is_suspended = is_suspended;
        }
        self.beat()
    }

    /// Publishes a value until the process has ended. Call this once.
    pub(crate) fn publish(&mut self, cell: Arc<dyn Any + Send + Sync>) {
        self.supervisor_record_mut().published = Some(cell);
    }

    /// The published value.
    pub(crate) fn published(&mut self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.supervisor_record()?.published.clone()
    }
}
