//! What is built on servers and supervisors: state machines, events, agents, pools, pipelines.

#[path = "../support/mod.rs"]
mod support;

mod machines;
