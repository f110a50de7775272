//! What connects two nodes: a stream of bytes in each direction. TCP, TLS over TCP, and a network of
//! the test program itself, without sockets.
//!
//! A carrier uses the resolver and the errors of nodes. It knows nothing of the messages that it
//! carries, but how long the prefix of a message of the handshake is.

mod stream;
#[cfg(feature = "cluster-tls")]
pub(crate) mod tls;
pub(crate) mod network;
mod kind;

pub(crate) use kind::{Arrived, Carrier};
pub(crate) use stream::Stream;
