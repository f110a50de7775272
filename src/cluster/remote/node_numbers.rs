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
mod tests {
    use std::time::{Duration, Instant};

    use super::{DAY, NoNumber, Numbers};
    use crate::cluster::node_name::NodeName;

    fn node(name: &str, creation: u32) -> (NodeName, u32) {
        (NodeName::parse(&format!("{name}@host")).unwrap(), creation)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_number_stands_for_a_name_and_a_creation() {
        let (mut numbers, now) = (Numbers::new(100, 100), Instant::now());
        let one = numbers.connect(node("a", 1), now).unwrap();
        assert_eq!(numbers.mention(node("a", 1), now).unwrap().number, one.number);
        let other = numbers.connect(node("a", 2), now).unwrap();
        let third = numbers.mention(node("b", 1), now).unwrap();
        assert_eq!([one.number, other.number, third.number], [1, 2, 3]);
        assert_eq!(numbers.of(2).unwrap().creation, 2);
        assert!(numbers.of(4).is_none() && numbers.of(0).is_none());
    }

    #[test]
    fn nodes_that_were_never_connected_have_a_bound() {
        let (mut numbers, now) = (Numbers::new(100, 2), Instant::now());
        numbers.connect(node("c", 1), now).unwrap();
        numbers.mention(node("a", 1), now).unwrap();
        numbers.mention(node("a", 2), now + SECOND).unwrap();
        let refused = numbers.mention(node("b", 1), now + SECOND);
        assert_eq!(refused.unwrap_err(), NoNumber::TooManyMentioned);
        // Those that are known are still mentioned, and a connection is always possible.
        assert!(numbers.mention(node("a", 1), now).is_ok());
        assert!(numbers.connect(node("b", 1), now).is_ok());
        assert!(numbers.connect(node("a", 2), now).is_ok());
        assert!(numbers.mention(node("d", 1), now).is_ok());
        // After a day, the oldest one gives way. Its pids are dead.
        assert_eq!(numbers.mention(node("d", 2), now + DAY).unwrap().number, 6);
        assert!(numbers.of(2).is_none());
        assert!(numbers.mention(node("d", 1), now).is_ok());
    }

    #[test]
    fn a_number_is_given_again_only_when_none_is_left() {
        let (mut numbers, now) = (Numbers::new(3, 100), Instant::now());
        for creation in 1..=3 {
            let own = numbers.connect(node("a", creation), now).unwrap();
            assert_eq!(own.number, u16::try_from(creation).unwrap());
            numbers.disconnect(own.number, now + creation * SECOND);
        }
        // Creation 3 is the last incarnation of the node, and may come back. The others can't.
        for (creation, number) in [(4, 1), (5, 2), (6, 3)] {
            let own = numbers.connect(node("a", creation), now + 9 * SECOND).unwrap();
            assert_eq!(own.number, number);
        }
        assert_eq!(numbers.of(1).unwrap().creation, 4);
        let refused = numbers.connect(node("b", 1), now + 2 * DAY);
        assert_eq!(refused.unwrap_err(), NoNumber::Exhausted); // all are connected
    }

    #[test]
    fn a_restarted_node_gets_the_number_of_its_earlier_incarnation_if_no_other_is_left() {
        let (mut numbers, now) = (Numbers::new(2, 100), Instant::now());
        for name in ["b", "a"] {
            let own = numbers.connect(node(name, 1), now).unwrap();
            numbers.disconnect(own.number, now);
        }
        let own = numbers.connect(node("a", 2), now + SECOND).unwrap();
        assert_eq!((own.number, numbers.of(1).unwrap().name.clone()), (2, node("b", 1).0));
    }

    #[test]
    fn the_node_that_was_not_connected_for_the_longest_time_gives_way() {
        let (mut numbers, now) = (Numbers::new(3, 100), Instant::now());
        for name in ["a", "b", "c"] {
            numbers.connect(node(name, 1), now).unwrap();
        }
        assert_eq!(numbers.connect(node("d", 1), now).unwrap_err(), NoNumber::Exhausted);
        numbers.disconnect(3, now + SECOND);
        numbers.disconnect(2, now + 2 * SECOND);
        assert_eq!(numbers.connect(node("d", 1), now + 3 * SECOND).unwrap().number, 3);
        assert_eq!(numbers.connect(node("c", 1), now + 3 * SECOND).unwrap().number, 2);
        assert_eq!(numbers.of(1).unwrap().name, node("a", 1).0);
    }

    #[test]
    fn two_connections_of_one_program_share_a_number() {
        let (mut numbers, now) = (Numbers::new(1, 100), Instant::now());
        let first = numbers.connect(node("a", 1), now).unwrap();
        assert_eq!(numbers.connect(node("a", 1), now).unwrap().number, first.number);
        numbers.disconnect(1, now);
        assert!(numbers.connect(node("b", 1), now + 2 * DAY).is_err());
        numbers.disconnect(1, now);
        assert!(numbers.connect(node("b", 1), now + 2 * DAY).is_ok());
    }
}
