//! Arms timers, and fires timers that are due.
//!
//! A timer has the pid or the name of its target, and no reference to the target.
//!
//! Invariant: no timer of a process is pending after the process has entered the stage *ended*.
//!
//! 1. The code that arms a timer puts the timer into the queue, looks the process up, raises its
//!    [`flag::TIMED`], and then reads [`flag::ENDED`].
//! 2. The teardown removes the process from the table, raises `ENDED`, and then reads `TIMED`.
//!
//! So at least one side finds the flag of the other: either the teardown ends the timers of the
//! process in the queue, or the code that has armed the timer disarms it. If the process has many
//! timers, the task that drives the timers drops them later, in slices.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::{coop, yield_now};

use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::base::user_panics::ignore_panic;
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::message::dest::Dest;
use crate::message::received::Received;
#[cfg(feature = "cluster")]
use crate::observe::dead_letter::DeadLetterCause;
use crate::process::{AnyProcess, flag};
use crate::time::timer_queue::{Action, Armed, DueTimer, NewTimer, TimerKey, Wait};

impl Kernel {
    /// Arms a timer that fires after `delay`. A timer of a process that has ended is disarmed at
    /// once.
    ///
    /// # Panics
    ///
    /// Panics if there is no tokio runtime to drive the timer.
    pub(crate) fn arm_timer(self: &Arc<Self>, timer: NewTimer) -> Armed {
        let handle = self.tokio().expect(NO_TOKIO);
        let target = match timer.to {
            // This runtime does not learn of the end of a process of another node, so that end does
            // not end the timers of the process.
            Dest::Pid(pid) if self.reaches(pid) => None,
            Dest::Pid(pid) => Some(pid),
            Dest::Name(_) => None,
        };
        crate::base::failpoint::point!("timer arm");
        let armed = self.timers.arm(timer, handle);
        if armed.starts_driver {
            let wait = Wait::new(self.timers.clone());
            let driver = Driver { wait, kernel: Arc::downgrade(self) };
            handle.spawn(coop::unconstrained(drive(driver)));
        }
        crate::base::failpoint::point!("timer armed");
        if target.is_some_and(|target| !self.mark_timed(target)) {
            self.timers.disarm(armed.key);
        }
        armed
    }

    /// Arms a timer that sends a server its number, and returns its key.
    pub(crate) fn arm_tick(self: &Arc<Self>, server: Pid, delay: Duration) -> TimerKey {
        let to = Dest::Pid(server);
        self.arm_timer(NewTimer { to, action: Action::Tick, delay, period: None }).key
    }

    /// Raises [`flag::TIMED`] of a process. Returns false if the process is not in the table, or has
    /// raised [`flag::ENDED`].
    fn mark_timed(&self, target: Pid) -> bool {
        let mark = |process: &Arc<dyn AnyProcess>| {
            let mut flags = process.flags().load(Ordering::SeqCst);
            if flags & flag::TIMED == 0 {
                flags = process.flags().fetch_or(flag::TIMED, Ordering::SeqCst);
            }
            flags & flag::ENDED == 0
        };
        self.table.read(target, mark).unwrap_or(false)
    }

    fn fire(self: &Arc<Self>, timer: &DueTimer) {
        let pid = match timer.name() {
            None => Some(timer.key.target),
            Some(name) => self.whereis(name),
        };
        if let (Some(name), Action::Send(..), None) = (timer.name(), timer.action(), pid) {
            self.report_unaddressed(name);
        }
        let Some(process) = pid.and_then(|pid| self.find(pid)) else {
            #[cfg(feature = "cluster")]
            pid.into_iter().for_each(|pid| self.fire_elsewhere(pid, timer.action()));
            return;
        };
        crate::base::failpoint::point!("timer fire");
        let signal = |reason, kind| {
            self.signal_exit(&*process, ExitSignal { from: Pid::OUTSIDE, reason, kind });
        };
        match timer.action() {
            Action::Send(message, metadata) => {
                metadata.run(|| process.deliver(Received::Message(message.clone())));
            }
            Action::Exit(reason) => signal(reason, ExitKind::Exit),
            Action::Tick => process.tick(timer.key.id),
            Action::Kill => signal(&ExitReason::Killed, ExitKind::Kill),
        }
    }
}

#[cfg(feature = "cluster")]
impl Kernel {
    /// Fires a timer of a process that is not in the table, because it is of another node or has
    /// ended.
    fn fire_elsewhere(&self, to: Pid, action: &Action) {
        let Some(nodes) = self.other_nodes().filter(|_| to.is_foreign()) else { return };
        let from = Pid::OUTSIDE;
        let signal = match action {
            Action::Exit(reason) => ExitSignal { from, reason, kind: ExitKind::Exit },
            Action::Kill => ExitSignal { from, reason: &ExitReason::Killed, kind: ExitKind::Kill },
            Action::Send(message, _) => {
                let message = Received::Message(message.clone()).description();
                let cause = DeadLetterCause::NotATerm;
                return self.report_dead_letter(to, message, cause);
            }
            Action::Tick => return,
        };
        nodes.exit(to, signal);
    }
}

pub(crate) const NO_TOKIO: &str =
    "regrow runs on tokio: create or first use the Runtime inside a tokio runtime";

/// The state of the task that drives the timers. If tokio drops the task, no timer will fire any
/// more, so the queue is closed.
struct Driver {
    wait: Wait,
    kernel: Weak<Kernel>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A shutdown of the runtime closes the queue, and that ends the task.
        let is_closed = self.wait.queue().is_closed();
        if let Some(kernel) = self.kernel.upgrade().filter(|_| !is_closed) {
            kernel.note_tokio_gone();
        }
        self.wait.queue().close();
    }
}

/// Drives the timers, as a task. The task owns a reference to the kernel only while timers fire.
/// The task ends when the kernel is dropped; tokio may drop the task earlier.
///
/// The task is exempt from the cooperative budget, because the budget would split the timers that
/// are due at one instant into several rounds. Instead the task yields after each round. So a
/// handler can cancel an interval that has more missed ticks to fire.
async fn drive(mut driver: Driver) {
    while let Some(due) = poll_fn(|cx| driver.wait.poll_round(cx)).await {
        let Some(kernel) = driver.kernel.upgrade() else { return };
        for timer in due {
            // A timer that fired earlier in this round may have caused the cancellation of this
            // interval.
            if !timer.is_interval() || kernel.timers.due(timer.key).is_some() {
                ignore_panic(|| kernel.fire(&timer));
            }
            ignore_panic(|| drop(timer));
        }
        drop(kernel);
        yield_now().await;
    }
}
