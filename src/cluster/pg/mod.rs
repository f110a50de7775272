//! The groups of a runtime and those of `pg` scopes on other nodes, as one.
//!
//! **Uses** `base`, `exit`, `message`, `kernel`, `server`, and `term` and `remote` of the cluster.
//! **Knows nothing of** connections and attempts to connect: it uses a connection that exists, and
//! never begins one.
//!
//! [`message`] has the terms of the protocol, [`members`] what another scope has published, and
//! [`scope`] the process that speaks for this node.

mod name;
mod members;
mod message;
mod greeting;
mod published;
pub(crate) mod scope;
#[cfg(test)]
mod tests;

pub(crate) use greeting::greet;
