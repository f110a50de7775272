//! Waits with a deadline.
//!
//! # Guarantees
//!
//! If a tokio runtime polls the caller, that runtime times the deadline, even while the tokio
//! runtime of the awaited process is blocked.
//!
//! # What times a deadline
//!
//! | the caller is polled by | its deadline is |
//! |---|---|
//! | the tokio runtime of the regrow runtime | a [slot](crate::time::deadline_pool) if the sweeper checks it in time, otherwise a tokio timer |
//! | another tokio runtime | a timer of that tokio runtime |
//! | a thread that blocks in [`wait`](crate::time::deadline_pool::blocking_wait) | a slot, and the system's clock if the tokio runtime of the regrow runtime does not run |
//! | any other executor | a slot |
//!
//! A tokio timer for each wait would be inserted into the timer wheel and removed again. If the
//! wheel has no earlier timer, each insertion wakes the worker that sleeps in the timer driver, and
//! this worker computes the length of its sleep again: a stop of a hundred children woke the worker
//! a hundred times. A slot costs a few stores. Slots suit waits that mostly end before their
//! deadline, because each deadline that passes makes the sweeper check all slots.
//!
//! The waker of the caller identifies the tokio runtime that polls the caller if it is the waker of
//! a tokio task that has used a slot of this runtime before, since a task stays on its tokio
//! runtime. Otherwise the current tokio handle of the thread is read, which costs two atomic
//! exchanges.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::kernel::{Kernel, NO_TOKIO};
use crate::time::deadline_pool::blocking_wait::{is_waiting, poll_again_by};
use crate::time::deadline_pool::{ArmedSlot, Due, TimerWait};
use crate::time::timer_queue::after;

/// A future that waits for another future. If the deadline passes first, resolves with `None`.
pub(crate) struct Within<'a, F> {
    future: F,
    deadline: Option<Deadline<'a>>,
}

/// Waits for a future for at most this time.
pub(crate) fn within<F>(kernel: &Arc<Kernel>, limit: Duration, future: F) -> Within<'_, F> {
    until(kernel, Some(after(Instant::now(), limit)), future)
}

/// Waits for a future until this instant, or without a limit if `due` is `None`.
pub(crate) fn until<F>(kernel: &Arc<Kernel>, due: Option<Instant>, future: F) -> Within<'_, F> {
    Within { future, deadline: due.map(|due| Deadline::new(Due::At(due), kernel)) }
}

impl<F: Future + Unpin> Future for Within<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        let due = self.deadline.as_mut().is_some_and(|deadline| deadline.is_due(cx));
        if due { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// A deadline, and the slot or timer that wakes the caller when it passes.
pub(crate) struct Deadline<'a> {
    due: Due,
    kernel: &'a Arc<Kernel>,
    /// The slot is armed in the first poll that has to wait.
    slot: Option<ArmedSlot<'a>>,
    fallback: Fallback<'a>,
}

/// What wakes the caller if it has no slot that the sweeper checks in time.
enum Fallback<'a> {
    None,
    Timer { sleep: Pin<Box<Sleep>>, _counted: TimerWait<'a> },
    OutsideTokio(Box<OutsideTokio<'a>>),
}

impl<'a> Deadline<'a> {
    pub(crate) fn new(due: Due, kernel: &'a Arc<Kernel>) -> Self {
        Deadline { due, kernel, slot: None, fallback: Fallback::None }
    }

    /// Counts a call that got no answer before this deadline.
    pub(crate) fn count_time_out(&self) {
        self.kernel.counters.count_time_out();
    }

    /// Whether the deadline has passed. If not, registers the waker.
    #[inline(always)]
    pub(crate) fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        if self.slot.is_some() || !matches!(self.fallback, Fallback::None) {
            return self.is_due_again(cx);
        }
        let kernel = self.kernel;
        self.slot = kernel.deadlines.rearm(self.due, cx.waker());
        if self.slot.as_ref().is_some_and(ArmedSlot::is_in_time) {
            return false;
        }
        self.wait_otherwise(cx)
    }

    /// Does the same as [`is_due`](Self::is_due), in a poll after the first one that had to wait.
    #[inline(never)]
    fn is_due_again(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(slot) = &self.slot {
            slot.register(cx.waker());
            return match self.due {
                Due::At(due) => Instant::now() >= due,
                Due::After(_) => slot.has_expired(),
            };
        }
        match &mut self.fallback {
            // `is_due` comes here only with a slot or a fallback.
            Fallback::None => false,
            Fallback::Timer { sleep, .. } => sleep.as_mut().poll(cx).is_ready(),
            Fallback::OutsideTokio(outside) => outside.is_due(cx),
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_otherwise(&mut self, cx: &mut Context<'_>) -> bool {
        let kernel = self.kernel;
        // A task that has used a slot is polled by the tokio runtime of the regrow runtime.
        let mut is_own_tokio = self.slot.take().is_some();
        let is_next_sweep_known = is_own_tokio && matches!(self.due, Due::At(_));
        let due = self.due.instant();
        self.due = Due::At(due);
        if !is_own_tokio {
            let current = Handle::try_current().ok().filter(|_| !is_waiting());
            let Some(current) = current else { return self.wait_outside(due, cx) };
            is_own_tokio = kernel.tokio().is_some_and(|own| own.id() == current.id());
        }
        if is_own_tokio && !is_next_sweep_known {
            self.slot = Some(kernel.deadlines.arm(due, cx.waker()));
            if self.slot.as_ref().is_some_and(ArmedSlot::is_in_time) {
                return false;
            }
            self.slot = None;
        }
        let mut sleep = Box::pin(sleep_until(due));
        let is_due = sleep.as_mut().poll(cx).is_ready();
        self.fallback = Fallback::Timer { sleep, _counted: kernel.deadlines.count_timer_wait() };
        if is_own_tokio {
            let left = due.saturating_duration_since(Instant::now());
            kernel.deadlines.request_sweep(left, kernel.tokio());
        }
        is_due
    }

    fn wait_outside(&mut self, due: Instant, cx: &mut Context<'_>) -> bool {
        let mut outside = Box::new(OutsideTokio::new(due, self.kernel, cx));
        let is_due = outside.is_due(cx);
        self.fallback = Fallback::OutsideTokio(outside);
        is_due
    }
}

/// The time that a tokio runtime has to respond when a deadline has passed by the system's clock. A
/// runtime that does not respond counts as not running.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The deadline of a caller that is not polled by a tokio runtime.
///
/// The deadline is timed by the clock of the tokio runtime of the regrow runtime. Unless that clock
/// is paused, it agrees with the system's clock, and comparing the time is enough. In a [blocking
/// wait](crate::time::deadline_pool::blocking_wait), if the system's clock says that the deadline
/// has passed and tokio's clock is behind, the tokio runtime is asked to respond. If it responds,
/// its clock decides. If it does not respond within a second, it is not running or is blocked, so
/// its clock will not advance, and the deadline counts as passed.
struct OutsideTokio<'a> {
    slot: ArmedSlot<'a>,
    kernel: &'a Arc<Kernel>,
    tokio: &'a Handle,
    /// The deadline by the clock of that tokio runtime.
    due: Instant,
    /// The next check, by the system's clock.
    check_at: std::time::Instant,
    /// The number of sweeps when the tokio runtime was asked to respond.
    sweeps_when_asked: Option<u64>,
}

impl<'a> OutsideTokio<'a> {
    fn new(due: Instant, kernel: &'a Arc<Kernel>, cx: &Context<'_>) -> Self {
        let tokio = kernel.tokio().expect(NO_TOKIO);
        // `due` was computed by the clock of this thread, so `left` is computed by the same clock.
        let left = due.saturating_duration_since(Instant::now());
        let _inside = tokio.enter();
        let due = after(Instant::now(), left);
        let slot = kernel.deadlines.arm_outside(due, cx.waker(), tokio);
        let now = std::time::Instant::now();
        let check_at = now.checked_add(left).unwrap_or(now + Duration::from_secs(1 << 32));
        OutsideTokio { slot, kernel, tokio, due, check_at, sweeps_when_asked: None }
    }

    fn is_due(&mut self, cx: &Context<'_>) -> bool {
        self.slot.register(cx.waker());
        let _inside = self.tokio.enter();
        if Instant::now() >= self.due {
            return true;
        }
        if !is_waiting() {
            return false;
        }
        let (deadlines, now) = (&self.kernel.deadlines, std::time::Instant::now());
        if now >= self.check_at {
            if self.sweeps_when_asked.is_some_and(|sweeps| !deadlines.has_swept_since(sweeps)) {
                return true;
            }
            self.sweeps_when_asked = Some(deadlines.request_sweep_from_thread());
            self.check_at = now + ANSWER_WITHIN;
        }
        poll_again_by(self.check_at);
        false
    }
}
