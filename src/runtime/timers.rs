//! Timers, as users see them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::exit::reason::ExitReason;
use crate::kernel::Kernel;
use crate::kernel::timers::Armed;
use crate::message::dest::Dest;
use crate::message::received::Message;
use crate::runtime::Runtime;
use crate::time::timer_queue::{Action, beyond_clock};

/// One timer that was set. Dropping it doesn't cancel the timer. Clones are of the same
/// timer. OTP: the timer reference.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::Runtime;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let body = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }).pid();
/// let timer = rt.send_after(body, Duration::from_secs(60), b"too late".to_vec());
/// assert_eq!(timer.remaining(), Some(Duration::from_secs(60)));
/// assert!(timer.cancel()); // it was pending
/// assert!(!timer.cancel());
/// assert_eq!(timer.remaining(), None);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct TimerRef {
    kernel: Weak<Kernel>,
    armed: Armed,
    /// What of the delay that was asked for is beyond the clock's end.
    beyond: Duration,
}

impl TimerRef {
    /// Cancels the timer. True if it was pending: it will not fire. False if it has
    /// fired, was cancelled, its target has ended, or its tokio runtime has shut down. An interval is pending until it is
    /// cancelled. What a timer has sent before stays sent. OTP: `erlang:cancel_timer/1`.
    /// [`TimerRef`] has an example.
    pub fn cancel(&self) -> bool {
        crate::base::failpoint::point!("timer cancel");
        let Some(kernel) = self.kernel.upgrade() else { return false };
        kernel.timers.disarm(self.armed.target, self.armed.id).is_some()
    }

    /// How long until the timer fires next, of the delay or the period that was asked for, also if
    /// that is [`Duration::MAX`]; `None` if it is not pending. OTP: `erlang:read_timer/1`.
    /// [`TimerRef`] has an example.
    pub fn remaining(&self) -> Option<Duration> {
        let kernel = self.kernel.upgrade()?;
        let due = kernel.timers.due(self.armed.target, self.armed.id)?;
        let _entered = kernel.handle.get().map(tokio::runtime::Handle::enter);
        Some(due.saturating_duration_since(Instant::now()).saturating_add(self.beyond))
    }
}

impl Runtime {
    /// Sends bytes once, after `delay`, to a process or to whoever holds a name by then.
    /// A timer aimed at a pid is dropped when that process ends; it doesn't matter
    /// whether the one who set it lives. One aimed at a dead process is never pending.
    ///
    /// Timers fire at tokio's resolution, 1 ms, and never early; those due at one instant
    /// fire in the order they were set. A delay of zero is due at once; one that the clock can't
    /// represent, such as [`Duration::MAX`], is due in a hundred years. OTP:
    /// `erlang:send_after/3`.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime: neither now nor at any earlier use. If tokio's time is
    /// not enabled.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     assert_eq!(ctx.recv().await.message(), Some(b"tick".to_vec()));
    /// });
    /// let timer = rt.send_after(body.pid(), Duration::from_secs(60), b"tick".to_vec());
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// assert_eq!(start.elapsed(), Duration::from_secs(60));
    /// assert!(!timer.cancel()); // it has fired
    /// # });
    /// ```
    pub fn send_after(&self, to: impl Into<Dest>, delay: Duration, message: Message) -> TimerRef {
        self.timer(to.into(), delay, None, Action::Send(message))
    }

    /// Sends the same bytes every `period`, first after one period, until cancelled or,
    /// aimed at a pid, until that process ends. Ticks are counted from when they were
    /// due, so they don't drift. A reader that is slower than the ticks finds them all in its
    /// mailbox. OTP: `timer:send_interval/3`.
    ///
    /// # Panics
    ///
    /// If `period` is zero; and as [`send_after`](Self::send_after).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let clock = rt.spawn(|mut ctx| async move {
    ///     for _ in 0..3 {
    ///         assert_eq!(ctx.recv().await.message(), Some(b"tick".to_vec()));
    ///     }
    /// });
    /// let ticks = rt.send_interval(clock.pid(), Duration::from_millis(500), b"tick".to_vec());
    /// assert_eq!(clock.join().await, ExitReason::Normal);
    /// assert_eq!(start.elapsed(), Duration::from_millis(1500));
    /// assert!(!ticks.cancel()); // its target has ended, and it with it
    /// # });
    /// ```
    pub fn send_interval(
        &self,
        to: impl Into<Dest>,
        period: Duration,
        message: Message,
    ) -> TimerRef {
        assert!(!period.is_zero(), "an interval needs a period above zero");
        self.timer(to.into(), period, Some(period), Action::Send(message))
    }

    /// Sends an exit signal after `delay`, from outside, as [`exit`](Self::exit) does: a
    /// trapping process only gets a message. OTP: `timer:exit_after/3`.
    ///
    /// # Panics
    ///
    /// As [`send_after`](Self::send_after).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let session = rt.spawn(|_| std::future::pending());
    /// rt.exit_after(session.pid(), Duration::from_secs(3600), ExitReason::Shutdown);
    /// assert_eq!(session.join().await, ExitReason::Shutdown);
    /// assert_eq!(start.elapsed(), Duration::from_secs(3600));
    /// # });
    /// ```
    pub fn exit_after(&self, to: impl Into<Dest>, delay: Duration, reason: ExitReason) -> TimerRef {
        self.timer(to.into(), delay, None, Action::Exit(reason))
    }

    /// Kills after `delay`, as [`kill`](Self::kill) does. OTP: `timer:kill_after/2`.
    ///
    /// # Panics
    ///
    /// As [`send_after`](Self::send_after).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let slow = rt.spawn(|_| std::future::pending());
    /// let limit = rt.kill_after(slow.pid(), Duration::from_secs(10));
    /// assert_eq!(slow.join().await, ExitReason::Killed);
    ///
    /// let quick = rt.spawn(|_| async {});
    /// let limit = rt.kill_after(quick.pid(), Duration::from_secs(10));
    /// assert_eq!(quick.join().await, ExitReason::Normal);
    /// assert_eq!(limit.remaining(), None); // it went with its target
    /// # });
    /// ```
    pub fn kill_after(&self, to: impl Into<Dest>, delay: Duration) -> TimerRef {
        self.timer(to.into(), delay, None, Action::Kill)
    }

    fn timer(
        &self,
        to: Dest,
        delay: Duration,
        period: Option<Duration>,
        action: Action,
    ) -> TimerRef {
        let beyond = beyond_clock(Instant::now(), delay);
        let armed = self.kernel.arm_timer(to, delay, period, action);
        TimerRef { kernel: Arc::downgrade(&self.kernel), armed, beyond }
    }
}
