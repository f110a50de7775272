//! Nodes of an Erlang cluster. The peers are real nodes of Erlang, nodes of this crate, and raw sockets
//! that speak the protocol, or break it.
#![cfg(feature = "cluster")]
#![allow(clippy::unwrap_used)]

mod beam;
mod fake;
mod hostile;
mod node;
mod pairs;
