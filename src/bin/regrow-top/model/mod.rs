//! The state of the observed program, computed from its items one after another. This module does
//! not depend on the terminal or on the source of the items.
//!
//! 1. A picture replaces all nodes. Changes and samples change single nodes.
//! 2. The [`Key`] of a node is the same in each picture while the process of the node lives. A
//!    restart keeps the key too, except below a dynamic supervisor: there the key contains the pid,
//!    so a restarted child is a new node.
//! 3. Unknown fields, items and changes are ignored, because a later version of the program may
//!    send new ones.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

mod fields;
mod node;
mod history;
mod counters;
mod waits;
mod changes;
#[cfg(test)]
mod tests;

pub(crate) use counters::Counters;
pub(crate) use fields::Fields;
pub(crate) use history::{Entry, History};
pub(crate) use node::{At, Budget, Folded, Key, Mailbox, Node, Tone, tone_of};
pub(crate) use waits::Waits;

/// The version of the format that this program reads.
pub(crate) const VERSION: u64 = 1;

/// How many slow handlers and deadlocks are kept.
const TROUBLE: usize = 50;

/// How many processes the model keeps details of.
const DETAILS: usize = 64;

/// The observed program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    nodes: Vec<Option<Node>>,
    by_key: HashMap<Key, At>,
    by_pid: HashMap<u64, At>,
    pub(crate) roots: Vec<At>,
    pub(crate) history: History,
    /// Slow handlers and deadlocks, newest first.
    pub(crate) trouble: VecDeque<Entry>,
    pub(crate) counters: Option<Counters>,
    pub(crate) waits: Waits,
    /// The number that identifies the program that sent the last picture.
    program: Option<u64>,
    /// When the last tree ended.
    pub(crate) ended_ms: Option<u64>,
    /// When the program made the last item, by the clock of the program.
    pub(crate) time_ms: u64,
    pub(crate) has_picture: bool,
    /// How many changes were lost because this program was too slow.
    pub(crate) missed: u64,
    /// The last details of each process by its pid. `None` if the process has ended.
    details: HashMap<u64, Option<Value>>,
    /// Increases with each item.
    pub(crate) revision: u64,
}

impl Model {
    /// Applies an item. The error says why the value is not an item that this version can read.
    pub(crate) fn apply(&mut self, item: &Value) -> Result<(), String> {
        let fields = Fields(item);
        match fields.number("version") {
            Some(VERSION) => {}
            Some(version) => {
                return Err(format!(
                    "the program uses version {version} of the observation format, and this \
                     regrow-top reads version {VERSION}: use the regrow-top of its regrow"
                ));
            }
            None => return Err("this is no item of an observation: it has no version".into()),
        }
        self.revision += 1;
        let time_ms = fields.number("time_ms").unwrap_or(self.time_ms);
        match fields.str("type") {
            Some("picture") => self.picture(fields, time_ms),
            Some("change") => changes::apply(self, fields, time_ms),
            Some("sample") => self.sample(fields, time_ms),
            Some("missed") => self.missed += fields.number("changes").unwrap_or(0),
            Some("process") => {
                if let Some(pid) = fields.number("pid") {
                    self.set_detail(pid, Some(item.clone()));
                }
                return Ok(());
            }
            _ => {}
        }
        self.time_ms = time_ms;
        Ok(())
    }

    /// Stores the details of a process, or `None` if the process has ended.
    pub(crate) fn set_detail(&mut self, pid: u64, detail: Option<Value>) {
        if self.details.len() >= DETAILS {
            self.details.clear();
        }
        self.details.insert(pid, detail);
        self.revision += 1;
    }

    /// Returns the last details of a process: `None` if there are none, and `Some(None)` if the
    /// process has ended.
    pub(crate) fn detail(&self, pid: u64) -> Option<Option<Fields<'_>>> {
        self.details.get(&pid).map(|detail| detail.as_ref().map(Fields))
    }

    fn picture(&mut self, picture: Fields, time_ms: u64) {
        let program = picture.number("program");
        if self.has_picture && program != self.program {
            self.another_program();
        }
        self.program = program;
        let nodes = std::mem::take(&mut self.nodes);
        let keys = std::mem::take(&mut self.by_key);
        self.by_pid.clear();
        self.roots.clear();
        for fields in picture.list("nodes") {
            let mut node = Node::read(fields);
            let key = self.key(&node.path, node.pid, node.supervisor);
            let old = keys.get(&key).and_then(|at| nodes[*at].as_ref());
            node.stopping_since_ms = old.and_then(|old| old.stopping_since_ms);
            for run in &node.history {
                self.history.add(Entry::of_run(&node.path, node.supervisor, run));
            }
            self.insert(node);
        }
        if !self.roots.is_empty() {
            self.ended_ms = None;
        }
        self.has_picture = true;
        self.count(picture, time_ms);
    }

    /// Forgets the former program, except the entries of its history. The URL belongs to another
    /// program now, and the same pids identify other processes there.
    fn another_program(&mut self) {
        self.history.forget_pids();
        self.trouble.clear();
        self.waits = Waits::default();
        self.counters = None;
        self.details.clear();
        self.nodes.clear();
        self.by_key.clear();
    }

    fn sample(&mut self, sample: Fields, time_ms: u64) {
        for one in sample.list("processes") {
            if let Some(node) = one.number("pid").and_then(|pid| self.with_pid_mut(pid)) {
                node.mailbox = Mailbox::read(one);
            }
        }
        for one in sample.list("supervisors") {
            if let Some(node) = one.number("pid").and_then(|pid| self.with_pid_mut(pid)) {
                node.set_budget(one);
                if let (Some(folded), Some(children)) = (&mut node.folded, one.number("children")) {
                    folded.children = children;
                }
            }
        }
        self.waits = Waits::read(sample);
        self.count(sample, time_ms);
    }

    fn count(&mut self, item: Fields, time_ms: u64) {
        if let Some(counters) = item.get("counters") {
            self.counters = Some(Counters::read(counters, time_ms, self.counters.as_ref()));
        }
    }

    /// Returns the key of a child.
    fn key(&self, path: &str, pid: Option<u64>, supervisor: Option<u64>) -> Key {
        let above = supervisor.and_then(|pid| self.with_pid(pid));
        let is_shared = above.is_some_and(Node::is_dynamic);
        Key { path: path.to_owned(), pid: pid.filter(|_| is_shared) }
    }

    pub(crate) fn key_of(&self, node: &Node) -> Key {
        self.key(&node.path, node.pid, node.supervisor)
    }

    /// Adds a node below its supervisor, unless there is one with its key.
    fn insert(&mut self, mut node: Node) -> At {
        let key = self.key_of(&node);
        if let Some(at) = self.by_key.get(&key) {
            return *at;
        }
        let at = self.nodes.len();
        node.above = node.supervisor.and_then(|pid| self.by_pid.get(&pid).copied());
        match node.above {
            Some(above) => {
                if let Some(above) = self.get_mut(above) {
                    above.children.push(at);
                }
            }
            None => self.roots.push(at),
        }
        if let Some(pid) = node.pid {
            self.by_pid.insert(pid, at);
        }
        self.by_key.insert(key, at);
        self.nodes.push(Some(node));
        at
    }

    /// Removes a node and its descendants.
    fn remove(&mut self, at: At) {
        let Some(above) = self.get(at).map(|node| node.above) else { return };
        match above.and_then(|above| self.get_mut(above)) {
            Some(above) => above.children.retain(|child| *child != at),
            None => self.roots.retain(|root| *root != at),
        }
        let mut left = vec![at];
        while let Some(at) = left.pop() {
            let Some(key) = self.get(at).map(|node| self.key_of(node)) else { continue };
            let Some(node) = self.nodes[at].take() else { continue };
            if self.by_key.get(&key) == Some(&at) {
                self.by_key.remove(&key);
            }
            if let Some(pid) = node.pid.filter(|pid| self.by_pid.get(pid) == Some(&at)) {
                self.by_pid.remove(&pid);
            }
            left.extend(node.children);
        }
    }

    fn set_pid(&mut self, at: At, pid: Option<u64>) {
        let Some(old) = self.get(at).map(|node| node.pid) else { return };
        if let Some(old) = old.filter(|old| self.by_pid.get(old) == Some(&at)) {
            self.by_pid.remove(&old);
        }
        if let Some(pid) = pid {
            self.by_pid.insert(pid, at);
        }
        if let Some(node) = self.get_mut(at) {
            node.pid = pid;
        }
    }

    pub(crate) fn get(&self, at: At) -> Option<&Node> {
        self.nodes.get(at)?.as_ref()
    }

    fn get_mut(&mut self, at: At) -> Option<&mut Node> {
        self.nodes.get_mut(at)?.as_mut()
    }

    pub(crate) fn find(&self, key: &Key) -> Option<At> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn with_pid(&self, pid: u64) -> Option<&Node> {
        self.by_pid.get(&pid).and_then(|at| self.get(*at))
    }

    fn with_pid_mut(&mut self, pid: u64) -> Option<&mut Node> {
        let at = *self.by_pid.get(&pid)?;
        self.get_mut(at)
    }

    /// Returns all nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }
}
