//! Tickets of signals that lie in the mailbox: without its ticket none is handed out.

use crate::message::Received;
use crate::process::core::{Held, Ties};

impl Ties {
    /// Whether the ticket of this signal is still held.
    pub(crate) fn holds(&self, ticket: u64, signal: &Received) -> bool {
        match signal {
            Received::Exit { .. } => {
                self.exits.as_ref().is_some_and(|exits| exits.contains(&ticket))
            }
            _ => self.monitors.contains(&ticket),
        }
    }

    /// The same; a ticket for a single signal is used up.
    pub(crate) fn redeem(&mut self, ticket: u64, signal: &Received) -> bool {
        match signal {
            Received::Exit { .. } => {
                self.exits.as_mut().is_some_and(|exits| exits.remove(&ticket).is_some())
            }
            Received::Group { .. } => match self.monitors.get_mut(&ticket) {
                Some(Held::Group { queued, .. }) => {
                    *queued = queued.saturating_sub(1);
                    true
                }
                _ => false,
            },
            _ => self.monitors.remove(&ticket).is_some(),
        }
    }
}
