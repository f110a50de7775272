//! The rules of links, monitors and groups.

use super::commands::{Id, Item, Reason};
use super::model::{Model, Monitor, On, Ticket, pair};

impl Model {
    pub(crate) fn link(&mut self, a: Id, b: Id) -> bool {
        if !self.is_found(a) || a == b {
            return self.is_found(a);
        }
        if !self.is_found(b) {
            if self.processes.get(&a).is_some_and(|process| process.trap) {
                let exit = Item::Exit { from: b, reason: Reason::NoProc };
                self.push(a, exit, Ticket::Link(b));
            }
            return false;
        }
        self.links.insert(pair(a, b));
        true
    }

    pub(crate) fn unlink(&mut self, a: Id, b: Id) {
        self.links.remove(&pair(a, b));
        self.take_back(a, Ticket::Link(b));
        self.take_back(b, Ticket::Link(a));
    }

    pub(crate) fn watch(&mut self, id: Id, watcher: Id, on: On) {
        if !self.is_found(watcher) {
            return;
        }
        self.monitors.insert(id, Monitor { watcher, on, fired: false });
        if let On::Process(target, _) = on
            && !self.is_found(target)
        {
            self.down(id, Reason::NoProc);
        }
    }

    pub(crate) fn down(&mut self, id: Id, reason: Reason) {
        let Some(monitor) = self.monitors.get_mut(&id) else { return };
        let On::Process(target, name) = monitor.on else { return };
        monitor.fired = true;
        let watcher = monitor.watcher;
        let item = match name {
            Some(name) => Item::DownName { monitor: id, name, reason },
            None => Item::Down { monitor: id, target, reason },
        };
        self.push(watcher, item, Ticket::Monitor(id));
    }

    pub(crate) fn demonitor(&mut self, id: Id, flush: bool) -> bool {
        let Some(&monitor) = self.monitors.get(&id) else { return false };
        if !monitor.fired || flush {
            self.monitors.remove(&id);
            self.take_back(monitor.watcher, Ticket::Monitor(id));
        }
        !monitor.fired
    }

    pub(crate) fn members(&self, group: u8) -> Vec<Id> {
        self.groups.iter().filter(|(g, _)| *g == group).map(|&(_, p)| p).collect()
    }

    pub(crate) fn leave(&mut self, group: u8, p: Id) -> bool {
        let member = self.groups.remove(&(group, p));
        if member {
            self.tell_group(group, p, false);
        }
        member
    }

    pub(crate) fn tell_group(&mut self, group: u8, pid: Id, joined: bool) {
        for (monitor, watch) in self.monitors.clone() {
            if watch.on == On::Group(group) {
                let item = Item::Group { monitor, group, pid, joined };
                self.push(watch.watcher, item, Ticket::Monitor(monitor));
            }
        }
    }
}
