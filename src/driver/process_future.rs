//! The future that tokio polls for one process.
//!
//! # Guarantees
//!
//! A process is torn down exactly once, whether its body returns, panics, is stopped by a signal,
//! or is dropped by tokio together with its task.
//!
//! # Steps
//!
//! Each poll:
//!
//! 1. If this is the first poll, registers the waker of the task in the record of the process, a
//!    [`Process`](crate::mailbox::Process).
//! 2. If an exit is pending, drops the body and tears the process down.
//! 3. Polls the body, and catches its panics.
//! 4. Moves the [replies that the body has dropped unsent](crate::call::unanswered) to the record.
//! 5. If the body has ended, drops it and tears the process down.
//!
//! All steps of a poll count for the [watch of polls](crate::observe::poll_watch).
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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::base::current_process::CurrentGuard;
use crate::base::sync::atomic::Ordering;
use crate::base::{Pid, SharedStr};
use crate::call::unanswered;
use crate::driver::hosted::{Hosted, Parts};
use crate::driver::{Body, span};
use crate::exit::{Crash, ExitReason, NoRestart};
use crate::kernel::{End, Kernel};
use crate::observe::lifecycle_log;
use crate::observe::poll_slots::{leave, note_ending};
use crate::process::{AnyProcess, Head, flag};

/// The future of one process.
pub(crate) struct ProcessFuture {
    /// Invariant 1.
    body: Option<Body>,
}

/// What a poll reads from the record, and from its runtime, before it polls the body.
struct Polled {
    runtime: usize,
    pid: Pid,
    /// The address of the record.
    record: usize,
    is_surrounded: bool,
    /// Whether [`leave`] has to end the poll.
    is_watched: bool,
}

impl Polled {
    #[inline]
    fn begin(head: &Head, kernel: &Kernel) -> Self {
        let switches = &kernel.switches;
        let is_watched = switches.watches_polls();
        if is_watched {
            switches.polls.enter(head.pid);
        }
        let (runtime, pid, record) = (kernel.number(), head.pid, head.address());
        Polled { runtime, pid, record, is_surrounded: switches.surrounds_polls(), is_watched }
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

    /// Takes the steps of a poll.
    #[inline]
    fn step(&mut self, cx: &mut Context<'_>, mut flags: u8, of: &Polled) -> Poll<()> {
        let Some(body) = &mut self.body else { return Poll::Ready(()) };
        if flags & flag::STARTED == 0 {
            flags = register_waker(body.as_mut().parts().process, cx);
        }
        if flag::drops_body(flags) {
            self.end(End::Dropped, of.is_watched);
            return Poll::Ready(());
        }
        let current_record = CurrentGuard::enter_body(of.runtime, of.pid, of.record);
        let polled = match of.is_surrounded {
            false => catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(cx))),
            true => poll_surrounded(body.as_mut(), cx),
        };
        let polled = polled.map_err(Crash::from_panic);
        drop(current_record);
        if unanswered::are_any() {
            unanswered::hand_over(body.as_mut().parts().process);
        }
        match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(end)) => self.end(decided(end, of.runtime, of.pid), of.is_watched),
            Err(crash) => self.end(End::Panicked(ExitReason::Crashed(crash)), of.is_watched),
        }
        Poll::Ready(())
    }

    /// Drops the future of the body, then tears the process down.
    fn end(&mut self, end: End, watched: bool) {
        let Some(mut body) = self.body.take() else { return };
        let Parts { process, kernel, future } = body.as_mut().parts();
        if watched {
            note_ending(label(process));
        }
        crate::base::failpoint::point!("death before body");
        let (runtime, pid, record) = (kernel.number(), process.pid(), process.head().address());
        let current_record = CurrentGuard::enter_body(runtime, pid, record);
        let drop_future = || span::inside(kernel, process, || future.clear());
        kernel.switches.captured(|| lifecycle_log::catch_destructor(pid, drop_future));
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

/// Polls a body inside the span of its process.
#[cold]
#[inline(never)]
fn poll_surrounded(
    body: Pin<&mut dyn Hosted>,
    cx: &mut Context<'_>,
) -> std::thread::Result<Poll<End>> {
    let Parts { process, kernel, future } = body.parts();
    catch_unwind(AssertUnwindSafe(|| span::inside(kernel, process, || future.poll(cx))))
}

impl Future for ProcessFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(body) = &self.body else { return Poll::Ready(()) };
        // The only call for the record in most polls.
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
}

#[cold]
fn label(process: &dyn AnyProcess) -> Option<SharedStr> {
    process.with(|locked| locked.core().relations()?.label.clone())
}

/// Finds the decision of a process that it has no successor. Only a reason with an error or a value
/// can contain it.
#[inline]
fn decided(end: End, runtime: usize, pid: Pid) -> End {
    match end {
        End::Returned(reason) if NoRestart::of(&reason, runtime, pid).is_some() => {
            End::NotRestarted(reason)
        }
        end => end,
    }
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
