//! Nodes of an Erlang cluster: terms, their bytes, and the values of Rust types that they stand for.
#![cfg(feature = "cluster")]

#[path = "../support/rng.rs"]
mod rng;

mod random_terms;
mod terms;
mod term_bytes;
mod hostile_bytes;
mod typed_terms;
mod corpus;
mod beam_terms;
