//! Calls and casts to servers of other nodes: typed ones, to servers of this crate and to those of
//! Erlang that speak the same terms, and untyped ones.
//!
//! **Uses** `call`, `runtime`, `server`, `remote`, `reply`, `term`.
//! **Knows nothing of** connections: `remote` connects, and keeps the [table of the calls]
//! (crate::cluster::remote::call_table).

mod remote_call;
mod untyped;
mod remote_server;

pub use remote_server::RemoteServer;
