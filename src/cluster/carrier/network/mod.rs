//! A network without sockets, for tests: the nodes of one program, each in a runtime of its own.
//!
//! [`pipe`] is one connection, [`pairs`] what is known of each pair of nodes, [`network`] the value
//! that a test holds, [`faults`] what a test does with it, and [`connections`] how nodes connect.
//! The network is locked before one of its pipes, and no waker runs under either lock.

mod line;
mod pipe;
mod pairs;
mod network;
mod faults;
mod connections;

pub use network::Network;
