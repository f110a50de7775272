//! The processes and references of the real kernel by their model ids, and what was observed of
//! them.

use std::collections::{BTreeMap, HashMap};

use regrow::{Ended, GroupChange, MonitorRef, Pid, Received, TimerRef};
use tokio::sync::mpsc::UnboundedSender;

use super::commands::{Answer, Command, Id, Item, OUTSIDE, Reason};

/// One recorded event: a command that a process executed, or the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Ran(Id),
    Died(Id),
}

/// The processes by id, and the recorded observations.
#[derive(Default)]
pub(crate) struct Books {
    pub(crate) pids: HashMap<Id, Pid>,
    pub(crate) ids: HashMap<Pid, Id>,
    pub(crate) jobs: HashMap<Id, UnboundedSender<Command>>,
    pub(crate) monitors: HashMap<Id, MonitorRef>,
    pub(crate) monitor_ids: HashMap<u64, Id>,
    pub(crate) ends: BTreeMap<Id, (Pid, Ended)>,
    pub(crate) ended: BTreeMap<Id, Reason>,
    pub(crate) timers: BTreeMap<Id, TimerRef>,
    pub(crate) heard: BTreeMap<Id, Vec<Item>>,
    pub(crate) answers: BTreeMap<Id, Answer>,
    pub(crate) steps: Vec<Step>,
}

/// The first of the pids that no process has.
const NOBODY: u64 = 1 << 40;

impl Books {
    pub(crate) fn pid(&self, id: Id) -> Pid {
        self.pids.get(&id).copied().unwrap_or(Pid::from_raw(NOBODY + u64::from(id)))
    }

    pub(crate) fn id(&self, pid: Pid) -> Id {
        match pid {
            Pid::OUTSIDE => OUTSIDE,
            pid => self.ids.get(&pid).copied().unwrap_or_else(|| (pid.raw() - NOBODY) as Id),
        }
    }

    pub(crate) fn ids(&self, pids: Vec<Pid>) -> Vec<Id> {
        let mut ids: Vec<Id> = pids.into_iter().map(|pid| self.id(pid)).collect();
        ids.sort_unstable();
        ids
    }

    /// Discards the received items, answers and steps after their comparison.
    pub(crate) fn forget_seen(&mut self) {
        self.heard.clear();
        self.answers.clear();
        self.steps.clear();
    }

    fn monitor_id(&self, monitor: MonitorRef) -> Id {
        self.monitor_ids.get(&monitor.raw()).copied().unwrap_or(Id::MAX)
    }

    pub(crate) fn item(&self, received: Received) -> Item {
        match received {
            Received::Message(bytes) => {
                let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
                Item::Message { from: number(0), id: number(4), tag: bytes[8] }
            }
            Received::Down { reference, pid, reason } => Item::Down {
                monitor: self.monitor_id(reference),
                target: self.id(pid),
                reason: Reason::of(&reason),
            },
            Received::DownName { reference, name, reason } => Item::DownName {
                monitor: self.monitor_id(reference),
                name: number_of(&name),
                reason: Reason::of(&reason),
            },
            Received::Exit { from, reason } => {
                Item::Exit { from: self.id(from), reason: Reason::of(&reason) }
            }
            Received::Group { reference, group, pid, change } => Item::Group {
                monitor: self.monitor_id(reference),
                group: number_of(&group),
                pid: self.id(pid),
                joined: change == GroupChange::Joined,
            },
            other => unreachable!("the model sends no {other:?}"),
        }
    }
}

pub(crate) fn name_of(name: u8) -> String {
    format!("n{name}")
}

pub(crate) fn number_of(name: &str) -> u8 {
    name[1..].parse().expect("a name of the model")
}
