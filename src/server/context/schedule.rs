//! The timers of one server: delayed casts of the server to itself.
//!
//! The cast of a timer is stored here, inside the server; the runtime's timer queue holds only the
//! timer's number. An expiry whose number is no longer in this table is dropped. So the cast of a
//! timer that was cancelled or replaced is never handled, even if the expiry was queued already.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::base::SharedStr;
use crate::base::random::MapHasher;
use crate::message::Metadata;
use crate::server::GenServer;
use crate::time::timer_queue::{TimerKey, after};

/// A timer that a server has set for itself by [`cast_after`](crate::ServerContext::cast_after) or
/// [`cast_every`](crate::ServerContext::cast_every). The end of this incarnation cancels the timer;
/// dropping this value does not.
///
/// # Examples
///
/// ```
/// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
/// use std::time::Duration;
///
/// struct Clock;
/// # impl GenServer for Clock {
/// #     type Args = ();
/// #     type Call = Reply<()>;
/// #     type Cast = &'static str;
///
/// // … of its `GenServer`:
/// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
///     let timer = ctx.cast_after(Duration::from_secs(1), "never comes");
///     assert!(ctx.cancel(timer));
///     assert!(!ctx.cancel(timer));
///
///     ctx.cast_after_as("key", Duration::from_secs(1), "never comes");
///     assert!(ctx.cancel_key("key"));
///     assert!(!ctx.cancel_key("key"));
///     Ok(Clock)
/// }
/// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, _: &'static str, _: &mut ServerContext<Self>) -> Result {
/// #         Ok(())
/// #     }
/// # }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let clock = Clock::start(&rt, ()).await?;
/// assert_eq!(rt.leftovers().timers, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CastTimer(pub(crate) u64);

/// All timers of one server, by number, and the numbers of the timers that have a key.
pub(crate) struct Schedule<S: GenServer> {
    pub(crate) timers: HashMap<u64, Scheduled<S>, MapHasher>,
    pub(crate) keys: HashMap<SharedStr, u64, MapHasher>,
}

/// One timer of a server: where the runtime's timer queue has it, and its cast.
pub(crate) struct Scheduled<S: GenServer> {
    pub(crate) key: TimerKey,
    pub(crate) cast: ScheduledCast<S>,
}

/// The cast of one timer.
pub(crate) enum ScheduledCast<S: GenServer> {
    Once { cast: S::Cast, key: Option<SharedStr>, metadata: Metadata },
    Every(Box<Interval<S>>),
}

pub(crate) struct Interval<S: GenServer> {
    pub(crate) make: Box<dyn FnMut() -> S::Cast + Send>,
    /// The number of the first tick, which is the [`CastTimer`]. Each tick is a timer of its own.
    pub(crate) handle: u64,
    pub(crate) period: Duration,
    pub(crate) missed: MissedTickBehavior,
    pub(crate) due: Instant,
}

impl<S: GenServer> Default for Schedule<S> {
    fn default() -> Self {
        Schedule { timers: HashMap::default(), keys: HashMap::default() }
    }
}

impl<S: GenServer> ScheduledCast<S> {
    /// Returns the number in the [`CastTimer`] of the timer whose current number is `id`.
    pub(crate) fn handle(&self, id: u64) -> u64 {
        match self {
            ScheduledCast::Once { .. } => id,
            ScheduledCast::Every(interval) => interval.handle,
        }
    }
}

/// Returns when the next tick is due, after a tick that was due at `due` and is handled at `now`.
pub(crate) fn next_due(
    due: Instant,
    now: Instant,
    period: Duration,
    missed: MissedTickBehavior,
) -> Instant {
    match missed {
        MissedTickBehavior::Burst => after(due, period),
        MissedTickBehavior::Delay => after(now, period),
        MissedTickBehavior::Skip => {
            let behind = now.saturating_duration_since(due).as_nanos();
            let period_nanos = period.as_nanos().max(1);
            let into = u64::try_from(behind % period_nanos).unwrap_or(0);
            after(now, period - Duration::from_nanos(into))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::next_due;
    use std::time::Duration;
    use tokio::time::{Instant, MissedTickBehavior};

    #[test]
    fn the_next_tick_after_a_late_one_follows_the_missed_tick_behavior() {
        let due = Instant::now();
        let ms = Duration::from_millis;
        let now = due + ms(250);
        let next = |missed| next_due(due, now, ms(100), missed) - due;
        assert_eq!(next(MissedTickBehavior::Burst), ms(100));
        assert_eq!(next(MissedTickBehavior::Delay), ms(350));
        assert_eq!(next(MissedTickBehavior::Skip), ms(300));
    }
}
