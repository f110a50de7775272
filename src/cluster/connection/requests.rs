//! The requests to the server of the connections, and the arguments of the server.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::{Pid, SharedStr};
use crate::call::Reply;
use crate::child::OnceChild;
use crate::cluster::connection::settings::Settings;
use crate::cluster::error::NodeError;
use crate::cluster::handshake::Status;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::nodes::{Connector, Wanted};
use crate::exit::Result;
use crate::net::Connections;

pub(crate) enum Call {
    /// From a user: answered when there is a connection, or no attempt is left.
    Connect { peer: NodeName, reply: Reply<Result<(), NodeError>> },
    /// From a user: ends the connection. The answer is whether there was one.
    Disconnect { peer: NodeName, reply: Reply<bool> },
    /// From a user.
    Connected(Reply<Vec<SharedStr>>),
    /// From an accepted connection.
    Settings(Reply<Arc<Settings>>),
    /// From an accepted connection whose peer has given its name.
    Claim { peer: NodeName, reply: Reply<Status> },
    /// From a dial.
    MaySendName { peer: NodeName, reply: Reply<bool> },
    /// From any attempt: the answer is whether the attempt has become the connection.
    Authenticated { peer: NodeName, reply: Reply<bool> },
}

pub(crate) enum Cast {
    /// From a dial.
    Failed { peer: NodeName, dial: Pid, error: NodeError },
    /// From signals that wait for a connection.
    Wanted(Wanted),
    /// From the server itself: the deadline of an attempt has passed.
    Overdue { peer: NodeName, deadline: Instant },
}

/// Makes the child that dials a peer, until a deadline.
pub(crate) type Dialer = Arc<dyn Fn(NodeName, Instant) -> OnceChild<()> + Send + Sync>;

/// The arguments of the server.
#[derive(Clone)]
pub(crate) struct NetKernelArgs {
    pub(crate) settings: Arc<Settings>,
    pub(crate) dialer: Dialer,
    /// Asks this server for connections.
    pub(crate) connector: Arc<dyn Connector>,
    /// The supervisor of the dials.
    pub(crate) dials: Connections,
}
