//! Timers that send messages, exit signals and kills.

use std::time::Duration;

use crate::exit::ExitReason;
use crate::message::{Dest, Message, Metadata};
use crate::runtime::Runtime;
use crate::time::timer_queue::{Action, Armed, NewTimer, TimerKey, TimerQueue};

/// A handle of a timer. Dropping the handle does not cancel the timer. Clones refer to the same
/// timer. OTP: the timer reference.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::Runtime;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let body = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }).pid();
/// let timer = rt.send_after(body, Duration::from_secs(60), b"too late".to_vec());
/// assert_eq!(timer.remaining(), Some(Duration::from_secs(60)));
/// assert!(timer.cancel()); // it was pending
/// assert!(!timer.cancel());
/// assert_eq!(timer.remaining(), None);
/// # }));
/// ```
#[derive(Debug, Clone)]
pub struct TimerRef {
    queue: TimerQueue,
    key: TimerKey,
    /// The part of the requested delay that the clock can't represent.
    beyond_clock: Duration,
}

impl TimerRef {
    /// Cancels the timer. Returns true if the timer was pending; then it will not fire. Returns
    /// false if the timer has fired or was cancelled, if its target has ended, or if the tokio
    /// runtime has shut down. An interval is pending until it is cancelled, or until its target
    /// process ends. Messages that the timer has sent are not taken back. OTP:
    /// `erlang:cancel_timer/1`. [`TimerRef`] has an example.
    pub fn cancel(&self) -> bool {
        crate::base::failpoint::point!("timer cancel");
        self.queue.disarm(self.key)
    }

    /// The time until the timer fires next; `None` if it is not pending. The result is the rest of
    /// the requested delay or period, also if that is [`Duration::MAX`]. OTP:
    /// `erlang:read_timer/1`. [`TimerRef`] has an example.
    pub fn remaining(&self) -> Option<Duration> {
        Some(self.queue.remaining(self.key)?.saturating_add(self.beyond_clock))
    }
}

impl Runtime {
    /// Sends bytes once, after `delay`. The target is a process, or the process that holds a name
    /// when the timer fires. OTP: `erlang:send_after/3`.
    ///
    /// A timer for a pid is dropped when that process ends. The end of the process that set the
    /// timer does not affect the timer. A timer for a dead process is never pending.
    ///
    /// Timers fire with tokio's resolution of 1 ms, and never early. Timers that are due at the
    /// same instant fire in the order in which they were set. With a delay of zero, a timer is due
    /// at once. No timer is due later than 584 years after the first timer of this `Runtime`, also
    /// with a delay of [`Duration::MAX`].
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless an earlier use of this `Runtime` was inside one,
    /// or if tokio's time is not enabled.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let body = rt.spawn(|mut ctx| async move {
    ///     assert_eq!(ctx.recv().await.message(), Some(b"tick".to_vec()));
    /// });
    /// let timer = rt.send_after(body.pid(), Duration::from_secs(60), b"tick".to_vec());
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// assert_eq!(start.elapsed(), Duration::from_secs(60));
    /// assert!(!timer.cancel()); // it has fired
    /// # }));
    /// ```
    pub fn send_after(&self, to: impl Into<Dest>, delay: Duration, message: Message) -> TimerRef {
        let metadata = self.kernel.captured_for_later();
        self.timer(to.into(), delay, None, Action::Send(message, metadata))
    }

    /// Sends the same bytes every `period`, first after one period. OTP: `timer:send_interval/3`.
    ///
    /// The interval ends when it is cancelled or, if its target is a pid, when that process ends.
    /// Each tick is scheduled from the time when the previous one was due, so ticks don't drift. If
    /// the target is slower than the ticks, they accumulate in its mailbox.
    ///
    /// # Panics
    ///
    /// If `period` is zero, and in the same cases as [`send_after`](Self::send_after).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
    /// assert!(!ticks.cancel()); // the interval has ended with its target
    /// # }));
    /// ```
    pub fn send_interval(
        &self,
        to: impl Into<Dest>,
        period: Duration,
        message: Message,
    ) -> TimerRef {
        assert!(!period.is_zero(), "an interval needs a period above zero");
        self.timer(to.into(), period, Some(period), Action::Send(message, Metadata::default()))
    }

    /// Sends an exit signal after `delay`, as [`exit`](Self::exit) does. The sender is
    /// [`Pid::OUTSIDE`](crate::Pid::OUTSIDE). A process that traps exits only gets a message. OTP:
    /// `timer:exit_after/3`.
    ///
    /// # Panics
    ///
    /// In the same cases as [`send_after`](Self::send_after).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let start = tokio::time::Instant::now();
    /// let session = rt.spawn(|_| std::future::pending());
    /// rt.exit_after(session.pid(), Duration::from_secs(3600), ExitReason::Shutdown);
    /// assert_eq!(session.join().await, ExitReason::Shutdown);
    /// assert_eq!(start.elapsed(), Duration::from_secs(3600));
    /// # }));
    /// ```
    pub fn exit_after(&self, to: impl Into<Dest>, delay: Duration, reason: ExitReason) -> TimerRef {
        self.timer(to.into(), delay, None, Action::Exit(reason))
    }

    /// Kills a process after `delay`, as [`kill`](Self::kill) does, but does not log the kill. OTP:
    /// `timer:kill_after/2`.
    ///
    /// # Panics
    ///
    /// In the same cases as [`send_after`](Self::send_after).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ExitReason, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let slow = rt.spawn(|_| std::future::pending());
    /// let limit = rt.kill_after(slow.pid(), Duration::from_secs(10));
    /// assert_eq!(slow.join().await, ExitReason::Killed);
    ///
    /// let quick = rt.spawn(|_| async {});
    /// let limit = rt.kill_after(quick.pid(), Duration::from_secs(10));
    /// assert_eq!(quick.join().await, ExitReason::Normal);
    /// assert_eq!(limit.remaining(), None); // the timer has ended with its target
    /// # }));
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
        let timer = NewTimer { to, action, delay, period };
        let Armed { key, beyond_clock, .. } = self.kernel.arm_timer(timer);
        TimerRef { queue: self.kernel.timers.clone(), key, beyond_clock }
    }
}
