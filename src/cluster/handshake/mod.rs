//! The handshake: two nodes exchange their names and features, and show each other that they know
//! the same cookie. The states of both sides are values without input and output: they take messages
//! and return what is to be written.
//!
//! Nothing here knows sockets, and the other connections of the node.

pub(crate) mod flags;
mod error;
pub(crate) mod message;
mod local;
pub(crate) mod initiator;
pub(crate) mod acceptor;

pub(crate) use acceptor::Acceptor;
pub use error::HandshakeError;
pub(crate) use flags::Flags;
pub(crate) use initiator::Initiator;
pub(crate) use local::{Local, Session};
pub(crate) use message::{LONGEST_MESSAGE, Status};

#[cfg(test)]
mod tests;
