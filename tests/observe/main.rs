//! Observing processes and trees: the log, events, spans, health, snapshots.

#[path = "../support/mod.rs"]
mod support;

mod log;
mod log_failures;
mod supervisor_log;
mod census;
mod events;
mod crash_reports;
mod crash_storms;
#[cfg(feature = "serde")]
mod json_lines;
#[cfg(feature = "serde")]
mod json_lines_faults;
mod unhandled;
mod dead_letters;
mod spans;
mod unwinding;
mod poll_watch;
mod message_spans;
mod health;
mod tree;
mod tree_busy;
mod hostile_text;
mod tree_depth;
mod viewer;
mod observation;
mod observation_races;
mod observation_parts;
mod observation_folded;
#[cfg(feature = "serde")]
mod observation_json;
mod observation_process;
mod observation_views;
mod observation_states;
mod observation_paths;
mod observation_stops;
mod observation_waits;
mod observation_events;
mod backtraces;
mod counters;
mod control;
mod control_dynamic;
mod control_servers;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "metrics")]
mod metrics_fragile;
#[cfg(feature = "metrics")]
mod metrics_paths;
#[cfg(feature = "metrics")]
mod metrics_table;
#[cfg(feature = "metrics")]
mod metrics_times;
#[cfg(feature = "observer")]
mod observer;
#[cfg(feature = "observer")]
mod observer_control;
#[cfg(feature = "observer")]
mod observer_status;
