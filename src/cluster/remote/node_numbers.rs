//! The numbers of nodes: what the upper 16 bits of a pid of another node stand for.
//!
//! A number stands for one *incarnation* of a node: its name and its creation. The numbers are those
//! of the program, so a pid means the same process in each of its runtimes.
//!
//! Invariants:
//! 1. A number is given when a connection to the incarnation is up, or when a term that names the
//!    incarnation is turned into a pid. At most [`MOST_MENTIONED`] incarnations that were never
//!    connected have numbers at once.
//! 2. A number is given again only when no number is left that was never given: the one that has
//!    been free for the longest time. A number is free while its incarnation is not connected, if a
//!    later incarnation of the node has been connected since, or if the last connection was a
//!    [`DAY`] ago. If no number is free, the one that has not been connected for the longest time is
//!    given.
//! 3. All relations with an incarnation are those of a connection or of an attempt to connect. So the
//!    number of an incarnation that is not connected is in no other relation than one of an attempt,
//!    which ends with `NoProc` if the number is given again meanwhile. It may be in pids that a
//!    program has kept.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::base::random::Map;
use crate::base::{Pid, PlainMutex};
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::incarnation::Incarnation;

/// How long the number of a node that is not connected is kept.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The incarnations that have numbers and were never connected.
const MOST_MENTIONED: usize = 1_024;
/// The highest number.
const LAST: u16 = u16::MAX;

type Node = (NodeName, u32);

/// Why an incarnation gets no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoNumber {
    #[error("65,535 nodes are connected")]
    Exhausted,
    #[error("too many nodes are named that were never connected")]
    TooManyMentioned,
}

/// The numbers of a program.
#[derive(Debug)]
struct Numbers {
    /// By the number, from 1 on.
    given: Vec<Entry>,
    by_node: Map<Node, u16>,
    last: u16,
    most_mentioned: usize,
}

#[derive(Debug)]
struct Entry {
    /// `None` if the incarnation was dropped, because too many were only mentioned.
    incarnation: Option<Arc<Incarnation>>,
    /// The number of connections.
    connections: usize,
    was_connected: bool,
    /// A later incarnation of the node has been connected.
    is_superseded: bool,
    /// When the last connection ended, or the incarnation was mentioned first.
    left: Instant,
}

impl Entry {
    /// Since when the number is free.
    fn free_since(&self, now: Instant) -> Option<Instant> {
        let is_old = now.saturating_duration_since(self.left) >= DAY;
        let is_kept = self.incarnation.is_some() && !self.is_superseded && !is_old;
        (self.connections == 0 && !is_kept).then_some(self.left)
    }

    fn is_only_mentioned(&self) -> bool {
        !self.was_connected && self.incarnation.is_some()
    }
}

impl Numbers {
    fn new(last: u16, most_mentioned: usize) -> Self {
        Numbers { given: Vec::new(), by_node: Map::default(), last, most_mentioned }
    }

    fn entry(&mut self, number: u16) -> Option<&mut Entry> {
        self.given.get_mut(usize::from(number).checked_sub(1)?)
    }

    fn of(&mut self, number: u16) -> Option<Arc<Incarnation>> {
        self.entry(number)?.incarnation.clone()
    }

    /// Returns an incarnation that is mentioned, with its number.
    fn mention(&mut self, node: Node, now: Instant) -> Result<Arc<Incarnation>, NoNumber> {
        let known = self.by_node.get(&node).copied();
        if let Some(known) = known.and_then(|number| self.of(number)) {
            return Ok(known);
        }
        let mentioned = self.given.iter().filter(|entry| entry.is_only_mentioned()).count();
        if mentioned >= self.most_mentioned && !self.forget_mentioned(now) {
            return Err(NoNumber::TooManyMentioned);
        }
        self.give(node, now)
    }

    /// Adds a connection to an incarnation. The earlier incarnations of the node are superseded.
    fn connect(&mut self, node: Node, now: Instant) -> Result<Arc<Incarnation>, NoNumber> {
        // First, since the number of an earlier incarnation may be the only free one.
        for entry in &mut self.given {
            if let Some(own) = entry.incarnation.as_ref().filter(|own| own.name == node.0) {
                entry.is_superseded = own.creation != node.1;
            }
        }
        let known = self.by_node.get(&node).copied();
        let incarnation = match known.and_then(|number| self.of(number)) {
            Some(known) => known,
            None => self.give(node, now)?,
        };
        if let Some(entry) = self.entry(incarnation.number) {
            entry.connections += 1;
            entry.was_connected = true;
        }
        Ok(incarnation)
    }

    fn disconnect(&mut self, number: u16, now: Instant) {
        if let Some(entry) = self.entry(number) {
            entry.connections = entry.connections.saturating_sub(1);
            entry.left = now;
        }
    }

    /// Drops the oldest incarnation that was never connected, if it was mentioned a day ago.
    fn forget_mentioned(&mut self, now: Instant) -> bool {
        let is_old =
            |entry: &&mut Entry| entry.is_only_mentioned() && entry.free_since(now).is_some();
        let oldest = self.given.iter_mut().filter(is_old).min_by_key(|entry| entry.left);
        let forgotten = oldest.and_then(|entry| entry.incarnation.take());
        if let Some(forgotten) = &forgotten {
            self.by_node.remove(&(forgotten.name.clone(), forgotten.creation));
        }
        forgotten.is_some()
    }

    fn give(&mut self, node: Node, now: Instant) -> Result<Arc<Incarnation>, NoNumber> {
        let next = u16::try_from(self.given.len() + 1).ok().filter(|next| *next <= self.last);
        let number = match next {
            Some(next) => next,
            None => self.freed(now).ok_or(NoNumber::Exhausted)?,
        };
        let incarnation = Arc::new(Incarnation::new(number, node.0.clone(), node.1));
        self.by_node.insert(node, number);
        let entry = Entry {
            incarnation: Some(incarnation.clone()),
            connections: 0,
            was_connected: false,
            is_superseded: false,
            left: now,
        };
        match self.entry(number) {
            Some(earlier) => *earlier = entry,
            None => self.given.push(entry),
        }
        Ok(incarnation)
    }

    /// Takes the number that has been free for the longest time from its incarnation; if none is
    /// free, the number that has not been connected for the longest time.
    fn freed(&mut self, now: Instant) -> Option<u16> {
        let unconnected = self.given.iter().enumerate().filter(|(_, entry)| entry.connections == 0);
        let order =
            |(at, entry): (usize, &Entry)| (entry.free_since(now).is_none(), entry.left, at);
        let (_, _, at) = unconnected.map(order).min()?;
        if let Some(earlier) = self.given[at].incarnation.take() {
            self.by_node.remove(&(earlier.name.clone(), earlier.creation));
        }
        u16::try_from(at + 1).ok()
    }
}

#[cfg(test)]
std::thread_local! {
    /// Whether connections of this thread get no number, because the program has no free one.
    pub(crate) static NONE_LEFT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn numbers() -> &'static PlainMutex<Numbers> {
    static NUMBERS: OnceLock<PlainMutex<Numbers>> = OnceLock::new();
    NUMBERS.get_or_init(|| PlainMutex::new(Numbers::new(LAST, MOST_MENTIONED)))
}

/// The number of an incarnation that is connected, until this is dropped.
#[derive(Debug)]
pub(crate) struct Numbered(pub(crate) Arc<Incarnation>);

impl Numbered {
    /// Notes a connection to an incarnation.
    pub(crate) fn connect(name: NodeName, creation: u32) -> Result<Self, NoNumber> {
        #[cfg(test)]
        if NONE_LEFT.get() {
            return Err(NoNumber::Exhausted);
        }
        numbers().lock().connect((name, creation), Instant::now()).map(Numbered)
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        numbers().lock().disconnect(self.0.number, Instant::now());
    }
}

/// Returns an incarnation that a term names.
pub(crate) fn mention(name: NodeName, creation: u32) -> Result<Arc<Incarnation>, NoNumber> {
    numbers().lock().mention((name, creation), Instant::now())
}

/// Returns the incarnation that a pid belongs to. `None` for a local pid, and for one whose number
/// was never given.
pub(crate) fn incarnation_of(pid: Pid) -> Option<Arc<Incarnation>> {
    let number = u16::try_from(pid.raw() >> Pid::NUMBER_BITS).ok().filter(|number| *number > 0)?;
    numbers().lock().of(number)
}

#[cfg(test)]
mod tests;
