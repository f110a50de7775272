//! The state that a server holds while its handlers are watched. A server that is not watched holds
//! none.

use std::time::Duration;

use crate::server::WaitOutcome;
use crate::server::tracking::slow_handler::SlowHandlerWatch;

/// The part of the tracking state that the server itself holds. The other part is the `Activity` in
/// its record.
#[derive(Default)]
pub(crate) struct Watch {
    /// The limit of the server's handlers, in place of the runtime's.
    pub(crate) own_limit: Option<Duration>,
    /// A callback has begun and has not returned.
    pub(crate) busy: bool,
    /// The server waits for an item, so the task that logs slow handlers may sleep.
    pub(crate) waits: bool,
    /// The outcome of the wait after which the server yielded.
    pub(crate) found: Option<WaitOutcome>,
    pub(crate) slow_handler_watch: Option<SlowHandlerWatch>,
}
