//! Why another node can't be reached.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::handshake::HandshakeError;

/// Why there is no connection to another node: the error of
/// [`NodeRef::connect`](crate::cluster::NodeRef::connect), and the reason of a failed start of a
/// [`Node`](crate::cluster::Node). Variants may be added later.
///
/// # Examples
///
/// ```
/// use regrow::Runtime;
/// use regrow::cluster::NodeError;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let error = rt.node("nowhere@127.0.0.1").connect().await.unwrap_err();
/// assert!(matches!(error, NodeError::NotRunning)); // the runtime has no node of its own
/// # }));
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The runtime has no node: no [`Node`](crate::cluster::Node) runs, or it is being restarted.
    #[error("no node runs in this runtime: start a `Node` as a child of a supervisor")]
    NotRunning,
    /// The text is no name of a node: it is not `alive@host`.
    #[error("{0:?} is no name of a node: it has to be `alive@host`")]
    InvalidName(String),
    /// Another node of the [`Network`](crate::cluster::Network) has the name.
    #[error("the network has a node {0} already: give each node a name of its own")]
    NameTaken(String),
    /// The node of this runtime has no [cookie](crate::cluster::Node::cookie), or an empty one.
    #[error("the node has no cookie, or an empty one: set it with `Node::cookie`")]
    NoCookie,
    /// The text is no name of a scope: it is empty, or longer than an atom. See
    /// [`Node::groups`](crate::cluster::Node::groups).
    #[error("{0:?} is no name of a scope: it has to have 1 to 255 characters")]
    InvalidScope(String),
    /// Neither the fixed addresses nor EPMD know the node, or no node of the
    /// [`Network`](crate::cluster::Network) has the name.
    #[error("the node {0} is not known: start it, or give its address to the `Resolver`")]
    Unknown(String),
    /// The host of the node can't be found, or EPMD of that host doesn't answer.
    #[error("the address of the node {node} can't be found: does EPMD run on its host?")]
    Unresolved {
        /// The node.
        node: String,
        /// The error of the resolver or of the connection to EPMD.
        source: Arc<io::Error>,
    },
    /// The address is not one of this machine, and plain text is not allowed for others: see
    /// [`Node::allow_plaintext`](crate::cluster::Node::allow_plaintext), and `Node::tls` of the
    /// feature `cluster-tls`.
    #[error(
        "{0} is not a loopback address, and plain text is not allowed: use `Node::tls`, or \
         `Node::allow_plaintext` in a network that no one else uses"
    )]
    Plaintext(SocketAddr),
    /// The address refuses the connection, or can't be reached.
    #[error("{address} can't be connected to: does the node still listen there?")]
    Unreachable {
        /// The address of the node.
        address: SocketAddr,
        /// The error of the connect.
        source: Arc<io::Error>,
    },
    /// The connection and the handshake took longer than this limit: see
    /// [`Node::handshake_timeout`](crate::cluster::Node::handshake_timeout).
    #[error("no handshake within {0:?}, the limit of `Node::handshake_timeout`")]
    TimedOut(Duration),
    /// The handshake failed.
    #[error("the handshake failed")]
    Handshake(#[from] HandshakeError),
    /// The attempt ended without a result: it was killed, or the node was stopped.
    #[error("the attempt to connect was stopped with its node, or killed: try again")]
    Stopped,
}
