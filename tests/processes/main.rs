//! Processes: how they run and end, how they are notified of ends, and how they receive messages.

#[path = "../support/mod.rs"]
mod support;

mod processes;
mod exit_reasons;
mod reasons;
mod signals;
mod links;
mod monitors;
mod many_notified;
mod teardown;
mod names;
mod groups;
mod timers;
mod timers_many;
mod timers_model;
mod timers_ended_target;
mod mailboxes;
mod mailbox_at_birth;
mod order;
mod streams;
mod info;
mod shutdown;
mod tokio_gone;
mod misuse;
mod two_runtimes;
mod fairness;
mod cooperative_budget;
mod destructors;
mod wakers;
mod regressions;
mod durations;
mod error_texts;
