//! Calls: names, deadlines, metadata, deadlocks, and replies that are missing or late.

#[path = "../support/mod.rs"]
mod support;

mod server_calls;
mod named_calls;
mod known_holders;
mod senders;
mod deadlines;
mod propagated_deadlines;
mod metadata;
mod captures;
mod deadlocks;
mod reply_caller;
mod server_unanswered_replies;
mod server_unsent_replies;
