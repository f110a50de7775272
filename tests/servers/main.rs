//! Servers: casts, bounds, time, ends, registries, and the test kit.

#[path = "../support/mod.rs"]
mod support;

mod servers;
mod server_starts;
mod default_handlers;
mod server_time;
mod server_idle_wait;
mod server_sys;
mod server_peek;
mod server_trace;
mod idle_after;
mod server_tracking;
mod server_slow;
mod server_bounds;
mod server_bounds_inside;
mod server_stopping;
mod server_drain;
mod server_cast_timeout;
mod server_promises;
mod server_ends;
mod server_end_table;
mod server_stress;
mod registry;
mod registry_keys;
mod keyed_servers;
mod keyed_stress;
mod testing;
mod test_kit;
