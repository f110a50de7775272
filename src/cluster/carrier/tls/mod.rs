//! TLS in both directions: each side shows a certificate, and checks that of the other.
//!
//! **What is checked.** The chain of the other certificate ends at one of the authorities. And the
//! certificate is for the host of the node: the host in the name of the node that is dialed, or in
//! the name that an accepted node gives in its handshake. So a node that has lost its key can play
//! only nodes of its own host. The cookie is checked after that, as over TCP.
//!
//! **If the other side ends** during the handshake of TLS, or never finishes it: it is a part of the
//! attempt to connect, with its time limit and the bound of all handshakes.

mod error;
mod verifier;
mod config;
mod pem;

pub use config::Tls;
pub use error::TlsError;
