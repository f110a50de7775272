//! Tickets of signals that lie in the mailbox: without its ticket none is handed out.

use crate::base::pid::Pid;
use crate::base::small_map::SmallMap;
use crate::message::received::Received;
use crate::process::core::{Monitored, Relations};

impl Relations {
    /// An exit of this process is queued under this ticket.
    pub(crate) fn add_exit(&mut self, from: Pid, ticket: u64) {
        let exits = self.exits.get_or_insert_default();
        match exits.get_mut(&from) {
            Some(tickets) => drop(tickets.insert(ticket, ())),
            None => {
                let mut tickets = SmallMap::default();
                tickets.insert(ticket, ());
                exits.insert(from, tickets);
            }
        }
    }

    /// Gives up the tickets of this process' exits that are older than `before`: how many.
    pub(crate) fn give_up_exits(&mut self, from: Pid, before: u64) -> usize {
        let Some(tickets) = self.exits.as_ref().and_then(|exits| exits.get(&from)) else {
            return 0;
        };
        let older = tickets.iter().map(|(&ticket, ())| ticket).filter(|&ticket| ticket < before);
        let older: Vec<u64> = older.collect();
        older.into_iter().filter(|&ticket| self.take_exit(from, ticket)).count()
    }

    /// Takes this ticket away; false if it is not held.
    fn take_exit(&mut self, from: Pid, ticket: u64) -> bool {
        let Some(exits) = &mut self.exits else { return false };
        let Some(tickets) = exits.get_mut(&from) else { return false };
        let held = tickets.remove(&ticket).is_some();
        if tickets.is_empty() {
            exits.remove(&from);
        }
        held
    }

    /// Whether the ticket of this signal is still held.
    pub(crate) fn holds(&self, ticket: u64, signal: &Received) -> bool {
        match signal {
            Received::Exit { from, .. } => {
                let tickets = self.exits.as_ref().and_then(|exits| exits.get(from));
                tickets.is_some_and(|tickets| tickets.contains(&ticket))
            }
            _ => self.monitors.contains(&ticket),
        }
    }

    /// The same; a ticket for a single signal is used up.
    pub(crate) fn redeem(&mut self, ticket: u64, signal: &Received) -> bool {
        match signal {
            Received::Exit { from, .. } => self.take_exit(*from, ticket),
            Received::Group { .. } => match self.monitors.get_mut(&ticket) {
                Some(Monitored::Group { queued, .. }) => {
                    *queued = queued.saturating_sub(1);
                    true
                }
                _ => false,
            },
            _ => self.monitors.remove(&ticket).is_some(),
        }
    }
}
