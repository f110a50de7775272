//! The first poll of a body in the task of the process that starts it.
//!
//! **Guarantee.** The code of the body cannot observe, by what this crate offers, that it is polled
//! here: the current process, the span, the watch of polls and the caught panics are those of a poll
//! by [`ProcessFuture`](crate::driver::ProcessFuture).
//!
//! **Steps**
//!
//! 1. The starter polls the body here, with a waker that does nothing. No task exists yet.
//! 2. If the body has ended, the process is torn down in place. Otherwise a task is spawned, whose
//!    poll registers the waker of the task, and polls the body again. So a wake-up that came in
//!    between is not lost.
//!
//! What happens between the steps:
//!
//! * The process accepts an exit before step 1: the body is not polled here. Its task drops it.
//! * The process accepts an exit during step 1 or after it: no task is woken. The first poll of the
//!   task finds the pending exit.
//! * An item is queued, or a future that the body awaits is woken, before the task polls: the first
//!   poll of the task finds it.
//! * The starter is dropped: it is polling, so it is dropped after step 2.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use crate::base::current_process::CurrentGuard;
use crate::base::sync::atomic::Ordering;
use crate::call::unanswered;
use crate::driver::hosted::{Body, Parts};
use crate::driver::span;
use crate::exit::{Crash, ExitReason};
use crate::kernel::End;
use crate::observe::poll_slots::leave;
use crate::process::flag;

/// Polls the `init` of a body whose process has no task. `Pending` says that the body goes on.
pub(crate) fn poll_in_place(body: &mut Body) -> Poll<End> {
    let Parts { process, kernel, future } = body.as_mut().parts();
    if flag::drops_body(process.flags().load(Ordering::Acquire)) {
        return Poll::Pending;
    }
    let watched = kernel.switches.watches_polls();
    if watched {
        kernel.switches.polls.enter(process.pid());
    }
    let record = process.head().address();
    let current_record = CurrentGuard::enter_body(kernel.number(), process.pid(), record);
    let mut cx = Context::from_waker(Waker::noop());
    let poll = AssertUnwindSafe(|| span::inside(kernel, process, || future.poll_init(&mut cx)));
    let polled = catch_unwind(poll).map_err(Crash::from_panic);
    drop(current_record);
    unanswered::hand_over(process);
    if watched {
        leave();
    }
    polled.unwrap_or_else(|crash| Poll::Ready(End::Panicked(ExitReason::Crashed(crash))))
}
