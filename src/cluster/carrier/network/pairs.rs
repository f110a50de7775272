//! The nodes of a network by number, and what is known of each pair.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::task::Waker;

use tokio::sync::mpsc;

use crate::base::random::{Map, Random};
use crate::cluster::carrier::network::line::Line;
use crate::cluster::carrier::network::pipe::Pipe;
use crate::cluster::carrier::stream::Stream;

/// A connection that arrives at a listener, and the name of the node that has opened it.
pub(super) type Arrival = (Stream, String);

#[derive(Debug, Default)]
pub(super) struct Pairs {
    nodes: Map<String, Node>,
    pairs: Map<(u32, u32), Pair>,
    /// The state of the ways that have not been changed.
    usual: Line,
}

#[derive(Debug)]
struct Node {
    number: u32,
    listener: Option<mpsc::Sender<Arrival>>,
}

/// Two nodes: direction 0 leads from the one with the smaller number.
#[derive(Debug)]
struct Pair {
    lines: [Line; 2],
    /// The connections, and the direction in which each was opened.
    pipes: Vec<(Weak<Pipe>, usize)>,
    /// The number of connections so far.
    opened: u64,
}

impl Pairs {
    fn node(&mut self, name: &str) -> &mut Node {
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.entry(name.to_owned()).or_insert(Node { number, listener: None })
    }

    pub(super) fn listener(&mut self, name: &str) -> &mut Option<mpsc::Sender<Arrival>> {
        &mut self.node(name).listener
    }

    /// Returns a pair, and the direction from the first of the two nodes to the second.
    fn pair(&mut self, from: &str, to: &str) -> (&mut Pair, usize) {
        let (from, to) = (self.node(from).number, self.node(to).number);
        let usual = self.usual;
        let pair = self.pairs.entry((from.min(to), from.max(to)));
        let pair = pair.or_insert_with(|| Pair { lines: [usual; 2], pipes: Vec::new(), opened: 0 });
        (pair, usize::from(from > to))
    }

    /// Returns the ways from one node to another, and back.
    pub(super) fn lines(&mut self, from: &str, to: &str) -> [Line; 2] {
        let (pair, direction) = self.pair(from, to);
        [pair.lines[direction], pair.lines[1 - direction]]
    }

    /// Changes the way from one node to another, for its connections too. Returns the wakers of all
    /// that can continue.
    pub(super) fn change(
        &mut self,
        from: &str,
        to: &str,
        change: impl FnOnce(&mut Line),
    ) -> Vec<Waker> {
        let (pair, direction) = self.pair(from, to);
        pair.change(direction, change)
    }

    /// Changes all ways, and those of pairs that are not known yet.
    pub(super) fn change_all(&mut self, change: impl Fn(&mut Line)) -> Vec<Waker> {
        change(&mut self.usual);
        let pairs = self.pairs.values_mut();
        let changed = pairs.flat_map(|pair| {
            let mut wakers = pair.change(0, &change);
            wakers.extend(pair.change(1, &change));
            wakers
        });
        changed.collect()
    }

    /// Makes a connection.
    pub(super) fn open(
        &mut self,
        (from, to): (&str, &str),
        seed: u64,
        capacity: usize,
        sent: Arc<AtomicU64>,
    ) -> Arc<Pipe> {
        // The numbers of a pair don't depend on when others connect.
        let (pair, direction) = self.pair(from, to);
        pair.opened += 1;
        let seed = mixed(&[from, to], seed ^ pair.opened);
        let randoms = [Random::seeded(seed), Random::seeded(seed.rotate_left(32))];
        let lines = [pair.lines[direction], pair.lines[1 - direction]];
        let pipe = Pipe::new(lines, randoms, capacity, sent);
        pair.pipes.retain(|(pipe, _)| pipe.strong_count() > 0);
        pair.pipes.push((Arc::downgrade(&pipe), direction));
        pipe
    }

    /// Breaks the connections of a pair. Returns their number, and the wakers of their ends.
    pub(super) fn reset(&mut self, from: &str, to: &str) -> (usize, Vec<Waker>) {
        let (pair, _) = self.pair(from, to);
        let open: Vec<_> = pair.pipes.drain(..).filter_map(|(pipe, _)| pipe.upgrade()).collect();
        (open.len(), open.iter().flat_map(|pipe| pipe.reset()).collect())
    }

    /// Returns the number of connections that are open.
    pub(super) fn open_connections(&self) -> usize {
        let pipes = self.pairs.values().flat_map(|pair| &pair.pipes);
        pipes.filter(|(pipe, _)| pipe.strong_count() > 0).count()
    }
}

impl Pair {
    fn change(&mut self, direction: usize, change: impl FnOnce(&mut Line)) -> Vec<Waker> {
        let line = &mut self.lines[direction];
        change(line);
        let open = self.pipes.iter().filter_map(|(pipe, opened)| Some((pipe.upgrade()?, *opened)));
        let wakers =
            open.flat_map(|(pipe, opened)| pipe.set_line(usize::from(opened != direction), *line));
        wakers.collect()
    }
}

/// Mixes names into a seed.
fn mixed(names: &[&str], seed: u64) -> u64 {
    let bytes = names.iter().flat_map(|name| name.bytes());
    bytes.fold(seed, |mixed, byte| {
        (mixed ^ u64::from(byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
    })
}
