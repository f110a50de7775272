// **Uses** `base`, `exit`, `message`, `call`, `runtime`, `child`, `server`, `supervisor`, `net`.
// **Knows nothing of** programs, observers and metrics.

//! Nodes of an Erlang cluster: processes of this program and processes on the BEAM reach each other
//! over the Erlang distribution protocol. Requires the feature `cluster`.
//!
//! A [`Node`] is a child of the program's tree. [`Runtime::node`](crate::Runtime::node) returns a
//! handle to another node.

mod node_name;
mod cookie;
mod term;
mod epmd;
mod handshake;
mod error;
mod resolver;
mod wire;
mod connection;
mod node;
mod node_ref;

pub use cookie::{Cookie, CookieError};
pub use error::NodeError;
pub use handshake::HandshakeError;
pub use node::Node;
pub use node_ref::NodeRef;
pub use resolver::Resolver;
pub use term::*;
