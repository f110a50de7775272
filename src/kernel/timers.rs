//! Arms timers, and fires timers that are due.
//!
//! A timer holds the pid or the name of its target, but no reference to it. Invariant: no timer of
//! a process stays pending after the process has entered the stage *ended*. Arming puts the timer
//! into the queue, raises [`flag::TIMED`], and then reads [`flag::ENDED`]; the teardown raises
//! `ENDED` and then reads `TIMED`. So either the teardown drops the timer, or the code that armed
//! the timer disarms it.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::{coop, yield_now};
use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::base::user_panics::ignore_panic;
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::message::dest::Dest;
use crate::message::received::Received;
use crate::process::{AnyProcess, flag};
use crate::time::timer_queue::{Action, Timer, TimerQueue, after};

/// The key of an armed timer: its target and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArmedTimer {
    pub(crate) target: Pid,
    pub(crate) id: u64,
}

impl Kernel {
    /// Arms a timer that fires after `delay`. For a process that has ended, no timer stays pending.
    ///
    /// # Panics
    ///
    /// Panics if there is no tokio runtime to drive the timer.
    pub(crate) fn arm_timer(
        self: &Arc<Self>,
        to: Dest,
        delay: Duration,
        period: Option<Duration>,
        action: Action,
    ) -> ArmedTimer {
        let handle = self.tokio().expect(NO_TOKIO);
        // Enters the runtime, so that a thread outside of tokio also reads the clock of this tokio
        // runtime.
        let _entered = handle.enter();
        let due = after(Instant::now(), delay);
        let id = self.fresh_id();
        let (target, process) = match to {
            Dest::Pid(pid) => (pid, self.find(pid)),
            Dest::Name(_) => (Pid::OUTSIDE, None),
        };
        let armed = ArmedTimer { target, id };
        if matches!(to, Dest::Pid(_)) && process.is_none() {
            return armed;
        }
        crate::base::failpoint::point!("timer arm");
        if self.timers.arm(Timer { id, to, action, due, period }) {
            let driver = Driver { queue: self.timers.clone(), kernel: Arc::downgrade(self) };
            handle.spawn(coop::unconstrained(drive(driver)));
        }
        // The target may have ended after it was found.
        if let Some(process) = process
            && self.mark_timed(&*process)
        {
            drop(self.timers.disarm(target, id));
        }
        armed
    }

    /// Raises [`flag::TIMED`], and returns whether the process has ended.
    fn mark_timed(&self, process: &dyn AnyProcess) -> bool {
        let mut flags = process.flags().load(Ordering::SeqCst);
        if flags & flag::TIMED == 0 {
            flags = process.flags().fetch_or(flag::TIMED, Ordering::SeqCst);
        }
        flags & flag::ENDED != 0
    }

    fn fire(self: &Arc<Self>, timer: &Timer) {
        let pid = match &timer.to {
            Dest::Pid(pid) => Some(*pid),
            Dest::Name(name) => self.whereis(name),
        };
        if let (Dest::Name(name), Action::Send(..), None) = (&timer.to, &timer.action, pid) {
            self.report_unaddressed(name);
        }
        let Some(process) = pid.and_then(|pid| self.find(pid)) else { return };
        crate::base::failpoint::point!("timer fire");
        let signal = |reason, kind| {
            self.signal_exit(&*process, ExitSignal { from: Pid::OUTSIDE, reason, kind });
        };
        match &timer.action {
            Action::Send(message, metadata) => {
                metadata.run(|| process.deliver(Received::Message(message.clone())));
            }
            Action::Exit(reason) => signal(reason, ExitKind::Exit),
            Action::Tick => process.tick(timer.id),
            Action::Kill => signal(&ExitReason::Killed, ExitKind::Kill),
        }
    }
}

pub(crate) const NO_TOKIO: &str =
    "regrow runs on tokio: create or first use the Runtime inside a tokio runtime";

/// The state of the task that drives the timers. If tokio drops the task, no timer will fire any
/// more, so the queue is closed.
struct Driver {
    queue: TimerQueue,
    kernel: Weak<Kernel>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(kernel) = self.kernel.upgrade() {
            kernel.note_tokio_gone();
        }
        self.queue.close();
    }
}

/// Drives the timers, as a task. The task holds the kernel only while timers fire. The task ends
/// when the kernel is dropped; tokio may drop the task earlier.
///
/// The task is exempt from the cooperative budget, which would split the timers that are due at one
/// instant into several rounds. Instead the task yields after each round, so that a handler can
/// cancel an interval that still has missed ticks to fire.
async fn drive(driver: Driver) {
    let Driver { queue, kernel } = &driver;
    while let Some(due) = poll_fn(|cx| queue.poll_due(cx)).await {
        let Some(kernel) = kernel.upgrade() else { return };
        for timer in due {
            // A timer that fired earlier in this round may have caused the cancellation of this
            // interval.
            if timer.period.is_none() || queue.due(timer.target(), timer.id).is_some() {
                ignore_panic(|| kernel.fire(&timer));
            }
            ignore_panic(|| drop(timer));
        }
        drop(kernel);
        yield_now().await;
    }
}
