//! Races on real threads. With `--cfg regrow_proof`, failpoints delay the threads.

#[path = "../support/mod.rs"]
mod support;

mod races_spawns;
mod races_exits;
mod races_links_and_monitors;
mod races_kept_queues;
mod races_mailboxes;
mod races_bounds;
mod races_server_bounds;
mod races_dynamic;
mod races_tasks;
mod races_timers;
#[cfg(regrow_proof)]
mod supervisor_killed;
