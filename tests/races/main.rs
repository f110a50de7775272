//! Races on real threads. With `--cfg regrow_proof`, threads lose time at the failpoints.

#[path = "../support/mod.rs"]
mod support;

mod races_births;
mod races_deaths;
mod races_ties;
mod races_mailboxes;
mod races_bounds;
mod races_server_bounds;
mod races_dynamic;
mod races_tasks;
#[cfg(regrow_proof)]
mod supervisor_killed;
