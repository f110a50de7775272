//! The connections of a node: a process for each attempt and each connection, and the server that
//! decides which attempt becomes the connection to a peer. [`competing_attempts`] has the states
//! and the tables.

pub(crate) mod competing_attempts;
pub(crate) mod settings;
mod node_events;
pub(crate) mod requests;
mod peer_entry;
pub(crate) mod net_kernel;
pub(crate) mod connector;
pub(crate) mod handshake_limit;
mod attempt;
mod byte_counts;
mod connected_loop;
mod router;
pub(crate) mod connection_process;
pub(crate) mod arrivals;
pub(crate) mod registration;
