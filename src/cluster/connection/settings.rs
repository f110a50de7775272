//! What all processes of a node know.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cluster::error::NodeError;
use crate::cluster::handshake::Local;
use crate::cluster::resolver::Resolver;

/// The settings of a node.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) local: Local,
    pub(crate) resolver: Resolver,
    pub(crate) tick_time: Duration,
    pub(crate) handshake_limit: Duration,
    /// The maximum length of a frame that is received.
    pub(crate) longest_frame: usize,
    /// The bytes that may wait for one peer.
    pub(crate) send_limit: usize,
    pub(crate) allows_plaintext: bool,
}

impl Settings {
    /// Refuses an address outside of this machine, unless plain text is allowed.
    pub(crate) fn check_address(&self, address: SocketAddr) -> Result<(), NodeError> {
        let allowed = self.allows_plaintext || address.ip().to_canonical().is_loopback();
        if allowed { Ok(()) } else { Err(NodeError::Plaintext(address)) }
    }
}
