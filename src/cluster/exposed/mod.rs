//! The servers that other nodes reach by typed calls and casts: `{'$gen_call', From, Request}` and
//! `{'$gen_cast', Message}` to an exposed name.
//!
//! **Uses** `server`, `runtime`, `reply`, `term`.
//! **Knows nothing of** connections: it gets the encoded request, and the address of the caller.
//!
//! A request is decoded by the process of its connection, since the mailbox of a server has values of
//! the server's types: so requests keep their order, and the bound of the mailbox counts them. Code of
//! the user, which is the `Deserialize` of these types, runs there under `catch_unwind`. A connection
//! never waits for a mailbox: what finds no room is refused.

mod request;
mod server;
mod servers;

pub(crate) use request::Request;
pub(crate) use server::ExposedServer;
pub(crate) use servers::ExposedServers;
