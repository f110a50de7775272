//! The body of a process in a chaos run: it wraps the real body, and carries out the
//! [faults](crate::kernel::faults) of the process.
//!
//! Each poll:
//!
//! 1. If the start of the process is to fail, the body returns an error at its first poll. The real
//!    body is never polled.
//! 2. While the process hangs, the real body is not polled. A poll that comes meanwhile waits for
//!    the end of the hang, so no wake-up is lost. An exit signal still ends the process, because
//!    [`ProcessFuture`](crate::driver::ProcessFuture) checks for it before it polls a body.
//! 3. The real body is polled, and the observer of the chaos run is called. It is called again when
//!    the process has ended, by [`ProcessFuture`](crate::driver::ProcessFuture).
//!
//! The body is dropped before the messages that the process has lost. Both are dropped inside the
//! process, so the callers of lost calls get its exit reason.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::base::Pid;
use crate::base::user_panics::drop_each;
use crate::driver::Body;
use crate::driver::hosted::{Hosted, Parts, PlainPoll, Slot};
use crate::exit::ExitReason;
use crate::kernel::faults::{Faults, StartFault};
use crate::kernel::{End, Kernel};
use crate::process::{AnyProcess, Head};

/// The message of the error of a start that a chaos run fails.
const FAILED_START: &str = "the chaos run fails this start";

struct FaultyBody {
    process: Arc<dyn AnyProcess>,
    kernel: Arc<Kernel>,
    slot: FaultySlot,
}

struct FaultySlot {
    pid: Pid,
    faults: Arc<Faults>,
    fails: bool,
    hang: Option<Pin<Box<Sleep>>>,
    /// `None` after the drop has begun.
    body: Option<Body>,
}

/// Wraps the body of a process that is about to be spawned, if its runtime is that of a chaos run.
pub(crate) fn with_faults(mut body: Body) -> Body {
    let Parts { process, kernel, .. } = body.as_mut().parts();
    let Some(faults) = kernel.faults.get() else { return body };
    let pid = process.pid();
    let Some(process) = kernel.find(pid) else { return body };
    let fault = faults.take_start_fault(&*process);
    let (fails, faults, kernel) =
        (fault == Some(StartFault::Fails), faults.clone(), kernel.clone());
    let slot = FaultySlot { pid, faults, fails, hang: None, body: Some(body) };
    Box::pin(FaultyBody { process, kernel, slot })
}

impl Hosted for FaultyBody {
    fn head(&self) -> (&Head, &Kernel) {
        (self.process.head(), &self.kernel)
    }

    fn poll_plain(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut Option<End>) -> PlainPoll {
        PlainPoll::Refused
    }

    fn parts(self: Pin<&mut Self>) -> Parts<'_> {
        let FaultyBody { process, kernel, slot } = self.get_mut();
        let future: Pin<&mut FaultySlot> = Pin::new(slot);
        Parts { process: &**process, kernel, future }
    }
}

impl FaultySlot {
    fn poll_hang(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(until) = self.faults.hang_of(self.pid, Instant::now()) {
            let hang = self.hang.get_or_insert_with(|| Box::pin(sleep_until(until)));
            if hang.deadline() != until {
                hang.as_mut().reset(until);
            }
            ready!(hang.as_mut().poll(cx));
            self.hang = None;
        }
        Poll::Ready(())
    }
}

impl Slot for FaultySlot {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        if self.fails {
            return Poll::Ready(End::Returned(ExitReason::crashed(FAILED_START)));
        }
        ready!(self.poll_hang(cx));
        let Some(body) = &mut self.body else { return Poll::Pending };
        let polled = body.as_mut().parts().future.poll(cx);
        self.faults.step();
        polled
    }

    fn clear(mut self: Pin<&mut Self>) {
        let Some(body) = self.body.take() else { return };
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(body)));
        drop_each(self.faults.forget(self.pid));
        if let Err(panic) = dropped {
            resume_unwind(panic);
        }
    }
}
