//! Other nodes, as a runtime reaches them.

use crate::base::{SharedStr, consume_budget};
use crate::cluster::calls::RemoteServer;
use crate::cluster::connection::net_kernel::NET_KERNEL;
use crate::cluster::connection::requests::Call;
use crate::cluster::error::NodeError;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::RemoteName;
use crate::runtime::{CallError, Runtime};
use crate::server::{GenServer, ServerName};

/// A handle to another node. [`Runtime::node`] returns one. The node need not exist: each method
/// looks at the connections of the [`Node`](crate::cluster::Node) that runs in the runtime.
///
/// # Examples
///
/// ```
/// use regrow::cluster::{Cookie, Node, Resolver};
/// use regrow::{Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// // Two nodes in one program, without EPMD.
/// let (shop, till) = (Runtime::new(), Runtime::new());
/// let node = |name, resolver| Node::new(name).cookie(Cookie::new("secret")).resolver(resolver);
/// let listening = node("shop@127.0.0.1", Resolver::without_epmd());
/// let address = listening.address();
/// let _shop = Supervisor::one_for_one().child(listening).start(&shop).await?;
///
/// let resolver = Resolver::without_epmd().node("shop@127.0.0.1", address.get().unwrap());
/// let _till = Supervisor::one_for_one().child(node("till@127.0.0.1", resolver)).start(&till).await?;
/// let there = till.node("shop@127.0.0.1");
/// there.connect().await?;
/// assert!(there.is_connected().await);
/// assert_eq!(shop.connected_nodes().await, ["till@127.0.0.1"]);
/// assert!(there.disconnect().await);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct NodeRef {
    runtime: Runtime,
    name: SharedStr,
}

impl Runtime {
    /// Returns a handle to another node. Nothing is connected. [`NodeRef`] has an example.
    pub fn node(&self, name: impl Into<String>) -> NodeRef {
        NodeRef { runtime: self.clone(), name: name.into().into() }
    }

    /// Returns the names of the nodes that the [`Node`](crate::cluster::Node) of this runtime has
    /// connections to, in unspecified order; none if no node runs. OTP: `nodes(connected)`.
    /// [`NodeRef`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn connected_nodes(&self) -> Vec<SharedStr> {
        self.server(NET_KERNEL).call_unlimited(Call::Connected).await.unwrap_or_default()
    }
}

impl NodeRef {
    /// Returns the name of the node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a typed handle to the server that holds a name at this node. Nothing is sent.
    /// [`RemoteServer`] has an example.
    pub fn server<S: GenServer>(&self, name: impl Into<ServerName<S>>) -> RemoteServer<S> {
        let name = name.into().text;
        RemoteServer::new(RemoteName::new(self.runtime.clone(), self.name.clone(), name))
    }

    /// Returns a name of a process at this node. Nothing is sent.
    /// [`RemoteName`] has an example.
    pub fn process(&self, name: impl Into<String>) -> RemoteName {
        RemoteName::new(self.runtime.clone(), self.name.clone(), name.into().into())
    }

    /// Waits for a connection: returns at once if there is one, and otherwise connects. Calls at the
    /// same time wait for the same attempt. A node is always connected to itself. OTP:
    /// `net_kernel:connect_node/1`. [`NodeRef`] has an example.
    ///
    /// # Errors
    ///
    /// [`NodeError`] says why there is no connection. An attempt takes at most the
    /// [`handshake_timeout`](crate::cluster::Node::handshake_timeout) of the node.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the attempt goes on without its caller.
    pub async fn connect(&self) -> Result<(), NodeError> {
        consume_budget().await;
        let peer = self.parsed()?;
        let asked = self.runtime.server(NET_KERNEL);
        match asked.call_unlimited(|reply| Call::Connect { peer, reply }).await {
            Ok(result) => result,
            Err(CallError::Exited(_) | CallError::NoReply) => Err(NodeError::Stopped),
            Err(_) => Err(NodeError::NotRunning),
        }
    }

    /// Whether there is a connection now. [`NodeRef`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn is_connected(&self) -> bool {
        self.runtime.connected_nodes().await.contains(&self.name)
    }

    /// Asks the connection to end; false if there is none. The subscribers of
    /// [`Runtime::monitor_nodes`] are notified when it has ended. Each side may connect again. OTP:
    /// `erlang:disconnect_node/1`. [`NodeRef`] has an example.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may still end the connection.
    pub async fn disconnect(&self) -> bool {
        consume_budget().await;
        let Ok(peer) = self.parsed() else { return false };
        let asked = self.runtime.server(NET_KERNEL);
        let asked = asked.call_unlimited(|reply| Call::Disconnect { peer, reply });
        asked.await.unwrap_or(false)
    }

    fn parsed(&self) -> Result<NodeName, NodeError> {
        let invalid = || NodeError::InvalidName(self.name.to_string());
        NodeName::parse(&self.name).ok_or_else(invalid)
    }
}
