//! Delayed casts of a server to itself: once, under a key, or at intervals.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::base::SharedStr;
use crate::message::Metadata;
use crate::server::context::schedule::{Schedule, Scheduled, ScheduledCast, Timers};
use crate::server::{CastTimer, GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Sends this server a cast after `delay`, unless the timer is cancelled. The cast is then
    /// handled in order, like any other. The end of this incarnation cancels the timer. OTP:
    /// `erlang:send_after` to oneself.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use std::time::Duration;
    /// use regrow::ExitReason;
    ///
    /// struct Session;
    /// struct Expired;
    /// # impl GenServer for Session {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = Expired;
    ///
    /// // … of its `GenServer`:
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.cast_after(Duration::from_secs(3600), Expired);
    ///     Ok(Session)
    /// }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// async fn handle_cast(&mut self, _: Expired, _: &mut ServerContext<Self>) -> Result {
    ///     Err(ExitReason::Shutdown)
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let session = Session::start(&rt, ()).await?;
    /// assert_eq!(session.ended().await, ExitReason::Shutdown);
    /// assert_eq!(start.elapsed(), Duration::from_secs(3600));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn cast_after(&mut self, delay: Duration, cast: S::Cast) -> CastTimer {
        let metadata = self.process.kernel.captured_for_later();
        CastTimer(self.schedule_cast(delay, ScheduledCast::Once { cast, key: None, metadata }))
    }

    /// Sends this server a cast after `delay`, under a key. Setting a key again replaces the timer
    /// that was set before: the cast of the old timer is never handled, even if it was already due.
    /// OTP: a time-out of `gen_statem` with a name.
    ///
    /// # Panics
    ///
    /// If tokio's time is not enabled.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use std::time::Duration;
    /// use regrow::ExitReason;
    ///
    /// struct Session;
    /// enum Cast {
    ///     Renew,
    ///     Expire,
    /// }
    /// # impl GenServer for Session {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = Cast;
    /// #     async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    /// #         ctx.continue_with(Cast::Renew);
    /// #         Ok(Session)
    /// #     }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    ///
    /// // … of its `GenServer`, which renews in its `init`:
    /// async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
    ///     match cast {
    ///         Cast::Renew => ctx.cast_after_as("lease", Duration::from_secs(30), Cast::Expire),
    ///         Cast::Expire => return Err(ExitReason::Shutdown),
    ///     }
    ///     Ok(())
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let session = Session::start(&rt, ()).await?;
    /// tokio::time::advance(Duration::from_secs(20)).await;
    /// session.cast(Cast::Renew);
    /// assert_eq!(session.ended().await, ExitReason::Shutdown);
    /// assert_eq!(start.elapsed(), Duration::from_secs(50));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn cast_after_as(&mut self, key: impl Into<SharedStr>, delay: Duration, cast: S::Cast) {
        let key = key.into();
        self.cancel_key(&key);
        let metadata = self.process.kernel.captured_for_later();
        self.schedule_cast(delay, ScheduledCast::Once { cast, key: Some(key), metadata });
    }

    /// Sends this server a cast every `period`, for the first time after one period. `missed`
    /// decides what happens to ticks that a busy server handles too late, as in
    /// [`tokio::time::Interval`]. OTP: `timer:send_interval/2`, which sends all ticks.
    ///
    /// # Panics
    ///
    /// If `period` is zero. If tokio's time is not enabled.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use std::time::Duration;
    /// use regrow::ExitReason;
    /// use tokio::time::MissedTickBehavior;
    ///
    /// /// Does its work three times.
    /// struct Sweeper(u32);
    /// struct Tick;
    /// # impl GenServer for Sweeper {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = Tick;
    ///
    /// // … of its `GenServer`:
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.cast_every(Duration::from_secs(60), MissedTickBehavior::Skip, || Tick);
    ///     Ok(Sweeper(0))
    /// }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// async fn handle_cast(&mut self, _: Tick, _: &mut ServerContext<Self>) -> Result {
    ///     self.0 += 1;
    ///     if self.0 == 3 { Err(ExitReason::Normal) } else { Ok(()) }
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let sweeper = Sweeper::start(&rt, ()).await?;
    /// assert_eq!(sweeper.ended().await, ExitReason::Normal);
    /// assert_eq!(start.elapsed(), Duration::from_secs(180));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn cast_every(
        &mut self,
        period: Duration,
        missed: MissedTickBehavior,
        make: impl FnMut() -> S::Cast + Send + 'static,
    ) -> CastTimer {
        assert!(!period.is_zero(), "an interval needs a period above zero");
        CastTimer(self.schedule_cast(period, ScheduledCast::every(period, missed, make)))
    }

    /// Cancels a timer. Returns true if the timer was pending: its cast is then never handled, even
    /// if it was already due. OTP: `erlang:cancel_timer/1`. [`CastTimer`] has an example.
    pub fn cancel(&mut self, timer: CastTimer) -> bool {
        let Some(schedule) = self.schedule() else { return false };
        let taken = schedule.take(timer);
        self.disarm(taken)
    }

    /// Cancels the timer of this key. Returns true if the timer was pending. [`CastTimer`] has an
    /// example.
    pub fn cancel_key(&mut self, key: &str) -> bool {
        let Some(schedule) = self.schedule() else { return false };
        let taken = schedule.take_key(key);
        self.disarm(taken)
    }

    fn schedule_cast(&mut self, delay: Duration, cast: ScheduledCast<S::Cast>) -> u64 {
        let key = self.process.kernel.arm_tick(self.pid(), delay);
        let schedule = &mut self.inner().extras().schedule;
        schedule.get_or_insert_with(|| Box::new(Timers::<S::Cast>::new())).add(key, cast);
        key.id
    }

    /// Disarms a timer, and drops its cast. Returns whether there was one.
    fn disarm(&self, scheduled: Option<Scheduled<S::Cast>>) -> bool {
        let Some(scheduled) = scheduled else { return false };
        self.process.kernel.timers.disarm(scheduled.key);
        true
    }

    /// The timers of this server, if it has ever set one.
    pub(crate) fn schedule(&mut self) -> Option<&mut dyn Schedule<S::Cast>> {
        match &mut self.inner().extras.as_mut()?.schedule {
            Some(schedule) => Some(&mut **schedule),
            None => None,
        }
    }

    /// Returns the cast of a timer that has expired, and arms the next tick of an interval. Returns
    /// `None` if the timer was cancelled or replaced before its expiry was handled.
    pub(crate) fn expire(&mut self, id: u64) -> Option<(S::Cast, Metadata)> {
        let (kernel, pid) = (self.process.kernel.clone(), self.pid());
        self.inner().extras.as_mut()?.schedule.as_mut()?.expire(id, &kernel, pid)
    }
}
