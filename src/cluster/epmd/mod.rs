//! EPMD, the Erlang port mapper daemon, with which the nodes of a host register their ports. `codec` is
//! its protocol as bytes and `client` the connections to it; `responder` is an own daemon, for a machine
//! that has none, with its `requests`, `names` and `clients`.

mod codec;
mod client;
mod requests;
mod names;
mod clients;
mod responder;

pub(crate) use client::{Registration, look_up, register};
pub(crate) use responder::ResponderStart;
