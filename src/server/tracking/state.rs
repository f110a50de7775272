//! What a server that is watched keeps of that: nothing while nobody watches it.

use std::time::Duration;

use crate::server::dispatch::WaitOutcome;
use crate::server::tracking::slow_handler::SlowHandlerWatch;

/// A server's own part of being watched; the rest is in its record.
#[derive(Default)]
pub(crate) struct Watch {
    /// The limit of its handlers, in place of the runtime's.
    pub(crate) own_limit: Option<Duration>,
    /// A callback has begun.
    pub(crate) busy: bool,
    /// It waits for something to handle; who tells of slow handlers may sleep.
    pub(crate) waits: bool,
    /// It has found something to handle, and yields once before it does.
    pub(crate) found: Option<WaitOutcome>,
    pub(crate) slow_handler_watch: Option<SlowHandlerWatch>,
}
