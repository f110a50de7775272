//! The requirement that a child reports that it is well.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The shortest interval: one step of tokio's timer.
const SHORTEST: Duration = Duration::from_millis(1);

/// How often a child must report that it is well, and what happens if it does not:
/// [`ChildSpec::heartbeat`](crate::ChildSpec::heartbeat) gives a child this requirement, and has an
/// example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    pub(crate) every: Duration,
    pub(crate) restart_after: Option<Duration>,
}

impl Heartbeat {
    /// Requires a heartbeat at least once in each such interval. A child that is late has the health
    /// [`Unresponsive`](crate::Health::Unresponsive) until its next heartbeat. An interval below
    /// 1 ms, zero included, counts as 1 ms. With [`Duration::MAX`] a child is never late.
    pub const fn every(interval: Duration) -> Self {
        let every = if interval.as_nanos() < SHORTEST.as_nanos() { SHORTEST } else { interval };
        Heartbeat { every, restart_after: None }
    }

    /// Ends a child that has been late for this long, so that its supervisor restarts it. The
    /// child's exit reason is a crash with a [`HeartbeatMissed`]. By default a late child is not
    /// ended. With zero, a child is ended as soon as it is late.
    pub const fn restart_after(mut self, limit: Duration) -> Self {
        self.restart_after = Some(limit);
        self
    }
}

/// The error in the exit reason of a child that was ended because it reported no heartbeat, as
/// [`Heartbeat::restart_after`] says.
///
/// ```
/// # use regrow::{ExitReason, HeartbeatMissed};
/// fn hung(reason: &ExitReason) -> bool {
///     reason.crash().is_some_and(|crash| crash.downcast_ref::<HeartbeatMissed>().is_some())
/// }
/// assert!(!hung(&ExitReason::Killed));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeartbeatMissed {
    /// The interval of the requirement.
    pub every: Duration,
    /// How long the child had reported no heartbeat when it was ended.
    pub silent: Duration,
}

impl fmt::Display for HeartbeatMissed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HeartbeatMissed { every, silent } = self;
        write!(
            f,
            "no heartbeat for {silent:.1?}, and one is due every {every:?}: find out what the \
             child waits for, or make it call `heartbeat` more often"
        )
    }
}

impl Error for HeartbeatMissed {}
