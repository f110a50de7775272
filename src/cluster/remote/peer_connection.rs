//! The connection of a peer that is up, as far as signals need it: both nodes, and the outbox.

use std::sync::Arc;

use crate::base::Pid;
use crate::cluster::handshake::Flags;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::node_numbers::Numbered;
use crate::cluster::remote::node_pair::NodePair;
use crate::cluster::remote::signal::Signal;
use crate::cluster::wire::{Appended, Outbox};

/// A connection.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) own: Arc<LocalNode>,
    pub(crate) other: Numbered,
    pub(crate) flags: Flags,
    pub(crate) outbox: Outbox,
}

impl Up {
    /// Appends a signal. Nothing is woken.
    pub(super) fn append(&self, signal: &Signal) -> Appended {
        let nodes = NodePair { own: &self.own, other: &self.other.0, flags: self.flags };
        self.outbox.append(|frames| signal.append(frames, &nodes))
    }

    /// Whether a process is one of the connected incarnation.
    pub(super) fn reaches(&self, pid: Pid) -> bool {
        self.other.0.has(pid)
    }
}
