//! The other nodes of a runtime by their names.
//!
//! A peer that is idle, and that nothing but the table holds, is removed: when a name is added, and the
//! table has twice as many as the last removal has left. Nothing takes a peer from the table
//! meanwhile, since the table is locked. A weak reference to the peer may become a strong one, but what
//! has only that knows a connection that has ended. So a name has at most one peer that is in use.

use std::sync::{Arc, Weak};

use crate::base::random::Map;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::peer::{Peer, Surroundings};

/// The peers below which none is removed.
const FEW: usize = 64;

/// The peers of a runtime.
#[derive(Debug)]
pub(super) struct Peers {
    by_name: Map<NodeName, Arc<Peer>>,
    /// The number at which idle peers are removed.
    full: usize,
}

impl Default for Peers {
    fn default() -> Self {
        Peers { by_name: Map::default(), full: FEW }
    }
}

impl Peers {
    pub(super) fn get(&self, name: &NodeName) -> Option<Arc<Peer>> {
        self.by_name.get(name).cloned()
    }

    pub(super) fn get_or_add(
        &mut self,
        name: &NodeName,
        nodes: &Weak<impl Surroundings + 'static>,
    ) -> Arc<Peer> {
        if let Some(known) = self.get(name) {
            return known;
        }
        if self.by_name.len() >= self.full {
            self.by_name.retain(|_, peer| Arc::strong_count(peer) > 1 || !peer.is_idle());
            self.full = FEW.max(2 * self.by_name.len());
        }
        let peer = Peer::new(name.clone(), nodes.clone());
        self.by_name.insert(name.clone(), peer.clone());
        peer
    }

    pub(super) fn all(&self) -> Vec<Arc<Peer>> {
        self.by_name.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Weak};

    use super::{FEW, Peers};
    use crate::base::Pid;
    use crate::cluster::node_name::NodeName;
    use crate::cluster::remote::peer::{Peer, Surroundings};
    use crate::cluster::remote::relations::Severed;
    use crate::exit::ExitReason;

    #[derive(Debug)]
    struct Unconnected;

    impl Surroundings for Unconnected {
        fn limit(&self) -> usize {
            0
        }

        fn name_length(&self) -> usize {
            0
        }

        fn connect(&self, _: &Arc<Peer>) {}
        fn notify(&self, _: Severed, _: &ExitReason) {}
    }

    #[test]
    fn peers_that_are_idle_and_not_held_are_removed() {
        let name = |number| NodeName::parse(&format!("n{number}@host")).unwrap();
        let (nodes, mut peers) = (Weak::<Unconnected>::new(), Peers::default());
        let held = peers.get_or_add(&name(0), &nodes);
        let [own, other] = [1, 2].map(Pid::from_raw);
        let linked = peers.get_or_add(&name(1), &nodes);
        linked.request(None, |relations| (relations.link(own, other, 1), None)).unwrap();
        drop(linked);
        for number in 2..10 * FEW {
            drop(peers.get_or_add(&name(number), &nodes));
            assert!(peers.all().len() <= FEW);
        }
        assert!(Arc::ptr_eq(&held, &peers.get_or_add(&name(0), &nodes)));
        assert!(!peers.get(&name(1)).unwrap().is_idle());
    }
}
