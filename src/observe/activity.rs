//! What a server is at, for those who ask from outside.
//!
//! Kept in the server's record, under its lock, and only where somebody wants to know:
//! handlers are tracked, or reported of when they run long.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// What a server is handling at this moment, and for how long it has been. Part of
/// [`ProcessInfo`](crate::ProcessInfo); [`Runtime::track_handlers`](crate::Runtime::track_handlers)
/// has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handling {
    /// Which of its callbacks runs.
    pub callback: Callback,
    /// For how long.
    pub elapsed: Duration,
}

/// A callback of a [`GenServer`](crate::GenServer). It displays as the method's name.
///
/// ```
/// assert_eq!(regrow::Callback::HandleCall.to_string(), "handle_call");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Callback {
    /// `init`.
    Init,
    /// `handle_call`.
    HandleCall,
    /// `handle_cast`, also of what it tells itself.
    HandleCast,
    /// `handle_info`.
    HandleInfo,
    /// `handle_timeout`.
    HandleTimeout,
    /// `terminate`.
    Terminate,
}

impl Callback {
    /// Whether it handles something that came: all but the first and the last.
    pub(crate) fn is_handler(self) -> bool {
        !matches!(self, Callback::Init | Callback::Terminate)
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Callback::Init => "init",
            Callback::HandleCall => "handle_call",
            Callback::HandleCast => "handle_cast",
            Callback::HandleInfo => "handle_info",
            Callback::HandleTimeout => "handle_timeout",
            Callback::Terminate => "terminate",
        })
    }
}

/// What one server has done and does.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Handlers that have returned.
    pub(crate) handled: u64,
    pub(crate) running: Option<Running>,
    /// When the item that the server takes next was queued, if it has that out of the inbox.
    pub(crate) next_queued: Option<Instant>,
    /// It waits for something to handle, and says so before it handles it.
    pub(crate) waits: bool,
    /// How long a handler may run untold.
    pub(crate) limit: Option<Duration>,
    /// Who tells of slow handlers sleeps until the server waits no more.
    pub(crate) watch_is_asleep: bool,
}

/// One callback that runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    pub(crate) callback: Callback,
    pub(crate) since: Instant,
    /// It was reported of.
    pub(crate) reported: bool,
}

impl Running {
    pub(crate) fn handling(&self, now: Instant) -> Handling {
        let elapsed = now.saturating_duration_since(self.since);
        Handling { callback: self.callback, elapsed }
    }
}

/// What there is to do for who tells of slow handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing, until the server waits no more.
    Sleep,
    /// Nothing before this time: then look again.
    Until(Instant),
    /// This one runs long.
    Report(Handling),
}

impl Activity {
    /// The server has found something to handle, and is about to begin. True if who tells of
    /// slow handlers is to be woken.
    pub(crate) fn stop_waiting(&mut self, limit: Option<Duration>) -> bool {
        (self.waits, self.limit) = (false, limit);
        std::mem::take(&mut self.watch_is_asleep)
    }

    pub(crate) fn begin(&mut self, callback: Callback, limit: Option<Duration>) {
        self.limit = limit;
        self.running = Some(Running { callback, since: Instant::now(), reported: false });
    }

    /// The callback that runs has returned.
    pub(crate) fn end(&mut self) {
        if let Some(Running { callback, .. }) = self.running.take() {
            self.handled += u64::from(callback.is_handler());
        }
    }

    /// Between two looks no more time passes than the limit, unless the server waits: so a
    /// handler that begins meanwhile is seen before it is due, and whoever looks need not be
    /// woken by it.
    pub(crate) fn look(&mut self, now: Instant) -> Look {
        let limit = self.limit.filter(|limit| now.checked_add(*limit).is_some());
        let Some(limit) = limit.filter(|_| !self.waits) else {
            self.watch_is_asleep = true;
            return Look::Sleep;
        };
        match &mut self.running {
            Some(running) if running.callback.is_handler() && !running.reported => {
                if running.since + limit > now {
                    return Look::Until(running.since + limit);
                }
                running.reported = true;
                Look::Report(running.handling(now))
            }
            _ => Look::Until(now + limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, Callback, Look};
    use std::time::Duration;
    use tokio::time::Instant;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn a_slow_handler_is_told_once() {
        let mut activity = Activity::default();
        activity.begin(Callback::HandleCall, Some(LIMIT));
        let since = activity.running.expect("it has begun").since;
        assert_eq!(activity.look(since), Look::Until(since + LIMIT));
        let Look::Report(handling) = activity.look(since + LIMIT) else { panic!("it is due") };
        assert_eq!((handling.callback, handling.elapsed), (Callback::HandleCall, LIMIT));
        assert_eq!(activity.look(since + LIMIT), Look::Until(since + LIMIT * 2));
        activity.end();
        activity.begin(Callback::Terminate, Some(LIMIT));
        let late = since + LIMIT * 9;
        assert_eq!(activity.look(late), Look::Until(late + LIMIT), "it is no handler");
        assert_eq!(activity.handled, 1);
    }

    #[test]
    fn the_teller_sleeps_only_while_the_server_waits() {
        let mut activity = Activity { limit: Some(LIMIT), ..Activity::default() };
        let now = Instant::now();
        assert_eq!(activity.look(now), Look::Until(now + LIMIT), "one may be about to begin");
        assert!(!activity.stop_waiting(Some(LIMIT)));
        activity.waits = true;
        assert_eq!(activity.look(now), Look::Sleep);
        assert!(activity.stop_waiting(Some(LIMIT)), "it is to be woken");
        assert!(!activity.stop_waiting(Some(Duration::MAX)), "it is awake");
        assert_eq!(activity.look(now), Look::Sleep, "nothing is ever due");
    }
}
