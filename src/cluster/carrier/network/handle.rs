//! [`Network`]: what a test holds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::Notify;

use crate::base::PlainMutex;
use crate::cluster::carrier::network::pairs::Pairs;

/// The capacity of one direction of a connection: the buffers of both sockets of a TCP connection,
/// as Linux has them by default for an idle connection.
const CAPACITY: usize = 256 * 1024;

/// A network without sockets, for tests: it connects the nodes of one program, each of which has a
/// runtime of its own. [`Node::network`](crate::cluster::Node::network) joins one.
///
/// Connections have the properties of TCP. The bytes of each direction arrive in order. At the
/// [capacity](Self::with_capacity) of a direction its writer waits. A cut is silent: the nodes find it by
/// their ticks, and what was sent before arrives after the [heal](Self::heal), unless a node has
/// given up the connection by then. An attempt to connect waits for the heal, too, up to its time
/// limit. A node that ends closes its connections, and its bytes arrive before their end.
///
/// The [delays](Self::delay) are drawn from the seed, and from the names of the two nodes. Bytes of
/// different pairs overtake each other. With tokio's paused clock, a test in a runtime of one thread
/// takes no time for delays and tick times, and repeats by its seed, as far as the processes of the
/// test do.
///
/// Nodes are named as in [`Node::new`](crate::cluster::Node::new). A fault may be set before its nodes
/// are started, and stays over their restarts. A clone is the same network.
///
/// OTP has no counterpart; its own tests use `peer` nodes and operating system processes.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::cluster::{Cookie, Network, Node};
/// use regrow::{Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let network = Network::new(7);
/// let node = |name| Node::new(name).cookie(Cookie::new("secret")).network(&network);
/// let (shop, till) = (Runtime::new(), Runtime::new());
/// let _shop = Supervisor::one_for_one().child(node("shop@one")).start(&shop).await?;
/// let _till = Supervisor::one_for_one().child(node("till@two")).start(&till).await?;
///
/// network.delay("shop@one", "till@two", Duration::from_millis(1)..=Duration::from_millis(30));
/// let there = till.node("shop@one");
/// there.connect().await?;
/// network.cut("shop@one", "till@two");
/// tokio::time::sleep(Duration::from_secs(90)).await; // the tick time is 60 s
/// assert!(!there.is_connected().await);
/// network.heal("shop@one", "till@two");
/// there.connect().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone)]
pub struct Network(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) capacity: usize,
    /// The bytes that were written.
    pub(super) sent: Arc<AtomicU64>,
    pub(super) pairs: PlainMutex<Pairs>,
    /// Wakes the attempts to connect that wait for a heal.
    pub(super) healed: Notify,
}

impl Network {
    /// Makes a network without delays and faults. [`Network`] has an example.
    pub fn new(seed: u64) -> Self {
        Network::with_capacity(seed, CAPACITY)
    }

    /// Makes a network whose connections hold at most this number of bytes in each direction, by
    /// default 256 KiB: what was written and not received yet. At the capacity a node's writer waits,
    /// as that of a TCP connection does, and the bytes wait in the node
    /// ([`Node::send_buffer`](crate::cluster::Node::send_buffer)).
    ///
    /// ```
    /// use regrow::cluster::Network;
    ///
    /// assert_eq!(Network::with_capacity(7, 1024).connections(), 0);
    /// ```
    ///
    /// # Panics
    ///
    /// If `bytes` is 0, because nothing could be sent.
    pub fn with_capacity(seed: u64, bytes: usize) -> Self {
        assert!(bytes > 0, "a connection holds at least one byte");
        let pairs = PlainMutex::new(Pairs::default());
        let (sent, healed) = (Arc::default(), Notify::new());
        Network(Arc::new(Shared { seed, capacity: bytes, sent, pairs, healed }))
    }

    /// Returns the number of bytes that the nodes have sent so far, on all connections.
    ///
    /// ```
    /// assert_eq!(regrow::cluster::Network::new(7).bytes_sent(), 0);
    /// ```
    pub fn bytes_sent(&self) -> u64 {
        self.0.sent.load(Relaxed)
    }

    /// Returns the number of connections that are open, or that only one of the two nodes has closed.
    /// [`with_capacity`](Self::with_capacity) has an example.
    pub fn connections(&self) -> usize {
        self.0.pairs.lock().open_connections()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("seed", &self.0.seed)
            .field("capacity", &self.0.capacity)
            .finish_non_exhaustive()
    }
}
