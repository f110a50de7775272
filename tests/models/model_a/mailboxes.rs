//! The rules of mailboxes.

use super::commands::{Id, Item, Take, To};
use super::model::{Model, Ticket};

impl Model {
    pub(crate) fn send(&mut self, to: To, message: Item) -> bool {
        let Some(to) = self.resolve(to).filter(|&to| self.is_live(to)) else { return false };
        let queued = &self.processes[&to].mailbox;
        let messages = queued.iter().filter(|(item, _)| matches!(item, Item::Message { .. }));
        if self.capacity.is_some_and(|capacity| messages.count() >= capacity) {
            self.shed += 1;
            return false;
        }
        self.push(to, message, Ticket::Nothing);
        true
    }

    pub(crate) fn resolve(&self, to: To) -> Option<Id> {
        match to {
            To::Process(p) => Some(p),
            To::Name(name) => self.names.get(&name).copied(),
        }
    }

    /// Adds an item to the mailbox. A process that has ended, or whose exit is pending, receives
    /// nothing.
    pub(crate) fn push(&mut self, to: Id, item: Item, ticket: Ticket) {
        if let Some(process) = self.processes.get_mut(&to)
            && process.reason.is_none()
        {
            process.mailbox.push((item, ticket));
        }
    }

    pub(crate) fn take_back(&mut self, from: Id, ticket: Ticket) {
        if let Some(process) = self.processes.get_mut(&from) {
            process.mailbox.retain(|(_, held)| *held != ticket);
        }
    }

    pub(crate) fn receive(&mut self, p: Id, take: Take) {
        let Some(process) = self.processes.get_mut(&p) else { return };
        let mut rest = Vec::new();
        let mut done = false;
        for (item, ticket) in std::mem::take(&mut process.mailbox) {
            let taken = match (take, item) {
                (Take::All, _) => true,
                (Take::Tag(wanted), Item::Message { tag, .. }) => wanted == tag && !done,
                (Take::Tag(_), _) => false,
                (Take::Signals, item) => !matches!(item, Item::Message { .. }),
            };
            if !taken {
                rest.push((item, ticket));
                continue;
            }
            done = true;
            if let (Ticket::Monitor(id), Item::Down { .. } | Item::DownName { .. }) = (ticket, item)
            {
                self.monitors.remove(&id);
            }
            self.heard.entry(p).or_default().push(item);
        }
        process.mailbox = rest;
    }
}
