//! A connection that exists at this moment, for what must not begin an attempt to connect.

use std::sync::Arc;

use crate::base::Pid;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::incarnation::Incarnation;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::peer::Peer;
use crate::cluster::remote::signal::Signal;
use crate::cluster::term::PidToken;

/// One connection to another node. It may have ended.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    peer: Arc<Peer>,
    number: u64,
    pub(crate) node: Arc<Incarnation>,
}

impl Nodes {
    /// Returns the connection to each node.
    pub(crate) fn all_connected(&self) -> Vec<Connected> {
        let peers = self.peers.lock().all();
        peers.into_iter().filter_map(Connected::of).collect()
    }

    /// Returns the connection to a node.
    pub(crate) fn connected(&self, name: &NodeName) -> Option<Connected> {
        Connected::of(self.known(name)?)
    }

    /// Returns the connection to the node of a process. `None` also for a process of an earlier
    /// incarnation of that node.
    pub(crate) fn connected_of(&self, pid: &PidToken<'_>) -> Option<Connected> {
        let connected = self.connected(&NodeName::parse(&pid.node)?)?;
        (connected.node.creation == pid.creation).then_some(connected)
    }
}

impl Connected {
    fn of(peer: Arc<Peer>) -> Option<Connected> {
        let (number, node) = peer.connection()?;
        Some(Connected { peer, number, node })
    }

    /// Whether both are the same connection.
    pub(crate) fn is(&self, other: &Connected) -> bool {
        self.node.number == other.node.number && self.number == other.number
    }

    /// Sends a signal over this connection. False if it has ended.
    pub(crate) fn send(&self, signal: Signal) -> bool {
        self.peer.respond(self.number, |_| ((), Some(signal))).is_ok()
    }

    /// Returns the pid of a process of this node. `None` if the process is of another node or of
    /// another incarnation.
    pub(crate) fn pid(&self, pid: &PidToken<'_>) -> Option<Pid> {
        let is_own = pid.node == self.node.name.as_str() && pid.creation == self.node.creation;
        is_own.then(|| self.node.pid(pid.id, pid.serial))?
    }
}
