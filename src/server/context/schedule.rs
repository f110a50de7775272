//! The timers of one server: delayed casts of the server to itself.
//!
//! The cast of a timer is stored here, inside the server; the runtime's timer queue holds only the
//! timer's number. An expiry whose number is no longer in this table is dropped. So the cast of a
//! timer that was cancelled or replaced is never handled, even if the expiry was queued already.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use crate::base::random::MapHasher;
use crate::base::{Pid, SharedStr};
use crate::kernel::Kernel;
use crate::message::Metadata;
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

/// The timers of one server, whose casts are of type `C`. It is behind a trait object, which the first
/// timer makes. So a server without timers compiles none of it.
pub(crate) trait Schedule<C>: Send {
    /// Adds a timer that was armed in the timer queue under this key.
    fn add(&mut self, key: TimerKey, cast: ScheduledCast<C>);

    /// Takes out a timer. The caller disarms it, and then drops it.
    fn take(&mut self, timer: CastTimer) -> Option<Scheduled<C>>;

    /// Takes out the timer of this key.
    fn take_key(&mut self, key: &str) -> Option<Scheduled<C>>;

    /// Returns the cast of a timer that has expired, and arms the next tick of an interval of this
    /// process.
    fn expire(&mut self, id: u64, kernel: &Arc<Kernel>, process: Pid) -> Option<(C, Metadata)>;

    /// Calls `each` with each timer.
    fn visit(&self, each: &mut dyn FnMut(SeenTimer<'_>));
}

/// A timer, as the test kit shows it: its place in the timer queue, its key, and its period.
pub(crate) type SeenTimer<'a> = (TimerKey, Option<&'a SharedStr>, Option<Duration>);

/// All timers of one server, by number, and the numbers of the timers that have a key.
pub(crate) struct Timers<C> {
    timers: HashMap<u64, Scheduled<C>, MapHasher>,
    keys: HashMap<SharedStr, u64, MapHasher>,
}

/// One timer of a server: where the runtime's timer queue has it, and its cast.
pub(crate) struct Scheduled<C> {
    pub(crate) key: TimerKey,
    cast: ScheduledCast<C>,
}

/// The cast of one timer.
pub(crate) enum ScheduledCast<C> {
    Once { cast: C, key: Option<SharedStr>, metadata: Metadata },
    Every(Box<Interval<C>>),
}

pub(crate) struct Interval<C> {
    make: Box<dyn FnMut() -> C + Send>,
    /// The number of the first tick, which is the [`CastTimer`]. Each tick is a timer of its own.
    handle: u64,
    period: Duration,
    missed: MissedTickBehavior,
    due: Instant,
}

impl<C> Timers<C> {
    pub(crate) fn new() -> Self {
        Timers { timers: HashMap::default(), keys: HashMap::default() }
    }

    fn remove(&mut self, id: u64) -> Option<Scheduled<C>> {
        let scheduled = self.timers.remove(&id)?;
        if let ScheduledCast::Once { key: Some(key), .. } = &scheduled.cast {
            self.keys.remove(key);
        }
        Some(scheduled)
    }

    /// The number of the pending timer that is the next tick of this interval. The timer of an
    /// interval gets a new number at each tick; the number of any other timer stays the same.
    fn next_tick(&self, interval: u64) -> Option<u64> {
        let is_tick = |(id, scheduled): (&u64, &Scheduled<C>)| match &scheduled.cast {
            ScheduledCast::Every(every) if every.handle == interval => Some(*id),
            _ => None,
        };
        self.timers.iter().find_map(is_tick)
    }
}

impl<C: Send> Schedule<C> for Timers<C> {
    fn add(&mut self, key: TimerKey, mut cast: ScheduledCast<C>) {
        match &mut cast {
            ScheduledCast::Once { key: Some(name), .. } => {
                self.keys.insert(name.clone(), key.id);
            }
            ScheduledCast::Once { key: None, .. } => {}
            ScheduledCast::Every(interval) => interval.handle = key.id,
        }
        self.timers.insert(key.id, Scheduled { key, cast });
    }

    fn take(&mut self, timer: CastTimer) -> Option<Scheduled<C>> {
        let id = match self.timers.get(&timer.0) {
            Some(Scheduled { cast: ScheduledCast::Once { .. }, .. }) => timer.0,
            _ => self.next_tick(timer.0)?,
        };
        self.remove(id)
    }

    fn take_key(&mut self, key: &str) -> Option<Scheduled<C>> {
        let id = self.keys.remove(key)?;
        self.timers.remove(&id)
    }

    fn expire(&mut self, id: u64, kernel: &Arc<Kernel>, process: Pid) -> Option<(C, Metadata)> {
        match self.remove(id)?.cast {
            ScheduledCast::Once { cast, metadata, .. } => Some((cast, metadata)),
            ScheduledCast::Every(mut interval) => {
                let now = Instant::now();
                interval.due = next_due(interval.due, now, interval.period, interval.missed);
                let key = kernel.arm_tick(process, interval.due.saturating_duration_since(now));
                let cast = (interval.make)();
                let scheduled = Scheduled { key, cast: ScheduledCast::Every(interval) };
                self.timers.insert(key.id, scheduled);
                Some((cast, Metadata::default()))
            }
        }
    }

    fn visit(&self, each: &mut dyn FnMut(SeenTimer<'_>)) {
        for scheduled in self.timers.values() {
            match &scheduled.cast {
                ScheduledCast::Once { key, .. } => each((scheduled.key, key.as_ref(), None)),
                ScheduledCast::Every(interval) => {
                    each((scheduled.key, None, Some(interval.period)))
                }
            }
        }
    }
}

impl<C> ScheduledCast<C> {
    /// An interval whose first tick is due one period from now.
    pub(crate) fn every(
        period: Duration,
        missed: MissedTickBehavior,
        make: impl FnMut() -> C + Send + 'static,
    ) -> Self {
        let due = after(Instant::now(), period);
        let make = Box::new(make);
        ScheduledCast::Every(Box::new(Interval { make, handle: 0, period, missed, due }))
    }
}

/// Returns when the next tick is due, after a tick that was due at `due` and is handled at `now`.
fn next_due(due: Instant, now: Instant, period: Duration, missed: MissedTickBehavior) -> Instant {
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
