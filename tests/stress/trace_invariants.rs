//! The invariants that the event trace can show.

use std::collections::{HashMap, HashSet};

use regrow::proof::{Event, Traced};
use regrow::{ExitReason, GroupChange, MonitorRef, Pid, SharedStr};

#[derive(Default)]
struct Reader {
    born: HashSet<Pid>,
    ended: HashMap<Pid, ExitReason>,
    /// The fatal signal that each process accepted.
    accepted: HashMap<Pid, ExitReason>,
    holders: HashMap<SharedStr, Pid>,
    members: HashSet<(SharedStr, Pid)>,
    downs: HashSet<MonitorRef>,
    link_exits: HashSet<(Pid, Pid)>,
    complaints: Vec<String>,
}

/// Returns the violations of invariants in this trace, one message each.
pub(crate) fn violations(trace: &[Traced]) -> Vec<String> {
    let mut reader = Reader::default();
    for (nth, line) in trace.iter().enumerate() {
        let known = reader.complaints.len();
        reader.demand(line.seq == nth as u64 + 1, "the trace has a gap");
        reader.read(&line.event);
        for complaint in &mut reader.complaints[known..] {
            *complaint += &format!(": {line:?}");
        }
    }
    for pid in reader.born.iter().filter(|pid| !reader.ended.contains_key(pid)) {
        reader.complaints.push(format!("I-25: {pid} never ended"));
    }
    reader.complaints
}

impl Reader {
    fn demand(&mut self, holds: bool, what: &str) {
        if !holds {
            self.complaints.push(what.to_owned());
        }
    }

    fn read(&mut self, event: &Event) {
        match event {
            Event::Spawned { pid, .. } => {
                let new = self.born.insert(*pid);
                self.demand(new, "I-25: a pid is given twice");
            }
            Event::Exited { pid, reason } => self.exited(*pid, reason),
            Event::Registered { name, pid } => {
                let before = self.holders.insert(name.clone(), *pid);
                self.demand(before.is_none(), "I-02: the name is held");
                self.demand(!self.ended.contains_key(pid), "I-02: the dead get a name");
            }
            Event::Freed { name, pid } => {
                let holder = self.holders.remove(name);
                self.demand(holder == Some(*pid), "I-02: freed from another");
            }
            Event::Group { group, pid, change: GroupChange::Joined } => {
                let new = self.members.insert((group.clone(), *pid));
                self.demand(new, "I-03: joined twice");
                self.demand(!self.ended.contains_key(pid), "I-03: the dead join");
            }
            Event::Group { group, pid, change: GroupChange::Left } => {
                let member = self.members.remove(&(group.clone(), *pid));
                self.demand(member, "I-03: left twice");
            }
            Event::Signal { from, to, by_link, fatal, reason } => {
                self.demand(!self.ended.contains_key(to), "the dead get a signal");
                if *by_link {
                    self.link_exit(*from, *to, reason);
                }
                if *fatal {
                    let before = self.accepted.insert(*to, reason.clone());
                    self.demand(before.is_none(), "a second fatal signal is accepted");
                }
            }
            Event::Down { reference, target, watcher, reason } => {
                let new = self.downs.insert(*reference);
                self.demand(new, "I-05: a second Down");
                self.demand(!self.ended.contains_key(watcher), "the dead get a Down");
                let true_reason = self.ended.get(target) == Some(reason);
                let nobody = *reason == ExitReason::NoProc;
                self.demand(true_reason || nobody, "I-06, I-07: Down before its end, or untrue");
            }
            _ => self.demand(false, "an event that nobody reads"),
        }
    }

    fn exited(&mut self, pid: Pid, reason: &ExitReason) {
        let again = self.ended.insert(pid, reason.clone());
        self.demand(again.is_none(), "ended twice");
        let named = self.holders.values().any(|&holder| holder == pid);
        self.demand(!named, "I-02, I-07: ended while it holds a name");
        let grouped = self.members.iter().any(|&(_, member)| member == pid);
        self.demand(!grouped, "I-03, I-07: ended while it is in a group");
        if let Some(accepted) = self.accepted.get(&pid) {
            let panicked = reason.to_string().starts_with("panic");
            let sticks = accepted == reason || panicked;
            self.demand(sticks, "I-06: ended with another reason than it accepted");
        }
    }

    fn link_exit(&mut self, from: Pid, to: Pid, reason: &ExitReason) {
        let true_reason = self.ended.get(&from) == Some(reason);
        self.demand(true_reason, "I-06, I-07: a link's exit before the end, or untrue");
        let new = self.link_exits.insert((from, to));
        self.demand(new, "I-05: a second exit by one link");
    }
}
