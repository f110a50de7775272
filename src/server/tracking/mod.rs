//! The tracking of a server whose handlers are watched: the state of the running callback, and the
//! log line for a handler that exceeds its time limit.

pub(crate) mod slow_handler;
pub(crate) mod state;
