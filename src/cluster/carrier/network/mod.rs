//! A network without sockets, for tests: the nodes of one program, each in a runtime of its own.
//!
//! [`pipe`] is one connection with its two [`ends`], [`pairs`] what is known of each pair of nodes, [`handle`] the value
//! that a test holds, [`faults`] what a test does with it, and [`connections`] how nodes connect.
//! The network is locked before one of its pipes, and no waker runs under either lock.

mod line;
mod pipe;
mod ends;
mod pairs;
mod handle;
mod faults;
mod connections;

pub use handle::Network;
