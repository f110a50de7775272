//! One other node, as the processes of this one reach it: the relations with its processes, and the
//! way that signals take.
//!
//! | phase | what a signal does |
//! |---|---|
//! | down | a request (a message, a link, a monitor, an exit) begins an attempt to connect, and waits |
//! | connecting | it waits, in order, up to the bound of the connection's queue |
//! | up | it is appended to the queue of the connection |
//!
//! Invariants:
//! 1. One lock guards the phase and the relations. An entry changes and its signal is appended under
//!    this lock, so the other node gets signals in the order of the changes. No lock of a process is
//!    held at the same time, and nothing is woken and no user value is dropped under the lock.
//! 2. The end of a phase takes all relations out under the lock, and the processes are notified after
//!    it: each once, since their records forget the relation with the notification. A relation that is
//!    added later belongs to the next phase, and has a greater number than those that were taken out,
//!    so no late notification reaches it.
//! 3. A connection has a number. What the process of an earlier connection does has no effect.
//!
//! **If the connection ends** between an append and the write, the signal is lost, and so are the
//! relations: the phase ends when the process of the connection is dropped, whatever ends it.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use crate::base::{Pid, PlainMutex};
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::incarnation::Incarnation;
use crate::cluster::remote::peer_connection::Up;
use crate::cluster::remote::relations::{Relations, Severed};
use crate::cluster::remote::signal::Signal;
use crate::cluster::wire::{Appended, Outbox};
use crate::exit::ExitReason;

/// What a peer needs of its runtime. None of these functions is called under a lock.
pub(crate) trait Surroundings: std::fmt::Debug + Send + Sync {
    /// The bytes that may wait for a connection.
    fn limit(&self) -> usize;

    /// The length of the name of this node.
    fn name_length(&self) -> usize;

    /// Requests a connection, for the signals that wait for it.
    fn connect(&self, peer: &Arc<Peer>);

    /// Notifies the local processes of the end of relations.
    fn notify(&self, severed: Severed, reason: &ExitReason);
}

/// Another node.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: NodeName,
    nodes: Weak<dyn Surroundings>,
    state: PlainMutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    relations: Relations,
    /// The number of the last connection.
    connections: u64,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Down,
    Connecting(Waiting),
    Up(Up),
}

/// The signals that wait for a connection.
#[derive(Debug, Default)]
struct Waiting {
    signals: Vec<Signal>,
    bytes: usize,
    /// The size of the longest signal, which doesn't count, as in the queue of a connection.
    longest: usize,
}

impl Waiting {
    fn add(&mut self, signal: Signal, size: usize) {
        self.bytes += size;
        self.longest = self.longest.max(size);
        self.signals.push(signal);
    }

    fn is_above(&self, limit: usize) -> bool {
        self.bytes - self.longest > limit
    }
}

/// What has to be done after unlock.
#[derive(Default)]
#[must_use = "it has to be done after unlock"]
struct After {
    wake: Option<(Outbox, Appended)>,
    connects: bool,
    severed: Option<Severed>,
    /// Dropped after unlock: its reason may run a user's destructor.
    spent: Vec<Signal>,
}

impl Peer {
    pub(crate) fn new(name: NodeName, nodes: Weak<dyn Surroundings>) -> Arc<Self> {
        Arc::new(Peer { name, nodes, state: PlainMutex::default() })
    }

    /// Changes relations, and sends the signal that follows from the change. `to` is the process that
    /// the change is about, if it is known by its pid.
    ///
    /// # Errors
    ///
    /// `NoProc` if that process is of an incarnation that is not the connected one: it has ended.
    pub(crate) fn request<R>(
        self: &Arc<Self>,
        to: Option<Pid>,
        change: impl FnOnce(&mut Relations) -> (R, Option<Signal>),
    ) -> Result<R, ExitReason> {
        let mut state = self.state.lock();
        if let (Phase::Up(up), Some(to)) = (&state.phase, to)
            && !up.reaches(to)
        {
            return Err(ExitReason::NoProc);
        }
        let (result, signal) = change(&mut state.relations);
        let after = signal.map(|signal| state.send(signal, || self.room())).unwrap_or_default();
        drop(state);
        self.complete(after);
        Ok(result)
    }

    /// Does the same for the process of a connection.
    ///
    /// # Errors
    ///
    /// If there is another connection.
    pub(crate) fn respond<R>(
        self: &Arc<Self>,
        connection: u64,
        change: impl FnOnce(&mut Relations) -> (R, Option<Signal>),
    ) -> Result<R, Superseded> {
        let mut state = self.state.lock();
        if state.connections != connection || !matches!(state.phase, Phase::Up(_)) {
            return Err(Superseded);
        }
        let (result, signal) = change(&mut state.relations);
        let after = signal.map(|signal| state.send(signal, || self.room())).unwrap_or_default();
        drop(state);
        self.complete(after);
        Ok(result)
    }

    /// Notes a connection, and sends what waits for it. Returns the number of the connection.
    pub(crate) fn up(self: &Arc<Self>, up: Up) -> u64 {
        let mut state = self.state.lock();
        let mut after = After::default();
        if matches!(state.phase, Phase::Up(_)) {
            after.severed = Some(state.relations.take());
        }
        let outbox = up.outbox.clone();
        let before = std::mem::replace(&mut state.phase, Phase::Down);
        let mut ended = HashSet::default();
        if let Phase::Connecting(waiting) = before {
            let mut appended = Appended::No;
            for signal in waiting.signals {
                match signal.receiver() {
                    Some(pid) if !up.reaches(pid) => drop(ended.insert(pid)),
                    // The connection ends, and has to be woken for that.
                    _ if appended == Appended::Overflow => {}
                    _ => appended = up.append(&signal),
                }
                after.spent.push(signal);
            }
            after.wake = Some((outbox, appended));
        }
        let ended = state.relations.take_of(&ended);
        state.connections += 1;
        let number = state.connections;
        state.phase = Phase::Up(up);
        drop(state);
        self.complete(after);
        self.notify(ended, &ExitReason::NoProc);
        number
    }

    /// Notes the end of a connection.
    pub(crate) fn down(&self, connection: u64) {
        self.end_if(|state| state.connections == connection && matches!(state.phase, Phase::Up(_)));
    }

    /// Notes that there is no connection, and no attempt to connect.
    pub(crate) fn not_connected(&self) {
        self.end_if(|state| matches!(state.phase, Phase::Connecting(_)));
    }

    fn end_if(&self, is_over: impl FnOnce(&State) -> bool) {
        let mut state = self.state.lock();
        if is_over(&state) {
            let (phase, severed) = state.end();
            drop(state);
            drop(phase);
            self.notify(severed, &ExitReason::NoConnection);
        }
    }

    /// Whether signals wait for a connection.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Connecting(_))
    }

    /// Whether there is neither a connection nor an attempt to connect, nor a relation.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        matches!(state.phase, Phase::Down) && state.relations.is_empty()
    }

    /// The number of the connection, and the incarnation that is connected.
    pub(crate) fn connection(&self) -> Option<(u64, Arc<Incarnation>)> {
        self.with_up(|up, number| (number, up.other.0.clone()))
    }

    /// Runs a closure with the connection and its number, under the lock. `None` if there is none.
    pub(super) fn with_up<R>(&self, act: impl FnOnce(&Up, u64) -> R) -> Option<R> {
        let state = self.state.lock();
        let Phase::Up(up) = &state.phase else { return None };
        Some(act(up, state.connections))
    }

    /// The bytes that may wait, and the length of the names of both nodes.
    fn room(&self) -> (usize, usize) {
        let own = self.nodes.upgrade().map(|nodes| (nodes.limit(), nodes.name_length()));
        let (limit, name) = own.unwrap_or_default();
        (limit, name + self.name.as_str().len())
    }

    fn complete(self: &Arc<Self>, after: After) {
        if let Some((outbox, appended)) = after.wake {
            outbox.wake(appended);
        }
        drop(after.spent);
        if let Some(severed) = after.severed {
            self.notify(severed, &ExitReason::NoConnection);
        }
        if after.connects {
            match self.nodes.upgrade() {
                Some(nodes) => nodes.connect(self),
                None => self.not_connected(),
            }
        }
    }

    /// Notifies the local processes of the end of relations.
    fn notify(&self, severed: Severed, reason: &ExitReason) {
        if let Some(nodes) = self.nodes.upgrade() {
            nodes.notify(severed, reason);
        }
    }
}

/// The connection of the caller is not the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superseded;

impl State {
    fn send(&mut self, signal: Signal, room: impl FnOnce() -> (usize, usize)) -> After {
        let mut after = After::default();
        if let Phase::Up(up) = &self.phase {
            let appended = up.append(&signal);
            after.wake = Some((up.outbox.clone(), appended));
            after.spent.push(signal);
            return after;
        }
        let (limit, names) = room();
        match &mut self.phase {
            Phase::Up(_) => {}
            Phase::Down => {
                let (mut waiting, size) = (Waiting::default(), signal.size(names));
                waiting.add(signal, size);
                self.phase = Phase::Connecting(waiting);
                after.connects = true;
            }
            Phase::Connecting(waiting) if waiting.is_above(limit) => {
                let (phase, severed) = self.end();
                if let Phase::Connecting(waiting) = phase {
                    after.spent = waiting.signals;
                }
                after.spent.push(signal);
                after.severed = Some(severed);
            }
            Phase::Connecting(waiting) => {
                let size = signal.size(names);
                waiting.add(signal, size);
            }
        }
        after
    }

    /// NodePair the phase.
    fn end(&mut self) -> (Phase, Severed) {
        (std::mem::take(&mut self.phase), self.relations.take())
    }
}
