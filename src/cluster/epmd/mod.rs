//! The client of EPMD, the Erlang port mapper daemon, with which the nodes of a host register their
//! ports. `codec` is its protocol as bytes, `client` the connections to it.

mod codec;
mod client;

pub(crate) use client::{Registration, look_up, register};
