//! Arming timers, and what they do when they are due.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::{coop, yield_now};
use tokio::time::Instant;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::kernel::Kernel;
use crate::kernel::exits::ExitSignal;
use crate::message::dest::Dest;
use crate::message::received::Received;
use crate::process::{AnyProcess, flag};
use crate::time::timer_queue::{Action, Timer, TimerQueue, after};

/// What a timer is found by: whose it is, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Armed {
    pub(crate) target: Pid,
    pub(crate) id: u64,
}

impl Kernel {
    /// Arms a timer after `delay`. One aimed at a dead process is never pending.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime to drive it.
    pub(crate) fn arm_timer(
        self: &Arc<Self>,
        to: Dest,
        delay: Duration,
        period: Option<Duration>,
        action: Action,
    ) -> Armed {
        let handle = self.tokio().expect(NO_TOKIO);
        // A foreign thread, too, is to read the clock of this tokio.
        let _entered = handle.enter();
        let due = after(Instant::now(), delay);
        let id = self.fresh_id();
        let (target, process) = match to {
            Dest::Pid(pid) => (pid, self.find(pid)),
            Dest::Name(_) => (Pid::OUTSIDE, None),
        };
        let armed = Armed { target, id };
        if matches!(to, Dest::Pid(_)) && process.is_none() {
            return armed;
        }
        crate::base::failpoint::point!("timer arm");
        if self.timers.arm(Timer { id, to, action, due, period }) {
            let driver = Driver { queue: self.timers.clone(), kernel: Arc::downgrade(self) };
            handle.spawn(coop::unconstrained(drive(driver)));
        }
        // The target may have ended since it was found: its teardown sees the flag, or
        // this sees its end.
        if let Some(process) = process
            && self.mark_timed(&*process)
        {
            drop(self.timers.disarm(target, id));
        }
        armed
    }

    /// Whether the process has ended.
    fn mark_timed(&self, process: &dyn AnyProcess) -> bool {
        let mut flags = process.flags().load(Ordering::SeqCst);
        if flags & flag::TIMED == 0 {
            flags = process.flags().fetch_or(flag::TIMED, Ordering::SeqCst);
        }
        flags & flag::ENDED != 0
    }

    fn fire(self: &Arc<Self>, timer: &Timer) {
        let pid = match &timer.to {
            Dest::Pid(pid) => *pid,
            Dest::Name(name) => match self.whereis(name) {
                Some(pid) => pid,
                None => return,
            },
        };
        let Some(process) = self.find(pid) else { return };
        crate::base::failpoint::point!("timer fire");
        let from = Pid::OUTSIDE;
        match &timer.action {
            Action::Send(message) => {
                process.deliver(Received::Message(message.clone()));
            }
            Action::Exit(reason) => {
                self.signal_exit(&*process, ExitSignal { from, reason, kind: ExitKind::Exit });
            }
            Action::Tick => process.tick(timer.id),
            Action::Kill => {
                let reason = &ExitReason::Killed;
                self.signal_exit(&*process, ExitSignal { from, reason, kind: ExitKind::Kill });
            }
        }
    }
}

pub(crate) const NO_TOKIO: &str =
    "regrow runs on tokio: create or first use the Runtime inside a tokio runtime";

/// What the driving task owns. Where tokio drops it, no timer ever fires again: none is kept.
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

/// The driving task: holds the kernel only while timers fire. It ends with the kernel, or is
/// dropped by tokio.
///
/// It takes no part in the cooperative budget, which would cut what is due at one
/// instant in pieces, but lets others run after each round: a handler may cancel an
/// interval that has ticks to make up for.
async fn drive(driver: Driver) {
    let Driver { queue, kernel } = &driver;
    while let Some(due) = poll_fn(|cx| queue.poll_due(cx)).await {
        let Some(kernel) = kernel.upgrade() else { return };
        for timer in due {
            // One before it may have led somebody to cancel it.
            if timer.period.is_none() || queue.due(timer.target(), timer.id).is_some() {
                ignore_panic(|| kernel.fire(&timer));
            }
            ignore_panic(|| drop(timer));
        }
        drop(kernel);
        yield_now().await;
    }
}
