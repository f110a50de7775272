//! How many functions one node runs here at once, and what they hold.
//!
//! The count belongs to a node, not to a connection: the functions of a connection that was lost run
//! to their end, as in OTP, and count for the node that called them. No node takes the room of
//! another one.
//!
//! **If a process of a function ends** anywhere, its [`Counted`] is dropped with the request.

use std::sync::{Arc, Weak};

use crate::base::PlainMutex;
use crate::base::random::Map;
use crate::cluster::node_name::NodeName;

/// The functions that may run at once for a node.
const MOST: usize = 4_096;

/// The counts of all nodes that are connected, or whose functions run.
#[derive(Debug, Default)]
pub(super) struct AllRunning(PlainMutex<Map<NodeName, Weak<Running>>>);

/// What runs for one node.
#[derive(Debug, Default)]
pub(crate) struct Running(PlainMutex<Held>);

#[derive(Debug, Default)]
struct Held {
    functions: usize,
    /// The bytes of their arguments.
    bytes: usize,
}

/// A function that is counted, until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    running: Arc<Running>,
    bytes: usize,
}

impl AllRunning {
    pub(super) fn of(&self, node: &NodeName) -> Arc<Running> {
        let mut nodes = self.0.lock();
        if let Some(known) = nodes.get(node).and_then(Weak::upgrade) {
            return known;
        }
        nodes.retain(|_, running| running.strong_count() > 0);
        let running = Arc::new(Running::default());
        nodes.insert(node.clone(), Arc::downgrade(&running));
        running
    }
}

impl Running {
    /// Counts a function with this many bytes of arguments. `None` if [`MOST`] run, or if those that
    /// run hold `most_bytes`.
    pub(super) fn count(self: &Arc<Self>, bytes: usize, most_bytes: usize) -> Option<Counted> {
        let mut held = self.0.lock();
        if held.functions >= MOST || held.bytes >= most_bytes {
            return None;
        }
        held.functions += 1;
        held.bytes += bytes;
        Some(Counted { running: self.clone(), bytes })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut held = self.running.0.lock();
        held.functions -= 1;
        held.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::{AllRunning, Counted, MOST};
    use crate::cluster::node_name::NodeName;

    fn node(name: &str) -> NodeName {
        NodeName::parse(&format!("{name}@host")).unwrap()
    }

    #[test]
    fn a_node_has_a_bound_that_it_keeps_when_it_connects_again() {
        let nodes = AllRunning::default();
        let count = |name| nodes.of(&node(name)).count(1, usize::MAX);
        let mut running: Vec<_> = (0..MOST).filter_map(|_| count("a")).collect();
        assert_eq!(running.len(), MOST);
        assert!(count("a").is_none() && count("b").is_some());
        running.pop();
        assert!(count("a").is_some());
        drop(running);
        drop(nodes.of(&node("c")));
        assert_eq!(nodes.0.lock().len(), 1); // neither `a` nor `b` runs anything
    }

    #[test]
    fn the_arguments_that_are_held_have_a_bound() {
        let own = AllRunning::default().of(&node("a"));
        let first: Option<Counted> = own.count(100, 50);
        assert!(first.is_some() && own.count(0, 50).is_none());
        drop(first);
        assert!(own.count(49, 50).is_some());
    }
}
