//! Nodes of an Erlang cluster: terms, their bytes, and the values of Rust types that they stand for;
//! nodes with peers that are nodes of Erlang, nodes of this crate, and raw sockets that speak the
//! protocol, or break it.
#![cfg(feature = "cluster")]

#[path = "../support/rng.rs"]
mod rng;
#[path = "../support/log.rs"]
#[allow(dead_code)] // other programs use all of it
mod log;
#[path = "../support/erlang.rs"]
mod erlang;

mod random_terms;
mod terms;
mod term_bytes;
mod hostile_bytes;
mod typed_terms;
mod corpus;
mod errors;
mod beam_terms;
mod beam;
mod fake;
mod pairs;
mod node;
mod received_calls;
mod left_callers;
mod kv;
mod remote_calls;
mod machines;
mod beam_calls;
mod functions;
mod signals_beam;
mod signals;
mod signal_races;
mod waiting_signals;
mod security;
mod own_epmd;
mod network;
mod simulation;
mod order;
mod conformance;
mod pg;
mod pg_beam;
mod topics;
mod acceptance;
mod acceptance_load;
