//! Supervisors with a fixed list of children, and the kinds of children.

#[path = "../support/mod.rs"]
mod support;

mod supervisor_start;
mod start_errors;
mod start_once;
mod failed_starts;
mod supervisor_shutdown;
mod supervisor_admin;
mod supervisor_orphans;
mod exits_of_children;
mod one_for_one;
mod one_for_all;
mod rest_for_one;
mod heartbeat;
mod intensity;
mod own_budgets;
mod first_starts;
mod no_restart;
mod readiness;
mod waiting_starts;
mod backoff;
mod backoff_outages;
mod significant;
mod keep;
mod keep_queue;
mod keep_queue_stress;
mod children;
mod children_task;
mod children_serve;
mod children_blocking;
#[cfg(all(unix, feature = "process"))]
mod children_command;
mod partition;
mod lint;
mod lint_numbers;
mod reserved_names;
#[cfg(feature = "net")]
mod listener;
#[cfg(feature = "net")]
mod listener_faults;
#[cfg(all(unix, feature = "net"))]
mod listener_unix;
#[cfg(feature = "net")]
mod connect;
