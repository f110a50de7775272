//! The carriers, and how each opens and accepts a connection.

use std::sync::Arc;

use tokio::net::TcpStream;

use crate::cluster::carrier::network::Network;
use crate::cluster::carrier::stream::Stream;
#[cfg(feature = "cluster-tls")]
use crate::cluster::carrier::tls::Tls;
use crate::cluster::error::NodeError;
use crate::cluster::handshake::HandshakeError;
use crate::cluster::node_name::NodeName;
use crate::cluster::resolver::Resolver;

/// What carries the connections of a node.
#[derive(Debug, Clone)]
pub(crate) enum Carrier {
    Tcp {
        allows_plaintext: bool,
    },
    #[cfg(feature = "cluster-tls")]
    Tls(Tls),
    Network(Network),
}

/// A connection that another node has opened, before the carrier has accepted it.
#[derive(Debug)]
pub(crate) enum Arrived {
    Socket(TcpStream),
    /// A connection of a [`Network`].
    Open(Stream),
}

impl Carrier {
    /// Refuses an address outside of this machine, unless the carrier encrypts or plain text is
    /// allowed.
    pub(crate) fn check_address(&self, address: std::net::SocketAddr) -> Result<(), NodeError> {
        let is_local = address.ip().to_canonical().is_loopback();
        match self {
            Carrier::Tcp { allows_plaintext: false } if !is_local => {
                Err(NodeError::Plaintext(address))
            }
            _ => Ok(()),
        }
    }

    /// Opens a connection to a node.
    pub(crate) async fn dial(
        &self,
        own: &NodeName,
        peer: &NodeName,
        resolver: &Resolver,
    ) -> Result<Stream, NodeError> {
        let tcp = async || {
            let address = resolver.resolve(peer).await?;
            self.check_address(address)?;
            let unreachable = |error| NodeError::Unreachable { address, source: Arc::new(error) };
            TcpStream::connect(address).await.map_err(unreachable)
        };
        match self {
            Carrier::Tcp { .. } => Ok(Stream::tcp(tcp().await?)),
            #[cfg(feature = "cluster-tls")]
            Carrier::Tls(tls) => Ok(tls.connect(tcp().await?, peer).await?),
            Carrier::Network(network) => network.connect(own, peer).await,
        }
    }

    /// Accepts a connection.
    pub(crate) async fn accept(&self, arrived: Arrived) -> Result<Stream, HandshakeError> {
        match (self, arrived) {
            (_, Arrived::Open(stream)) => Ok(stream),
            #[cfg(feature = "cluster-tls")]
            (Carrier::Tls(tls), Arrived::Socket(socket)) => tls.accept(socket).await,
            (_, Arrived::Socket(socket)) => Ok(Stream::tcp(socket)),
        }
    }
}
