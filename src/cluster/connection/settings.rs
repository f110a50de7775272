//! The settings that all processes of a node share.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::SharedStr;
use crate::cluster::carrier::Carrier;
use crate::cluster::exposed::ExposedServers;
use crate::cluster::handshake::Local;
use crate::cluster::remote::local_node::{LocalNode, PidTags};
use crate::cluster::resolver::Resolver;
use crate::cluster::rpc::Functions;

/// The settings of a node.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) local: Local,
    /// The secret bits of pids. Drawn together with the creation.
    pub(crate) pid_tags: PidTags,
    pub(crate) resolver: Resolver,
    pub(crate) tick_time: Duration,
    pub(crate) handshake_limit: Duration,
    /// The maximum length of a frame that is received.
    pub(crate) longest_frame: usize,
    /// The bytes that may wait for one peer.
    pub(crate) send_limit: usize,
    /// The links and monitors that each peer may have.
    pub(crate) most_relations: usize,
    /// Whether other nodes may kill processes.
    pub(crate) allows_kill: bool,
    pub(crate) carrier: Carrier,
    pub(crate) exposed: ExposedServers,
    pub(crate) functions: Functions,
    /// The `pg` scope that the node takes part in.
    pub(crate) groups: Option<SharedStr>,
}

/// The time limit of an attempt whose configured limit is too long for the clock.
const LONGEST_LIMIT: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

impl Settings {
    /// Returns when an attempt to connect that begins now has to end.
    pub(crate) fn deadline(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.handshake_limit).unwrap_or(now + LONGEST_LIMIT)
    }

    /// This node, by the name and the creation that other nodes know.
    pub(crate) fn node(&self) -> LocalNode {
        LocalNode::new(self.local.name.clone(), self.local.creation, self.pid_tags.clone())
    }

    /// Returns the address of EPMD of this machine, if the node is registered there.
    pub(crate) fn own_epmd(&self) -> Option<SocketAddr> {
        match self.carrier {
            Carrier::Network(_) => None,
            _ => self.resolver.own_epmd(),
        }
    }
}
