//! The semantics of the kernel, as sequential rules.
//!
//! A fatal signal makes the exit of a process *pending*: the process takes nothing more, but can
//! still be found. Its *end* is a step of its own, in this order: its names, groups and timers are
//! freed; each process that monitors it gets a `Down`; each process that is linked to it gets its
//! exit. Processes with a pending exit end in the order in which their exits became pending.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::commands::{Act, Answer, Command, Id, Item, Mailboxes, OUTSIDE, Op, Reason, To};
use super::exits::{Kind, Outcome};

#[derive(Debug, Clone, Default)]
pub(crate) struct Process {
    /// The exit reason, if the exit of the process is pending.
    pub(crate) reason: Option<Reason>,
    pub(crate) trap: bool,
    /// An eager process receives messages at once; any other receives on command.
    pub(crate) eager: bool,
    pub(crate) mailbox: Vec<(Item, Ticket)>,
}

/// The operation that removes an item from the mailbox again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ticket {
    Nothing,
    /// This process is unlinked.
    Link(Id),
    /// This monitor is released.
    Monitor(Id),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Monitor {
    pub(crate) watcher: Id,
    pub(crate) on: On,
    /// Whether the `Down` of this monitor has been put into the mailbox.
    pub(crate) fired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Process(Id, Option<u8>),
    Group(u8),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Timer {
    pub(crate) due: u64,
    pub(crate) nth: usize,
    pub(crate) to: To,
    pub(crate) act: Act,
    pub(crate) period: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) capacity: Option<usize>,
    pub(crate) processes: BTreeMap<Id, Process>,
    pub(crate) ended: BTreeMap<Id, Reason>,
    pub(crate) links: BTreeSet<(Id, Id)>,
    pub(crate) monitors: BTreeMap<Id, Monitor>,
    /// The process that each monitor by name found.
    pub(crate) named: BTreeMap<Id, Id>,
    pub(crate) names: BTreeMap<u8, Id>,
    pub(crate) groups: BTreeSet<(u8, Id)>,
    pub(crate) timers: BTreeMap<Id, Timer>,
    pub(crate) armed: usize,
    pub(crate) shed: u64,
    pub(crate) heard: BTreeMap<Id, Vec<Item>>,
    pub(crate) answers: BTreeMap<Id, Answer>,
    pub(crate) condemned: VecDeque<Id>,
}

pub(crate) fn pair(a: Id, b: Id) -> (Id, Id) {
    (a.min(b), a.max(b))
}

impl Model {
    pub(crate) fn of(mailboxes: Mailboxes) -> Self {
        let capacity = match mailboxes {
            Mailboxes::Bounded(capacity) => Some(capacity),
            Mailboxes::Plain | Mailboxes::Counted => None,
        };
        Model { capacity, ..Model::default() }
    }

    /// Discards the received items and answers after their comparison.
    pub(crate) fn forget_seen(&mut self) {
        self.heard.clear();
        self.answers.clear();
    }

    /// Returns whether the process is in the table: live, or with a pending exit.
    pub(crate) fn is_found(&self, id: Id) -> bool {
        self.processes.contains_key(&id)
    }

    pub(crate) fn is_live(&self, id: Id) -> bool {
        self.processes.get(&id).is_some_and(|process| process.reason.is_none())
    }

    /// Executes the command, unless its process has ended.
    pub(crate) fn run(&mut self, command: &Command) {
        if command.by == OUTSIDE || self.is_live(command.by) {
            let answer = self.act(command);
            self.answers.insert(command.id, answer);
        }
    }

    #[allow(clippy::too_many_lines)] // an arm for each command
    fn act(&mut self, command: &Command) -> Answer {
        let (id, by) = (command.id, command.by);
        match command.op {
            Op::Spawn { eager } => self.born(id, eager),
            Op::SpawnLink { parent } => self.born_linked(id, parent),
            Op::SpawnMonitor { watcher } => {
                self.born(id, false);
                self.watch(id, watcher, On::Process(id, None));
            }
            Op::WhereisOrSpawn { name } => return vec![self.whereis_or_spawn(id, name)],
            Op::Link(a, b) => return yes(self.link(a, b)),
            Op::Unlink(a, b) => self.unlink(a, b),
            Op::Monitor { watcher, target } => self.watch(id, watcher, On::Process(target, None)),
            Op::MonitorName { watcher, name } => {
                let holder = self.names.get(&name).copied().unwrap_or(OUTSIDE);
                self.named.insert(id, holder);
                self.watch(id, watcher, On::Process(holder, Some(name)));
            }
            Op::MonitorGroup { watcher, group } => {
                self.watch(id, watcher, On::Group(group));
                return self.members(group);
            }
            Op::Demonitor { monitor, flush } => return yes(self.demonitor(monitor, flush)),
            Op::Send(to, tag) => {
                return yes(self.send(to, Item::Message { from: by, id, tag }));
            }
            Op::Exit(to, reason) => {
                let kind = if to == by { Kind::Itself } else { Kind::Exit };
                return yes(self.signal(to, by, reason, kind) != Outcome::Gone);
            }
            Op::Kill(to) => return yes(self.kill(to, by) != Outcome::Gone),
            Op::KillGroup(group) => {
                let members = self.members(group);
                let killed = members.iter().filter(|&&p| self.kill(p, by) == Outcome::Accepted);
                return vec![killed.count() as u32];
            }
            Op::Panic => self.end(by, Reason::Panicked(id)),
            Op::Return => self.end(by, Reason::Normal),
            Op::Trap(p, trap) => {
                let process = self.processes.get_mut(&p);
                return process
                    .map(|p| u32::from(std::mem::replace(&mut p.trap, trap)))
                    .into_iter()
                    .collect();
            }
            Op::Register(name, p) => {
                let given = self.is_found(p) && !self.names.contains_key(&name);
                if given {
                    self.names.insert(name, p);
                }
                return yes(given);
            }
            Op::Unregister(name) => return yes(self.names.remove(&name).is_some()),
            Op::Join(group, p) => {
                if self.is_found(p) && self.groups.insert((group, p)) {
                    self.tell_group(group, p, true);
                }
                return yes(self.is_found(p));
            }
            Op::Leave(group, p) => return yes(self.leave(group, p)),
            Op::Arm { to, act, ms } => self.arm(id, to, act, ms),
            Op::Cancel(timer) => return yes(self.timers.remove(&timer).is_some()),
            Op::Advance(ms) => self.pass(ms),
            Op::Receive(take) => self.receive(by, take),
            Op::Snapshot => return self.processes.keys().copied().collect(),
        }
        Answer::new()
    }

    fn born(&mut self, id: Id, eager: bool) {
        self.processes.insert(id, Process { eager, ..Process::default() });
    }

    fn born_linked(&mut self, id: Id, parent: Id) {
        if self.is_found(parent) {
            self.born(id, false);
            self.links.insert(pair(id, parent));
        } else {
            self.ended.insert(id, Reason::NoProc);
        }
    }

    fn whereis_or_spawn(&mut self, id: Id, name: u8) -> Id {
        if let Some(&holder) = self.names.get(&name) {
            return holder;
        }
        self.born(id, false);
        self.names.insert(name, id);
        id
    }
}

fn yes(answer: bool) -> Answer {
    vec![u32::from(answer)]
}
