//! The activity of a server: the callback that runs, and since when it has been running.
//!
//! The activity is in the server's record, under the lock of the record, and is kept only while
//! handlers are tracked or slow handlers are reported. Code outside of the server, such as the
//! slow-handler watch, reads it.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// The callback that a server runs at this moment, and for how long it has been running.
///
/// [`ProcessInfo`](crate::ProcessInfo) contains this value;
/// [`Runtime::track_handlers`](crate::Runtime::track_handlers) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handling {
    /// The callback that runs.
    pub callback: Callback,
    /// How long the callback has been running.
    pub elapsed: Duration,
}

/// A callback of a [`GenServer`](crate::GenServer). Its `Display` is the name of the method.
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
    /// `handle_cast`, also for casts of the server to itself.
    HandleCast,
    /// `handle_info`.
    HandleInfo,
    /// `handle_timeout`.
    HandleTimeout,
    /// `handle_event` of a state machine, for an internal event or a time-out. Its calls, casts and
    /// messages are those of the callbacks above.
    HandleEvent,
    /// `terminate`.
    Terminate,
}

impl Callback {
    /// All callbacks, in the order of their [bits](Self::bits).
    const ALL: [Callback; 7] = [
        Callback::Init,
        Callback::HandleCall,
        Callback::HandleCast,
        Callback::HandleInfo,
        Callback::HandleTimeout,
        Callback::HandleEvent,
        Callback::Terminate,
    ];

    /// Returns a number for this callback, or 0 for `None`.
    pub(crate) fn bits(callback: Option<Callback>) -> u8 {
        callback.map_or(0, |callback| callback as u8 + 1)
    }

    /// Returns the callback with this number.
    pub(crate) fn from_bits(bits: u8) -> Option<Callback> {
        Callback::ALL.get(usize::from(bits.checked_sub(1)?)).copied()
    }

    /// Whether the callback handles an item: true for all callbacks except `init` and `terminate`.
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
            Callback::HandleEvent => "handle_event",
            Callback::Terminate => "terminate",
        })
    }
}

/// The activity of a process at some moment, as far as other code can observe it.
///
/// A [`StopReport`](crate::StopReport) contains the activity of each child that overran its time.
/// OTP: `process_info(Pid, [status, current_function])`.
///
/// ```
/// use regrow::{Doing, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let listener = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
/// let worker = rt.spawn(|_| std::future::pending());
/// tokio::task::yield_now().await; // both wait now
/// assert_eq!(rt.info(listener.pid()).unwrap().doing(), Doing::Receiving);
/// assert_eq!(rt.info(worker.pid()).unwrap().doing().to_string(), "at work of its own");
/// # }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// A callback of a server runs. The callback is known only while handlers are
    /// [tracked](crate::Runtime::track_handlers).
    Handling(Handling),
    /// The process waits for a message.
    Receiving,
    /// The process computes, or awaits something other than a message. A server that runs a handler
    /// while handlers are not tracked counts as `Working`, too.
    Working,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::Handling(Handling { callback, elapsed }) => {
                write!(f, "in {callback} for {elapsed:.1?}")
            }
            Doing::Receiving => f.write_str("waiting for a message"),
            Doing::Working => f.write_str("at work of its own"),
        }
    }
}

/// The activity of one server.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// The number of handlers that have returned.
    pub(crate) handled: u64,
    /// The callback that runs.
    pub(crate) running: Option<Running>,
    /// When the next item was queued, if the server has already taken that item out of the inbox.
    pub(crate) next_queued: Option<Instant>,
    /// Whether the server waits for an item. The server clears this before it handles the item.
    pub(crate) waits: bool,
    /// How long a handler may run before it is reported.
    pub(crate) limit: Option<Duration>,
    /// Whether the slow-handler watch sleeps until the server stops waiting.
    pub(crate) watch_is_asleep: bool,
}

/// A callback that runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    pub(crate) callback: Callback,
    pub(crate) since: Instant,
    /// Whether the callback was reported as slow.
    pub(crate) reported: bool,
}

impl Running {
    pub(crate) fn handling(&self, now: Instant) -> Handling {
        let elapsed = now.saturating_duration_since(self.since);
        Handling { callback: self.callback, elapsed }
    }
}

/// The next step of the slow-handler watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Sleep until the server stops waiting.
    Sleep,
    /// Sleep until this instant, then look again.
    Until(Instant),
    /// Report this handler as slow.
    Report(Handling),
}

impl Activity {
    /// Records that the server has found an item and is about to handle it. Returns whether the
    /// slow-handler watch must be woken.
    pub(crate) fn stop_waiting(&mut self, limit: Option<Duration>) -> bool {
        (self.waits, self.limit) = (false, limit);
        std::mem::take(&mut self.watch_is_asleep)
    }

    /// Records that a callback begins. Returns the callback that ran until now: one that has failed.
    pub(crate) fn begin(&mut self, callback: Callback, limit: Option<Duration>) -> Option<Running> {
        self.limit = limit;
        self.running.replace(Running { callback, since: Instant::now(), reported: false })
    }

    /// Records that the running callback has returned, and returns it.
    pub(crate) fn end(&mut self) -> Option<Running> {
        let ended = self.running.take()?;
        self.handled += u64::from(ended.callback.is_handler());
        Some(ended)
    }

    /// Decides the next step of the slow-handler watch, and records it.
    ///
    /// Unless the server waits, at most the limit passes between two looks. So if a handler begins
    /// between two looks, the next look is not later than the time at which the handler is due, and
    /// the watch need not be woken for the handler.
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
    fn a_slow_handler_is_reported_once() {
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
        assert_eq!(activity.look(late), Look::Until(late + LIMIT), "terminate is not a handler");
        assert_eq!(activity.handled, 1);
    }

    #[test]
    fn the_slow_handler_watch_sleeps_only_while_the_server_waits() {
        let mut activity = Activity { limit: Some(LIMIT), ..Activity::default() };
        let now = Instant::now();
        assert_eq!(activity.look(now), Look::Until(now + LIMIT), "a handler may be about to begin");
        assert!(!activity.stop_waiting(Some(LIMIT)));
        activity.waits = true;
        assert_eq!(activity.look(now), Look::Sleep);
        assert!(activity.stop_waiting(Some(LIMIT)), "the watch must be woken");
        assert!(!activity.stop_waiting(Some(Duration::MAX)), "the watch is awake");
        assert_eq!(activity.look(now), Look::Sleep, "no handler is ever due");
    }
}
