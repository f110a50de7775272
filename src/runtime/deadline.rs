//! Waiting no longer than to an instant.
//!
//! **A deadline belongs to the one who waits.** It is timed by the tokio that polls the caller,
//! whatever the runtime of the process that it waits for does meanwhile.
//!
//! | the caller is polled by | its deadline is |
//! |---|---|
//! | the tokio of the regrow runtime | a [slot](crate::time::deadline_pool), if the sweeper looks in time; else a timer of tokio's |
//! | another tokio | a timer of that tokio's |
//! | a thread that waits in [`wait`](crate::time::deadline_pool::blocking_wait) | a slot, and the system's clock where the regrow runtime's tokio does not run |
//! | any other executor | a slot |
//!
//! A timer of tokio's that is made for each wait is put into its wheel and taken out again; and
//! if nothing else is in there, the worker that sleeps over it is woken each time, to look at
//! the time anew. A stop of a hundred children woke it a hundred times. A slot is a few stores.
//! It is for waits that are mostly over before their time is up: of those that are not, each has
//! all slots looked at.
//!
//! Which tokio polls the caller is known from its waker, if that is the waker of a tokio task
//! that has used a slot of this runtime before: a task stays with its tokio. Otherwise the
//! thread is asked, which costs two atomic exchanges.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::kernel::Kernel;
use crate::kernel::timers::NO_TOKIO;
use crate::time::deadline_pool::blocking_wait::{is_waiting, poll_again_by};
use crate::time::deadline_pool::{ArmedSlot, TimerWait};
use crate::time::timer_queue::after;

/// Waits for a future no longer than to a deadline: then `None`.
pub(crate) struct Within<'a, F> {
    future: F,
    deadline: Option<Deadline<'a>>,
}

/// Waits for a future no longer than this time.
pub(crate) fn within<F>(kernel: &Arc<Kernel>, limit: Duration, future: F) -> Within<'_, F> {
    until(kernel, Some(after(Instant::now(), limit)), future)
}

/// Waits for a future no longer than to this instant, if there is one.
pub(crate) fn until<F>(kernel: &Arc<Kernel>, due: Option<Instant>, future: F) -> Within<'_, F> {
    Within { future, deadline: due.map(|due| Deadline::new(due, kernel)) }
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

/// When to give up, and what wakes the caller then.
pub(crate) struct Deadline<'a> {
    due: Instant,
    kernel: &'a Arc<Kernel>,
    /// Armed at the first poll that has to wait.
    slot: Option<ArmedSlot<'a>>,
    other: Other<'a>,
}

/// What wakes the caller in place of a slot that the sweeper looks at in time.
enum Other<'a> {
    None,
    Timer { sleep: Pin<Box<Sleep>>, _counted: TimerWait<'a> },
    Outside(Box<Outside<'a>>),
}

impl<'a> Deadline<'a> {
    pub(crate) fn new(due: Instant, kernel: &'a Arc<Kernel>) -> Self {
        Deadline { due, kernel, slot: None, other: Other::None }
    }

    /// Whether the time is up; if not, this waker will be woken.
    pub(crate) fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(slot) = &self.slot {
            slot.register(cx.waker());
            return Instant::now() >= self.due;
        }
        match &mut self.other {
            Other::None => {}
            Other::Timer { sleep, .. } => return sleep.as_mut().poll(cx).is_ready(),
            Other::Outside(outside) => return outside.is_due(cx),
        }
        let kernel = self.kernel;
        self.slot = kernel.deadlines.rearm(self.due, cx.waker());
        if self.slot.as_ref().is_some_and(ArmedSlot::is_in_time) {
            return false;
        }
        self.wait_otherwise(cx)
    }

    #[cold]
    #[inline(never)]
    fn wait_otherwise(&mut self, cx: &mut Context<'_>) -> bool {
        let kernel = self.kernel;
        // A task that has used a slot is polled by this tokio.
        let mut is_ours = self.slot.take().is_some();
        if !is_ours {
            let current = Handle::try_current().ok().filter(|_| !is_waiting());
            let Some(current) = current else { return self.wait_outside(cx) };
            is_ours = kernel.tokio().is_some_and(|own| own.id() == current.id());
            if is_ours {
                self.slot = Some(kernel.deadlines.arm(self.due, cx.waker()));
                if self.slot.as_ref().is_some_and(ArmedSlot::is_in_time) {
                    return false;
                }
                self.slot = None;
            }
        }
        let mut sleep = Box::pin(sleep_until(self.due));
        let is_due = sleep.as_mut().poll(cx).is_ready();
        self.other = Other::Timer { sleep, _counted: kernel.deadlines.count_timer_wait() };
        if is_ours {
            let left = self.due.saturating_duration_since(Instant::now());
            kernel.deadlines.request_sweep(left, kernel.tokio());
        }
        is_due
    }

    fn wait_outside(&mut self, cx: &mut Context<'_>) -> bool {
        let outside = Outside::new(self.due, self.kernel, cx);
        self.other = Other::Outside(Box::new(outside));
        match &mut self.other {
            Other::Outside(outside) => outside.is_due(cx),
            _ => false,
        }
    }
}

/// So long a tokio that is driven may take to give a sign, once a limit is over by the system's
/// clock.
const SIGN_WITHIN: Duration = Duration::from_secs(1);

/// The deadline of a caller on a thread that no tokio polls it on.
///
/// It goes by the clock of the regrow runtime's tokio, which may be paused. While that clock is
/// the system's, the two agree, and a thread that looks at the time finds it up. Where it is
/// behind, and the system's clock says that the time is up, the tokio is asked for a sign: one
/// that is driven gives it, and its clock decides; one that gives none within a second is
/// driven by nobody, or blocked, and its clock will not move.
struct Outside<'a> {
    slot: ArmedSlot<'a>,
    kernel: &'a Arc<Kernel>,
    tokio: &'a Handle,
    /// By that tokio's clock.
    due: Instant,
    /// When to look, by the system's clock.
    look: std::time::Instant,
    /// How often the sweeper had looked as it was asked for a sign.
    asked: Option<u64>,
}

impl<'a> Outside<'a> {
    fn new(due: Instant, kernel: &'a Arc<Kernel>, cx: &Context<'_>) -> Self {
        let tokio = kernel.tokio().expect(NO_TOKIO);
        // By the clock that `due` was read from: this thread's.
        let left = due.saturating_duration_since(Instant::now());
        let _inside = tokio.enter();
        let due = after(Instant::now(), left);
        let slot = kernel.deadlines.arm_outside(due, cx.waker(), tokio);
        let now = std::time::Instant::now();
        let look = now.checked_add(left).unwrap_or(now + Duration::from_secs(1 << 32));
        Outside { slot, kernel, tokio, due, look, asked: None }
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
        if now >= self.look {
            if self.asked.is_some_and(|looks| !deadlines.has_swept_since(looks)) {
                return true;
            }
            self.asked = Some(deadlines.request_sweep_from_thread());
            self.look = now + SIGN_WITHIN;
        }
        poll_again_by(self.look);
        false
    }
}
