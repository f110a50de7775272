//! The future that tokio polls for one process.
//!
//! # Guarantees
//!
//! A process is torn down exactly once, whether its body returns, panics, is stopped by a signal,
//! or is dropped by tokio together with its task.
//!
//! # Steps
//!
//! A body is polled [plainly](crate::driver::hosted::Hosted::poll_plain) unless this is its first
//! poll, an exit is pending, or polls are surrounded or watched. Otherwise a poll has all steps:
//!
//! 1. If this is the first poll, registers the waker of the task in the record of the process, a
//!    [`Process`](crate::mailbox::Process).
//! 2. If an exit is pending, drops the body and tears the process down.
//! 3. Polls the body, and catches its panics.
//! 4. Moves the [replies that the body has dropped unsent](crate::call::unanswered) to the record.
//! 5. If the body has ended, drops it and tears the process down.
//!
//! While memory is measured, step 3 notes what the body has allocated. All steps of a poll count for the [watch of polls](crate::observe::poll_watch).
//!
//! # Invariants
//!
//! 1. The body is `Some` until the teardown starts. Each path to the teardown takes the body, so
//!    the process is torn down once.
//! 2. The future of a body is dropped before the teardown, so the names and links of the process
//!    outlive its values.
//! 3. No panic leaves `poll` or `drop`: the panic of a body becomes the exit reason of the process,
//!    and the panic of a destructor is logged.
//!
//! A body that waits for a thread or for an operating system process must not be dropped before the
//! thread or that process has ended: see [`DEFERS_EXIT`](crate::process::flag::DEFERS_EXIT). For
//! such a body step 2 is skipped: the body is polled while the exit is pending, and returns when
//! the thread or the operating system process has ended.
//!
//! The future is one pointer with its table, and has one type for all processes: see
//! [`hosted`](crate::driver::hosted).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::base::SharedStr;
use crate::base::current_process::CurrentGuard;
use crate::base::sync::atomic::Ordering;
use crate::call::unanswered;
use crate::driver::hosted::{Parts, PlainPoll};
use crate::driver::{Body, span};
use crate::exit::{Crash, ExitReason, NoRestart};
use crate::kernel::{End, Kernel};
use crate::observe::poll_slots::{leave, note_ending};
use crate::process::{AnyProcess, Head, flag};

/// The future of one process.
pub(crate) struct ProcessFuture {
    /// Invariant 1.
    body: Option<Body>,
}

/// What a poll with all steps reads from the record, and from its runtime.
struct Polled {
    is_surrounded: bool,
    /// Whether [`leave`] has to end the poll.
    is_watched: bool,
}

impl Polled {
    fn begin(head: &Head, kernel: &Kernel) -> Self {
        let switches = &kernel.switches;
        let is_watched = switches.watches_polls();
        if is_watched {
            switches.polls.enter(head.pid);
        }
        Polled { is_surrounded: switches.surrounds_polls(), is_watched }
    }
}

/// Registers the waker of the task in the record. An exit that became pending earlier could not
/// wake the task, so `poll` checks the returned flags for a pending exit.
fn register_waker(process: &dyn AnyProcess, cx: &Context<'_>) -> u8 {
    let mut state = process.state().lock();
    state.core.task = Some(cx.waker().clone());
    drop(state);
    let flags = process.flags();
    flags.fetch_or(flag::STARTED, Ordering::SeqCst);
    flags.load(Ordering::Acquire)
}

impl ProcessFuture {
    pub(crate) fn new(body: Body) -> Self {
        ProcessFuture { body: Some(body) }
    }

    /// Takes all steps of a poll.
    #[cold]
    #[inline(never)]
    fn poll_with_all_steps(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(body) = &self.body else { return Poll::Ready(()) };
        let (head, kernel) = body.head();
        let of = Polled::begin(head, kernel);
        let flags = head.flags.load(Ordering::Acquire);
        head.announced_wait.withdraw(); // Invariant 2 of `idle_wait`.
        let polled = self.step(cx, flags, &of);
        if of.is_watched {
            leave();
        }
        polled
    }

    fn step(&mut self, cx: &mut Context<'_>, mut flags: u8, of: &Polled) -> Poll<()> {
        let Some(body) = &mut self.body else { return Poll::Ready(()) };
        let Parts { process, kernel, future } = body.as_mut().parts();
        if flags & flag::STARTED == 0 {
            flags = register_waker(process, cx);
        }
        if flag::drops_body(flags) {
            self.end(End::Dropped, of.is_watched);
            return Poll::Ready(());
        }
        let allocated_before = kernel.allocated_by_thread();
        let current_record = enter_body(process, kernel);
        let polled = catch_unwind(AssertUnwindSafe(|| match of.is_surrounded {
            false => future.poll(cx),
            true => span::inside(kernel, process, || future.poll(cx)),
        }));
        drop(current_record);
        if let Some(before) = allocated_before
            && let Ok(Poll::Pending) = polled
            && let Some(now) = kernel.allocated_by_thread()
        {
            kernel.note_allocated(process, now.wrapping_sub(before));
        }
        self.hand_over_unanswered();
        match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(end)) => self.finish(Ok(end), of.is_watched),
            Err(panic) => self.finish(Err(panic), of.is_watched),
        }
        Poll::Ready(())
    }

    /// Takes step 4.
    #[inline]
    fn hand_over_unanswered(&mut self) {
        if unanswered::are_any()
            && let Some(body) = &mut self.body
        {
            unanswered::hand_over(body.as_mut().parts().process);
        }
    }

    /// Takes step 5.
    fn finish(&mut self, polled: std::thread::Result<End>, watched: bool) {
        let end = match polled {
            Ok(end) => self.decided(end),
            Err(panic) => self.panicked(panic),
        };
        self.end(end, watched);
    }

    /// Finds the decision of a process that it has no successor. Only a reason with an error or a value
    /// can contain it.
    fn decided(&self, end: End) -> End {
        let Some(body) = &self.body else { return end };
        let (head, kernel) = body.head();
        match end {
            End::Returned(reason)
                if NoRestart::of(&reason, kernel.number(), head.pid).is_some() =>
            {
                End::NotRestarted(reason)
            }
            end => end,
        }
    }

    /// The end of a body that panicked. The payload of the panic is dropped inside the process.
    #[cold]
    fn panicked(&self, panic: Box<dyn Any + Send>) -> End {
        let current_record = self.body.as_ref().map(|body| {
            let (head, kernel) = body.head();
            CurrentGuard::enter_body(kernel.number(), head.pid, head.address())
        });
        let crash = Crash::from_panic(panic);
        drop(current_record);
        End::Panicked(ExitReason::Crashed(crash))
    }

    /// Drops the future of the body, then tears the process down.
    fn end(&mut self, end: End, watched: bool) {
        let Some(mut body) = self.body.take() else { return };
        let Parts { process, kernel, future } = body.as_mut().parts();
        if watched {
            note_ending(label(process));
        }
        crate::base::failpoint::point!("death before body");
        let (runtime, pid) = (kernel.number(), process.pid());
        let current_record = enter_body(process, kernel);
        let drop_future = || span::inside(kernel, process, || future.clear());
        kernel.switches.captured(|| kernel.catch_destructor(pid, drop_future));
        drop(current_record);
        unanswered::hand_over(process);
        let current_pid = CurrentGuard::enter(runtime, pid);
        kernel.tear_down(process, end);
        drop(current_pid);
        #[cfg(feature = "chaos")]
        if let Some(faults) = kernel.faults.get() {
            faults.step();
        }
    }
}

/// Makes a process current, for its body.
fn enter_body(process: &dyn AnyProcess, kernel: &Kernel) -> CurrentGuard {
    CurrentGuard::enter_body(kernel.number(), process.pid(), process.head().address())
}

impl Future for ProcessFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(body) = &mut self.body else { return Poll::Ready(()) };
        let mut end = None;
        let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_plain(cx, &mut end)));
        if matches!(polled, Ok(PlainPoll::Refused)) {
            return self.poll_with_all_steps(cx);
        }
        self.hand_over_unanswered();
        match (polled, end) {
            (Ok(_), None) => return Poll::Pending,
            (Ok(_), Some(end)) => self.finish(Ok(end), false),
            (Err(panic), _) => self.finish(Err(panic), false),
        }
        Poll::Ready(())
    }
}

#[cold]
fn label(process: &dyn AnyProcess) -> Option<SharedStr> {
    process.with(|locked| locked.core().relations()?.label.clone())
}

impl Drop for ProcessFuture {
    fn drop(&mut self) {
        let Some(body) = &self.body else { return };
        // No code aborts the task, so the tokio runtime is shutting down or has shut down.
        let (head, kernel) = body.head();
        kernel.note_process_lost(head.pid);
        let is_watched = Polled::begin(head, kernel).is_watched;
        self.end(End::Dropped, is_watched);
        if is_watched {
            leave();
        }
    }
}
