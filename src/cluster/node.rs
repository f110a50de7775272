//! [`Node`]: this program as a node of a cluster, as a child of its tree.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;
use tokio::net::TcpStream;

use crate::base::SharedStr;
use crate::base::random::identifying_number;
use crate::child::ChildSpec;
use crate::cluster::carrier::Carrier;
use crate::cluster::carrier::network::Network;
#[cfg(feature = "cluster-tls")]
use crate::cluster::carrier::tls::Tls;
use crate::cluster::connection::settings::Settings;
use crate::cluster::cookie::Cookie;
use crate::cluster::error::NodeError;
use crate::cluster::exposed::{ExposedServer, ExposedServers};
use crate::cluster::handshake::Local;
use crate::cluster::node_name::NodeName;
use crate::cluster::node_tree::{listener, tree};
use crate::cluster::remote::local_node::PidTags;
use crate::cluster::resolver::Resolver;
use crate::cluster::rpc::Functions;
use crate::cluster::term::Atom;
use crate::exit::{ExitReason, Result};
use crate::net::{ListenerAddress, ListenerSpec};
use crate::server::{GenServer, ServerName};
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
/// | [`tls`](Self::tls), with the feature `cluster-tls` | no encryption |
/// | [`network`](Self::network) | the network of the machine |
/// | [`tick_time`](Self::tick_time) | 60 s |
/// | [`handshake_timeout`](Self::handshake_timeout) | 7 s |
/// | [`max_frame`](Self::max_frame) | 128 MiB |
/// | [`send_buffer`](Self::send_buffer) | 64 MiB for each other node |
/// | [`max_relations`](Self::max_relations) | 262,144 links and monitors of each other node |
/// | [`allow_remote_kill`](Self::allow_remote_kill) | refused |
/// | [`expose`](Self::expose), [`function`](Self::function) | nothing can be called |
/// | [`groups`](Self::groups) | groups are not shared |
///
/// The node is *hidden*: other nodes have it in `nodes(hidden)`, and it doesn't connect to all nodes
/// of the cluster by itself. A runtime can have one node, because its server has the name
/// `"net_kernel"`.
///
/// **What other nodes reach.**
///
/// | they | reach |
/// |---|---|
/// | ping (`net_adm:ping/1`) | an answer |
/// | call or cast (`gen_server:call/2`, `GenServer.cast/2`) | the servers that are [exposed](Self::expose), by name or by pid, as typed messages |
/// | call a function (`rpc`, `erpc`) | the [functions](Self::function) that are listed |
/// | use groups (`pg`) | those of the scope that [`groups`](Self::groups) sets |
/// | publish events | the topics that have a [relay](crate::cluster::TopicRelay) |
/// | send, link, monitor, or signal an exit | every process, by its registered name or by a pid that this node has given: to guess one costs the connection |
///
/// Any other message, also a call to a server that is not exposed, reaches a process as a
/// [`Received::Term`](crate::Received::Term). The term is not checked before: a decode may fail, because
/// the other node has sent nonsense or more than the limits of the decode allow. A kill is refused,
/// unless [`allow_remote_kill`](Self::allow_remote_kill) is set.
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
/// Without [`tls`](Self::tls), what follows the handshake is neither encrypted nor signed, so by
/// default the node listens and connects only on this machine. With it, a node also needs a
/// certificate of the authorities before the cookie is asked for, and a node that doesn't use TLS is
/// refused. EPMD is neither encrypted nor authenticated: with TLS it can name a wrong port, and no
/// more.
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
    pid_tags: PidTags,
    cookie: Option<Cookie>,
    resolver: Resolver,
    address: SocketAddr,
    carrier: Carrier,
    tick_time: Duration,
    handshake_limit: Duration,
    longest_frame: usize,
    send_limit: usize,
    most_relations: usize,
    allows_kill: bool,
    groups: Option<SharedStr>,
    listener: ListenerSpec<TcpStream>,
    exposed: ExposedServers,
    functions: Functions,
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
            pid_tags: PidTags::default(),
            cookie: None,
            resolver: Resolver::epmd(),
            address,
            carrier: Carrier::Tcp { allows_plaintext: false },
            tick_time: TICK_TIME,
            handshake_limit: HANDSHAKE_LIMIT,
            longest_frame: LONGEST_FRAME,
            send_limit: SEND_LIMIT,
            most_relations: MOST_RELATIONS,
            allows_kill: false,
            groups: None,
            listener: listener(address),
            exposed: ExposedServers::default(),
            functions: Functions::default(),
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
    /// fails for an address that is not one of this machine's loopback, unless [`tls`](Self::tls) or
    /// [`allow_plaintext`](Self::allow_plaintext) is set. The port stays open while the node is
    /// restarted.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = address.into();
        self.listener = listener(self.address);
        self
    }

    /// Allows connections over a network, without encryption. Everyone who can read the network
    /// reads all messages, and can change them. So this is for a network that no one else uses.
    /// Replaces [`tls`](Self::tls) and [`network`](Self::network).
    pub fn allow_plaintext(mut self) -> Self {
        self.carrier = Carrier::Tcp { allows_plaintext: true };
        self
    }

    /// Encrypts all connections, and demands a certificate of each other node: [`Tls`] says what is
    /// checked, and has an example. Nodes that don't use TLS are refused, also those of this machine.
    /// Replaces [`allow_plaintext`](Self::allow_plaintext) and [`network`](Self::network). Requires
    /// the feature `cluster-tls`. OTP: `-proto_dist inet_tls`.
    #[cfg(feature = "cluster-tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cluster-tls")))]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.carrier = Carrier::Tls(tls);
        self
    }

    /// Connects the node to a network of this program, for tests: it opens no port, and the
    /// [`resolver`](Self::resolver) is not used. Replaces [`tls`](Self::tls) and
    /// [`allow_plaintext`](Self::allow_plaintext). [`Network`] has an example.
    pub fn network(mut self, network: &Network) -> Self {
        self.carrier = Carrier::Network(network.clone());
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
    /// because a message that is left out would break the order of those behind it. The longest message
    /// that waits doesn't count, and the message that exceeds the limit is the first that is refused: so at
    /// most the limit and two of the longest messages are kept. No sender ever waits. Events of
    /// [shared topics](crate::cluster::TopicRelay) take at most half of it. OTP has `+zdbbl`, the limit above which senders are suspended.
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_limit = bytes;
        self
    }

    /// Lets other nodes call the server that holds this name, and send it casts. The server's calls and
    /// casts are types of serde; its answers have to be [`Serialize`]. Nothing else changes for the
    /// server: local callers, other programs with this crate
    /// ([`RemoteServer`](crate::cluster::RemoteServer), which has an example), and Erlang and Elixir
    /// reach the same one.
    ///
    /// | in Rust | the request in Erlang | in Elixir |
    /// |---|---|---|
    /// | `Size(Reply<usize>)` | `size` | `:size` |
    /// | `Get { key: String, reply: Reply<String> }` | `{get, <<"milk">>}` | `{:get, "milk"}` |
    /// | `Put(String, u32, Reply<()>)` | `{put, <<"milk">>, 2}` | `{:put, "milk", 2}` |
    /// | a struct `Get` with these fields | `#{key => <<"milk">>}` | `%{key: "milk"}` |
    /// | `Reply<usize>` alone | any atom | any atom |
    ///
    /// The reply has no term, and may stand anywhere in its call, but for lists, options, untagged
    /// variants without names, and variants whose tag is a field of its own. A call has exactly one
    /// reply. Types with borrowed parts, such as `&'static str`, are no types of exposed messages. A
    /// generic server may need `#[serde(bound = "…")]`.
    ///
    /// **The caller's end of a call that has no answer.** A call that can't be decoded, that finds no
    /// room, whose reply is dropped or whose answer has no term is refused: its caller gets the `DOWN`
    /// of its monitor, as if the server had ended, and so exits at once. The reason is a pair of
    /// `bad_request`, `overloaded`, `no_reply` or `bad_answer` and a text. If the server ends, its true
    /// reason arrives. Code that calls by hand, without a monitor, and `gen_server:multi_call` of OTP
    /// 25 run into their own time limits instead.
    ///
    /// A message that can't be decoded is logged without its content, and is a
    /// [dead letter](crate::Runtime::dead_letters). The connection of the other node decodes the
    /// messages, so a `Deserialize` of your own that takes long delays its other messages; one that
    /// panics is caught. How long a caller at another node waits is not known here, so
    /// [`Reply::deadline`](crate::Reply::deadline) has no limit.
    ///
    /// OTP has no counterpart: every process can be called by all nodes.
    pub fn expose<S: GenServer>(mut self, name: impl Into<ServerName<S>>) -> Self
    where
        S::Call: DeserializeOwned,
        S::Cast: DeserializeOwned,
    {
        self.exposed.add(ExposedServer::calls(name.into()).with_casts());
        self
    }

    /// [Exposes](Self::expose) the calls of a server. Casts to it are refused, so the type of the
    /// casts need not be one of serde.
    pub fn expose_calls<S: GenServer>(mut self, name: impl Into<ServerName<S>>) -> Self
    where
        S::Call: DeserializeOwned,
    {
        self.exposed.add(ExposedServer::calls(name.into()));
        self
    }

    /// Lets other nodes call a function, by `rpc` and `erpc` of OTP:
    /// `erpc:call('rust@127.0.0.1', shop, price, [<<"milk">>, 3])`. The arguments are a tuple with as
    /// many elements as the list has; `()` for none.
    ///
    /// Each call runs as a process of its own, a temporary child of the node: one that panics, hangs or
    /// is killed concerns its own caller only. Nothing ends a function whose caller has gone. At most
    /// 4,096 run at once for each other node, and no further one starts while the arguments of
    /// those that run have as many bytes as [`max_frame`](Self::max_frame). What is not listed is undefined for other nodes (`undef`), and any other
    /// request of a process (`spawn/4`) is refused with `notsup`.
    ///
    /// | the function | `rpc:call` returns | `erpc:call` |
    /// |---|---|---|
    /// | returns a value | the value | returns the value |
    /// | panics | `{badrpc,{'EXIT',{{panic,Text},Stack}}}` | fails with `{exception,{panic,Text},Stack}` |
    /// | can't be called with these arguments | `bad_arguments` in the place of `panic` | the same |
    /// | returns a value without a term | `bad_answer` in its place | the same |
    ///
    /// ```no_run
    /// use regrow::cluster::{Cookie, Node};
    ///
    /// let node = Node::new("rust@127.0.0.1")
    ///     .cookie(Cookie::from_env("CLUSTER_COOKIE")?)
    ///     .function("shop", "price", async |(name, count): (String, u32)| {
    ///         if name == "milk" { Ok(count * 2) } else { Err("not sold here") }
    ///     });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn function<A, F, Fut>(
        mut self,
        module: impl Into<String>,
        name: impl Into<String>,
        function: F,
    ) -> Self
    where
        A: DeserializeOwned,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Serialize> + Send + 'static,
    {
        self.functions.add(module.into(), name.into(), function);
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
            pid_tags: self.pid_tags.clone(),
            resolver: self.resolver.clone(),
            tick_time: self.tick_time,
            handshake_limit: self.handshake_limit,
            longest_frame: self.longest_frame,
            send_limit: self.send_limit,
            most_relations: self.most_relations,
            allows_kill: self.allows_kill,
            carrier: self.carrier.clone(),
            exposed: self.exposed.clone(),
            functions: self.functions.clone(),
            groups: self.groups.clone(),
        };
        settings.carrier.check_address(self.address)?;
        let is_invalid = |scope: &&SharedStr| scope.is_empty() || Atom::new(scope).is_err();
        if let Some(scope) = self.groups.as_ref().filter(is_invalid) {
            return Err(NodeError::InvalidScope(scope.to_string()));
        }
        Ok(settings)
    }

    fn tree(&self) -> Result<SupervisorSpec, NodeError> {
        let settings = Arc::new(self.settings()?);
        Ok(tree(&settings, self.address.ip(), &self.listener))
    }
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
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}
