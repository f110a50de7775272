//! What this node says of itself in a handshake, and what a handshake finds out of the other node.

use crate::cluster::cookie::Cookie;
use crate::cluster::handshake::flags::Flags;
use crate::cluster::handshake::message::Hello;
use crate::cluster::node_name::NodeName;

/// This node.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub(crate) name: NodeName,
    /// Identifies this incarnation of the node among all that have the name.
    pub(crate) creation: u32,
    pub(crate) cookie: Cookie,
}

impl Local {
    /// Returns the first message of this node.
    pub(crate) fn hello(&self) -> Hello {
        Hello { flags: Flags::OFFERED, creation: self.creation, name: self.name.clone() }
    }
}

/// The other node, once both sides have shown that they know the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) peer: NodeName,
    /// The incarnation of the other node.
    pub(crate) creation: u32,
    /// The flags that both nodes have.
    pub(crate) flags: Flags,
}

impl Session {
    pub(crate) fn new(peer: Hello) -> Self {
        Session {
            peer: peer.name,
            creation: peer.creation,
            flags: Flags::OFFERED.common(peer.flags),
        }
    }
}
