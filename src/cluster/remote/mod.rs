//! Processes of other nodes: their pids, the messages and signals to and from them, and the relations
//! with them.
//!
//! **Uses** `base`, `exit`, `message`, `kernel`, `runtime`, and `term`, `handshake` and `wire` of the
//! cluster.
//! **Knows nothing of** sockets and attempts to connect: a connection gives it the queue of its frames
//! and the signals that arrive, and is asked for by a [`Connector`](nodes::Connector).
//!
//! [`relations`] has the tables of the protocol, [`peer`] the way of a signal to another node, and
//! [`inbound`] the way back.

pub(crate) mod incarnation;
pub(crate) mod node_numbers;
pub(crate) mod local_node;
pub(crate) mod reason;
pub(crate) mod pid_terms;
mod node_pair;
pub(crate) mod signal;
pub(crate) mod call_table;
pub(crate) mod relations;
#[cfg(test)]
mod relations_tests;
mod connection_loss;
pub(crate) mod peer_connection;
pub(crate) mod peer;
mod peers;
mod watcher;
pub(crate) mod nodes;
pub(crate) mod connected;
pub(crate) mod offer;
mod send;
mod remote_name;
mod arguments;
pub(crate) mod inbound;
mod answers;

#[cfg(test)]
mod race_world;
#[cfg(test)]
mod races;

pub use reason::RemoteReason;
pub use remote_name::RemoteName;
