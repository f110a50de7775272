//! What is recorded of a server whose handlers are watched: the callback that runs and since when,
//! and the log line of a handler that runs long.

pub(crate) mod slow_handler;
pub(crate) mod state;
