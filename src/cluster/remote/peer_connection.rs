//! The connection of a peer that is up, as far as signals need it: both nodes, and the outbox.

use std::sync::Arc;

use crate::base::Pid;
use crate::cluster::handshake::Flags;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::node_numbers::Numbered;
use crate::cluster::remote::node_pair::NodePair;
use crate::cluster::remote::signal::{Signal, append_message};
use crate::cluster::wire::{Appended, Outbox};
use crate::message::EncodedTerm;

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
        self.outbox.append(|frames| signal.append(frames, &self.nodes()))
    }

    /// Appends a message. Nothing is woken.
    pub(super) fn append_message(&self, to: Pid, term: &EncodedTerm) -> Appended {
        self.outbox.append(|frames| append_message(frames, &self.nodes(), to, term))
    }

    fn nodes(&self) -> NodePair<'_> {
        NodePair { own: &self.own, other: &self.other.0, flags: self.flags }
    }

    /// Whether a process is one of the connected incarnation.
    pub(super) fn reaches(&self, pid: Pid) -> bool {
        self.other.0.has(pid)
    }
}
