//! Whether a live server still accepts casts, messages and streams.

use std::time::Duration;

use tokio::time::Instant;

use crate::exit::reason::ExitReason;

/// Whether a live process accepts casts, messages and streams. Calls, signals, timers and system
/// messages are accepted in any case: no call is lost in silence, because its caller gets the
/// reason of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Intake {
    #[default]
    Open,
    /// The exit of the parent is queued. An unlink that revokes this exit opens the mailbox again.
    ClosedByParent,
    /// A request to stop is queued.
    Closed,
    /// The loop of the server has ended, so that no handler runs any more.
    LoopEnded,
}

/// The drain of a server that wants to handle what is queued when it is asked to stop.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) limit: Duration,
    /// When the drain ends, and the reason with which the server then stops. `None` until the
    /// server is asked to stop.
    pub(crate) stop: Option<(Instant, ExitReason)>,
}
