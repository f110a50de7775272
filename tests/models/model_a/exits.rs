//! The rules of exit signals, process ends and timers.

use super::commands::{Act, Id, Item, OUTSIDE, Reason, Take, To};
use super::model::{Model, On, Ticket, Timer};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Kill,
    Exit,
    Itself,
    Link,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Gone,
    Changed,
    Accepted,
}

impl Model {
    pub(crate) fn kill(&mut self, to: Id, by: Id) -> Outcome {
        self.signal(to, by, Reason::Killed, Kind::Kill)
    }

    /// Applies OTP's table of exit signals.
    pub(crate) fn signal(&mut self, to: Id, from: Id, reason: Reason, kind: Kind) -> Outcome {
        let Some(process) = self.processes.get_mut(&to) else { return Outcome::Gone };
        if process.reason.is_some() {
            return Outcome::Changed;
        }
        let dies = match kind {
            Kind::Kill => true,
            _ if process.trap => {
                let ticket = if kind == Kind::Link { Ticket::Link(from) } else { Ticket::Nothing };
                self.push(to, Item::Exit { from, reason }, ticket);
                return Outcome::Changed;
            }
            Kind::Itself => true,
            Kind::Exit | Kind::Link => reason != Reason::Normal,
        };
        if !dies {
            return Outcome::Changed;
        }
        process.reason = Some(reason);
        self.condemned.push_back(to);
        Outcome::Accepted
    }

    /// Ends a process by itself. Its exit is never pending: no step comes between its decision and
    /// its end.
    pub(crate) fn end(&mut self, p: Id, reason: Reason) {
        if let Some(process) = self.processes.get_mut(&p) {
            process.reason = Some(reason);
        }
        self.die(p);
    }

    /// Ends a process whose exit is pending.
    pub(crate) fn die(&mut self, p: Id) {
        let Some(reason) = self.processes.get(&p).and_then(|process| process.reason) else {
            return;
        };
        self.processes.remove(&p);
        self.condemned.retain(|&other| other != p);
        self.ended.insert(p, reason);
        self.names.retain(|_, holder| *holder != p);
        for (group, _) in self.groups.clone().into_iter().filter(|(_, member)| *member == p) {
            self.leave(group, p);
        }
        self.timers.retain(|_, timer| timer.to != To::Process(p));
        for (id, monitor) in self.monitors.clone() {
            if matches!(monitor.on, On::Process(target, _) if target == p) && !monitor.fired {
                self.down(id, reason);
            }
        }
        for (a, b) in self.links.clone().into_iter().filter(|&(a, b)| a == p || b == p) {
            self.links.remove(&(a, b));
            self.signal(if a == p { b } else { a }, p, reason, Kind::Link);
        }
        self.monitors.retain(|_, monitor| monitor.watcher != p);
    }

    /// Ends all processes whose exits are pending. Then the eager processes receive what is in
    /// their mailboxes.
    pub(crate) fn settle(&mut self) {
        while let Some(&p) = self.condemned.front() {
            self.die(p);
        }
        let eager = self.processes.iter().filter(|(_, p)| p.eager && !p.mailbox.is_empty());
        for p in eager.map(|(&p, _)| p).collect::<Vec<_>>() {
            self.receive(p, Take::All);
        }
    }

    pub(crate) fn arm(&mut self, id: Id, to: To, act: Act, ms: u64) {
        let tick = matches!(act, Act::Tick(_));
        if tick {
            self.pass(1);
        }
        if !matches!(to, To::Process(p) if !self.is_found(p)) {
            self.armed += 1;
            let period = if tick { ms } else { 0 };
            let timer = Timer { due: self.now + ms, nth: self.armed, to, act, period };
            self.timers.insert(id, timer);
        }
        if tick {
            self.pass(1);
        }
    }

    /// Advances the time. Timers fire in the order of their due times, and timers of one due time
    /// in the order of their creation. All timers of one due time fire before a process ends as a
    /// result.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        self.settle();
        while let Some((due, _, id)) = self.next_due().filter(|&(due, ..)| due <= until) {
            if due > self.now {
                self.settle();
                self.now = due;
                continue;
            }
            self.fire(id);
        }
        self.settle();
        self.now = until;
    }

    pub(crate) fn next_due(&self) -> Option<(u64, usize, Id)> {
        self.timers.iter().map(|(&id, timer)| (timer.due, timer.nth, id)).min()
    }

    pub(crate) fn fire(&mut self, id: Id) {
        let Some(timer) = self.timers.get_mut(&id) else { return };
        timer.due += timer.period;
        let Timer { to, act, .. } = *timer;
        if !matches!(act, Act::Tick(_)) {
            self.timers.remove(&id);
        }
        let Some(target) = self.resolve(to) else { return };
        match act {
            Act::Send(tag) | Act::Tick(tag) => {
                self.send(to, Item::Message { from: OUTSIDE, id, tag });
            }
            Act::Exit(reason) => drop(self.signal(target, OUTSIDE, reason, Kind::Exit)),
            Act::Kill => drop(self.kill(target, OUTSIDE)),
        }
    }
}
