//! [`Node`]: this program as a node of a cluster, as a child of its tree.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::base::SharedStr;
use crate::base::random::identifying_number;
use crate::child::{ChildSpec, TaskContext};
use crate::cluster::connection::connector::ByServer;
use crate::cluster::connection::handshakes::Handshakes;
use crate::cluster::connection::net_kernel::{NET_KERNEL, NetKernel};
use crate::cluster::connection::process::{accepted, dialer};
use crate::cluster::connection::registration::RegistrationStart;
use crate::cluster::connection::requests::NetKernelArgs;
use crate::cluster::connection::settings::Settings;
use crate::cluster::cookie::Cookie;
use crate::cluster::error::NodeError;
use crate::cluster::handshake::Local;
use crate::cluster::node_name::NodeName;
use crate::cluster::pg::scope::{Scope, ScopeArgs};
use crate::cluster::resolver::Resolver;
use crate::cluster::term::Atom;
use crate::exit::{ExitReason, Result};
use crate::net::{Connections, ListenerAddress, ListenerSpec};
use crate::server::GenServer;
use crate::supervisor::{Supervisor, SupervisorContext, SupervisorSpec};

/// The tick time of OTP.
const TICK_TIME: Duration = Duration::from_secs(60);
/// The time of a handshake of OTP.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(7);
/// The maximum length of a frame.
const LONGEST_FRAME: usize = 128 << 20;
/// The bytes that may wait for one peer.
const SEND_LIMIT: usize = 64 << 20;
/// The links and monitors that each other node may have.
const MOST_RELATIONS: usize = 1 << 18;
/// The smallest creation: smaller numbers were those of nodes with creations of two bits.
const FIRST_CREATION: u32 = 4;

/// This program as a node of an Erlang cluster. It is a child of any supervisor: nodes of Erlang and
/// Elixir, and other programs with this crate, connect to it and are connected to.
///
/// | setting | default |
/// |---|---|
/// | [`cookie`](Self::cookie) | none: it has to be set |
/// | [`resolver`](Self::resolver) | [`Resolver::epmd`] |
/// | [`listen`](Self::listen) | a free port of 127.0.0.1 |
/// | [`allow_plaintext`](Self::allow_plaintext) | only addresses of this machine |
/// | [`tick_time`](Self::tick_time) | 60 s |
/// | [`handshake_timeout`](Self::handshake_timeout) | 7 s |
/// | [`max_frame`](Self::max_frame) | 128 MiB |
/// | [`send_buffer`](Self::send_buffer) | 64 MiB for each other node |
/// | [`max_relations`](Self::max_relations) | 262,144 links and monitors of each other node |
/// | [`allow_remote_kill`](Self::allow_remote_kill) | refused |
/// | [`groups`](Self::groups) | groups are not shared |
///
/// The node is *hidden*: other nodes have it in `nodes(hidden)`, and it doesn't connect to all nodes
/// of the cluster by itself. A runtime can have one node, because its server has the name
/// `"net_kernel"`.
///
/// **What other nodes reach.** `net_adm:ping/1` is answered. A message to a name
/// (`{kv, 'rust@127.0.0.1'} ! Message`) reaches the process that holds the name in this runtime, and
/// one to a pid that was sent to another node reaches the process, as a
/// [`Received::Term`](crate::Received::Term). Links, monitors and exit signals reach the same
/// processes. A kill is refused, unless [`allow_remote_kill`](Self::allow_remote_kill) is set. Groups
/// are shared if [`groups`](Self::groups) is set.
///
/// **What is reached at other nodes.** [`Runtime::pid_of`](crate::Runtime::pid_of) returns the pid of a
/// process of another node, and [`NodeRef::process`](crate::cluster::NodeRef::process) a name there.
/// Everything has the local meaning. If the connection is lost, each link and each monitor gets
/// [`NoConnection`](crate::ExitReason::NoConnection), once.
///
/// **Connections.** [`Runtime::node`](crate::Runtime::node) connects;
/// [`Runtime::monitor_nodes`](crate::Runtime::monitor_nodes) reports connections and their losses.
/// A signal to a node that is not connected connects as well, and waits for the connection. When both
/// nodes connect at once, one connection remains. The loss of a connection is no crash: the next use
/// connects again. A crash of the node's processes closes its connections, and its
/// supervisor starts it again.
///
/// **Security.** A node that doesn't know the cookie gets nothing but the messages of a handshake.
/// What follows the handshake is neither encrypted nor signed, so by default the node listens and
/// connects only on this machine.
///
/// OTP: the processes of `net_sup`.
///
/// # Examples
///
/// ```no_run
/// use regrow::cluster::{Cookie, Node};
/// use regrow::{Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let node = Node::new("rust@127.0.0.1").cookie(Cookie::from_env("CLUSTER_COOKIE")?);
/// let tree = Supervisor::one_for_one().child(node).start(&rt).await?;
/// rt.node("shop@127.0.0.1").connect().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "it does nothing until a supervisor is given it"]
pub struct Node {
    name: String,
    creation: u32,
    cookie: Option<Cookie>,
    resolver: Resolver,
    address: SocketAddr,
    allows_plaintext: bool,
    tick_time: Duration,
    handshake_limit: Duration,
    longest_frame: usize,
    send_limit: usize,
    most_relations: usize,
    allows_kill: bool,
    groups: Option<SharedStr>,
    listener: ListenerSpec<TcpStream>,
}

impl Node {
    /// Makes a node with this name, `alive@host`. The host is the part of the name by which other
    /// nodes find this machine. [`Node`] has an example.
    pub fn new(name: impl Into<String>) -> Self {
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        Node {
            name: name.into(),
            // Pids that were sent to other nodes stay valid when the node is restarted, because
            // their processes go on. So the creation belongs to the node of this value.
            creation: u32::try_from(identifying_number() & 0xffff_ffff)
                .unwrap_or_default()
                .max(FIRST_CREATION),
            cookie: None,
            resolver: Resolver::epmd(),
            address,
            allows_plaintext: false,
            tick_time: TICK_TIME,
            handshake_limit: HANDSHAKE_LIMIT,
            longest_frame: LONGEST_FRAME,
            send_limit: SEND_LIMIT,
            most_relations: MOST_RELATIONS,
            allows_kill: false,
            groups: None,
            listener: listener(address),
        }
    }

    /// Sets the cookie, which all nodes of a cluster share. Without a cookie, or with an empty
    /// one, the start fails.
    /// [`Node`] has an example.
    pub fn cookie(mut self, cookie: Cookie) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// Sets how this node finds others, and whether it is registered with EPMD.
    /// [`NodeRef`](crate::cluster::NodeRef) has an example.
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets the address that the node listens at, by default a free port of 127.0.0.1. The start
    /// fails for an address that is not one of this machine's loopback, unless
    /// [`allow_plaintext`](Self::allow_plaintext) is set. The port stays open while the node is
    /// restarted.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = address.into();
        self.listener = listener(self.address);
        self
    }

    /// Allows connections over a network, without encryption. Everyone who can read the network
    /// reads all messages, and can change them. So this is for a network that no one else uses.
    pub fn allow_plaintext(mut self) -> Self {
        self.allows_plaintext = true;
        self
    }

    /// Sets the tick time. Each node shows four times in this time that it lives; a node that shows
    /// nothing for this time, give or take a quarter, is lost. So is a node that reads nothing for
    /// this time although bytes wait for it. All nodes of a cluster should have the same. OTP:
    /// `net_ticktime`.
    pub fn tick_time(mut self, time: Duration) -> Self {
        self.tick_time = time;
        self
    }

    /// Sets the time limit of an attempt to connect, with its handshake, for both sides. OTP:
    /// `net_setuptime`.
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake_limit = limit;
        self
    }

    /// Sets the maximum length of a message from another node, in bytes. A node that sends a longer
    /// one loses its connection, before the message is read.
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.longest_frame = bytes;
        self
    }

    /// Sets how many bytes may wait for each other node. If more wait, the connection is closed,
    /// because a message that is left out would break the order of those behind it. No sender ever
    /// waits. OTP has `+zdbbl`, the limit above which senders are suspended.
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_limit = bytes;
        self
    }

    /// Sets how many links and monitors the processes of each other node may have here. If there are
    /// more, the connection is closed. As many memberships in [`groups`](Self::groups) are possible.
    pub fn max_relations(mut self, count: usize) -> Self {
        self.most_relations = count;
        self
    }

    /// Allows other nodes to [kill](crate::Runtime::kill) processes. By default, their exit signals with the
    /// reason `kill` have no effect, and are logged. Other exit signals have their effect, and can be
    /// trapped.
    pub fn allow_remote_kill(mut self) -> Self {
        self.allows_kill = true;
        self
    }

    /// Shares the groups of the runtime with the nodes of a cluster that take part in this scope of
    /// `pg`; the scope that OTP starts is `"pg"`. From then on, `pg:get_members/1` on those nodes
    /// returns the members here too, and [`Runtime::whereis_tag`](crate::Runtime::whereis_tag) and
    /// [`Runtime::monitor_group`](crate::Runtime::monitor_group) those that are there. OTP:
    /// `pg:start_link/1`.
    ///
    /// *Names.* A group whose name is `"room 42"` is `<<"room 42">>` in Erlang and `"room 42"` in
    /// Elixir. A group whose name begins with a colon, such as `":workers"`, is the atom `workers`,
    /// or `:workers`. Names that a program makes up without end should be texts without a colon: a
    /// node of Erlang never frees an atom. Groups of Erlang with other terms as names are not shown
    /// here. Groups here whose names have more than 255 bytes, or begin with `"regrow."`, are not
    /// shared.
    ///
    /// *Members.* The pid of a member at another node is [foreign](crate::Pid::is_foreign).
    /// [`Runtime::send_term`](crate::Runtime::send_term) reaches members of both kinds;
    /// [`send`](crate::Runtime::send) and [`kill_tag`](crate::Runtime::kill_tag) only those of this
    /// runtime. A member that has joined several times at its node is there once, until it has left
    /// as often. Members of a node leave when its connection or its scope is lost: each is reported
    /// to the monitors of the group once, and joins again when the node is back.
    ///
    /// *Order.* Changes of one node's members arrive at another in the order in which they happened.
    /// Those of different nodes may be seen in different orders by different nodes, as in OTP. A
    /// member that ends is there until its node has said so.
    ///
    /// *Security.* All nodes that know the cookie learn the names of all groups and the pids of
    /// their members. If a node has more memberships than [`max_relations`](Self::max_relations)
    /// allows, all its members are removed, and it is ignored until it is back. Members that are
    /// processes of a third node are left out.
    ///
    /// The scope is a process of the node, and has the scope's name. So the node does not start if
    /// another process has that name, if the name is empty, or if it has more than 255 characters.
    ///
    /// ```
    /// use regrow::cluster::{Cookie, Node, Resolver};
    /// use regrow::{Context, Received, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// // Two nodes in one program, without EPMD.
    /// let (shop, till) = (Runtime::new(), Runtime::new());
    /// let node = |name, resolver| {
    ///     Node::new(name).cookie(Cookie::new("secret")).resolver(resolver).groups("pg")
    /// };
    /// let listening = node("shop@127.0.0.1", Resolver::without_epmd());
    /// let address = listening.address();
    /// let _shop = Supervisor::one_for_one().child(listening).start(&shop).await?;
    /// let resolver = Resolver::without_epmd().node("shop@127.0.0.1", address.get().unwrap());
    /// let _till = Supervisor::one_for_one().child(node("till@127.0.0.1", resolver)).start(&till).await?;
    ///
    /// let watcher = till.spawn(|mut ctx: Context| async move {
    ///     let (_, members) = ctx.runtime().monitor_group(ctx.pid(), "prices");
    ///     assert!(members.is_empty());
    ///     ctx.runtime().node("shop@127.0.0.1").connect().await.unwrap();
    ///     let Received::Group { pid, .. } = ctx.recv().await else { panic!() };
    ///     assert!(pid.is_foreign());
    /// });
    /// let prices = shop.spawn(|_| std::future::pending());
    /// shop.register_tag("prices", prices.pid());
    /// assert!(!watcher.join().await.is_abnormal());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn groups(mut self, scope: impl Into<String>) -> Self {
        self.groups = Some(scope.into().into());
        self
    }

    /// Returns a handle to the address that the node listens at. Call it after
    /// [`listen`](Self::listen). [`NodeRef`](crate::cluster::NodeRef) has an example.
    pub fn address(&self) -> ListenerAddress {
        self.listener.address()
    }

    /// Checks the settings.
    fn settings(&self) -> Result<Settings, NodeError> {
        let name = NodeName::parse(&self.name);
        let name = name.ok_or_else(|| NodeError::InvalidName(self.name.clone()))?;
        let cookie =
            self.cookie.clone().filter(|cookie| !cookie.is_empty()).ok_or(NodeError::NoCookie)?;
        let settings = Settings {
            local: Local { name, creation: self.creation, cookie },
            resolver: self.resolver.clone(),
            tick_time: self.tick_time,
            handshake_limit: self.handshake_limit,
            longest_frame: self.longest_frame,
            send_limit: self.send_limit,
            most_relations: self.most_relations,
            allows_kill: self.allows_kill,
            allows_plaintext: self.allows_plaintext,
            groups: self.groups.clone(),
        };
        settings.check_address(self.address)?;
        let is_invalid = |scope: &&SharedStr| scope.is_empty() || Atom::new(scope).is_err();
        if let Some(scope) = self.groups.as_ref().filter(is_invalid) {
            return Err(NodeError::InvalidScope(scope.to_string()));
        }
        Ok(settings)
    }

    /// Returns the processes of the node. Each uses those before it.
    fn tree(&self) -> Result<SupervisorSpec, NodeError> {
        let settings = Arc::new(self.settings()?);
        let (own, dials) = (settings.clone(), Connections::default());
        let args = NetKernelArgs {
            settings: settings.clone(),
            dialer: Arc::new(move |peer, deadline| dialer(own.clone(), peer, deadline)),
            connector: Arc::new(ByServer),
            dials: dials.clone(),
        };
        let tree = Supervisor::rest_for_one()
            .child(NetKernel::child(args).with_id("net_kernel").named(NET_KERNEL.as_str()))
            .child(dials.child().with_id("dials"))
            .child(self.listener.clone());
        let tree = match settings.resolver.own_epmd() {
            Some(epmd) => {
                let name = settings.local.name.clone();
                let start = RegistrationStart { epmd, name, listener: self.address() };
                tree.child(ChildSpec::new("epmd", start))
            }
            None => tree,
        };
        // The last one, since no other process of the node is restarted with it.
        let Some(scope) = settings.groups.clone() else { return Ok(tree) };
        let name = scope.to_string();
        let args = ScopeArgs { name: scope, most_members: settings.most_relations };
        Ok(tree.child(Scope::child(args).with_id("groups").named(name)))
    }
}

fn listener(address: SocketAddr) -> ListenerSpec<TcpStream> {
    let handshakes = Handshakes::default();
    ChildSpec::tcp_listener("listener", address, async move |ctx: TaskContext, stream, peer| {
        accepted(&ctx, (stream, peer), &handshakes).await
    })
}

impl From<Node> for ChildSpec {
    fn from(node: Node) -> Self {
        let id = node.name.clone();
        let tree = Supervisor::with_init(async move |_: SupervisorContext| {
            node.tree().map_err(ExitReason::from_library)
        });
        ChildSpec::from(tree).with_id(id)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.name)
            .field("resolver", &self.resolver)
            .field("listen", &self.address)
            .field("allow_plaintext", &self.allows_plaintext)
            .finish_non_exhaustive()
    }
}
