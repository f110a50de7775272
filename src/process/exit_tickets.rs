//! Tickets of queued signals. The reader delivers a signal only while the process holds the ticket
//! of the signal.

use crate::base::pid::Pid;
use crate::base::small_map::SmallMap;
use crate::message::received::Received;
use crate::process::core::{MonitorEntry, Relations};

impl Relations {
    /// Adds the ticket of a queued exit of `from`.
    pub(crate) fn add_exit_ticket(&mut self, from: Pid, ticket: u64) {
        self.exits.get_or_insert_default().add(from, ticket);
    }

    /// Removes the tickets of exits of `from` that are less than `before`, and returns how many it
    /// has removed.
    pub(crate) fn revoke_exits(&mut self, from: Pid, before: u64) -> usize {
        let tickets = self.exits.as_ref().and_then(|exits| exits.get(&from));
        let tickets = tickets.into_iter().flat_map(SmallMap::keys).copied();
        let older: Vec<u64> = tickets.filter(|&ticket| ticket < before).collect();
        older.into_iter().filter(|&ticket| self.take_exit_ticket(from, ticket)).count()
    }

    /// Whether an exit of `from` that has a ticket is queued.
    pub(crate) fn has_queued_exit(&self, from: Pid) -> bool {
        self.exits.as_ref().is_some_and(|exits| exits.contains(&from))
    }

    /// Whether an unlink leaves the queued exits of this peer where they are: the peer is the
    /// supervisor of this process, or may be its child.
    pub(crate) fn keeps_exits_of(&self, peer: Pid) -> bool {
        if let Some(parent) = self.parent.filter(|parent| parent.pid == peer) {
            return parent.role.is_some();
        }
        let own = self.registrations.as_ref();
        let record = own.and_then(|own| own.supervisor_record.as_ref());
        record.is_some_and(|record| record.child_rules.is_some())
    }

    /// Removes this ticket; false if it is not held.
    fn take_exit_ticket(&mut self, from: Pid, ticket: u64) -> bool {
        self.exits.as_mut().is_some_and(|exits| exits.subtract(&from, &ticket))
    }

    /// Whether the process holds the ticket of this signal.
    pub(crate) fn holds(&self, ticket: u64, signal: &Received) -> bool {
        match signal {
            Received::Exit { from, .. } => {
                let tickets = self.exits.as_ref().and_then(|exits| exits.get(from));
                tickets.is_some_and(|tickets| tickets.contains(&ticket))
            }
            _ => self.monitors.contains(&ticket),
        }
    }

    /// Returns the same as [`holds`](Self::holds), and removes the ticket. The ticket of a group
    /// monitor is not removed, because it is valid for further changes as well.
    pub(crate) fn redeem(&mut self, ticket: u64, signal: &Received) -> bool {
        match signal {
            Received::Exit { from, .. } => self.take_exit_ticket(*from, ticket),
            Received::Group { .. } => match self.monitors.get_mut(&ticket) {
                Some(MonitorEntry::Group { queued, .. }) => {
                    *queued = queued.saturating_sub(1);
                    true
                }
                _ => false,
            },
            _ => self.monitors.remove(&ticket).is_some(),
        }
    }
}
