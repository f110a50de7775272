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
//!    [`Process`].
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
//! 2. The body of a process is dropped before the teardown, so the names and links of the process
//!    outlive its values.
//! 3. No panic leaves `poll` or `drop`: the panic of a body becomes the exit reason of the process,
//!    and the panic of a destructor is logged.
//!
//! A body that waits for a thread or for an operating system process must not be dropped before the
//! thread or that process has ended: see [`DEFERS_EXIT`](crate::process::flag::DEFERS_EXIT). For
//! such a body step 2 is skipped: the body is polled while the exit is pending, and returns when
//! the thread or the operating system process has ended.
//!
//! The future consists only of a pointer to the record and the boxed body, to keep tokio's task
//! cell small.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::current_process::CurrentGuard;
use crate::base::sync::atomic::Ordering;
use crate::base::{Pid, SharedStr};
use crate::call::unanswered;
use crate::driver::{Body, span};
use crate::exit::{Crash, ExitReason, NoRestart};
use crate::kernel::End;
use crate::mailbox::{Item, Process};
use crate::observe::lifecycle_log;
use crate::observe::poll_slots::{leave, note_ending};
use crate::process::{AnyProcess, flag};

/// The future of one process.
pub(crate) struct ProcessFuture<M: Item> {
    process: Arc<Process<M>>,
    /// Invariant 1.
    body: Option<Body>,
}

impl<M: Item> ProcessFuture<M> {
    pub(crate) fn new(process: Arc<Process<M>>, body: Body) -> Self {
        ProcessFuture { process, body: Some(body) }
    }

    /// Ends a process whose body has ended in its [first poll](crate::driver::poll_in_place).
    pub(crate) fn end_in_place(mut self, end: End) {
        let end = decided(end, self.process.kernel.number(), self.process.pid());
        let watched = self.enter_watched();
        self.end(end, watched);
        if watched {
            leave();
        }
    }

    /// The address of the record.
    fn record(&self) -> usize {
        Arc::as_ptr(&self.process).addr()
    }

    /// Marks this process as the current one of this thread, for a poll or a drop of the body.
    fn current_record(&self) -> CurrentGuard {
        CurrentGuard::enter_body(self.process.kernel.number(), self.process.pid(), self.record())
    }

    /// Registers the waker of the task in the record. An exit that became pending earlier could not
    /// wake the task, so `poll` checks for a pending exit after this.
    fn register_waker(&self, cx: &Context<'_>) {
        let mut state = self.process.state.lock();
        state.core.task = Some(cx.waker().clone());
        drop(state);
        self.process.flags().fetch_or(flag::STARTED, Ordering::SeqCst);
    }

    /// Begins a poll, if polls are watched. Returns whether [`leave`] has to end it.
    #[inline]
    fn enter_watched(&self) -> bool {
        let switches = &self.process.kernel.switches;
        let watched = switches.watches_polls();
        if watched {
            switches.polls.enter(self.process.pid());
        }
        watched
    }

    /// Takes the steps of a poll.
    #[inline]
    fn step(&mut self, cx: &mut Context<'_>, watched: bool) -> Poll<()> {
        let mut flags = self.process.flags().load(Ordering::Acquire);
        if flags & flag::STARTED == 0 {
            self.register_waker(cx);
            flags = self.process.flags().load(Ordering::Acquire);
        }
        if flag::drops_body(flags) {
            self.end(End::Dropped, watched);
            return Poll::Ready(());
        }
        self.process.announced_wait.withdraw(); // Invariant 2 of `idle_wait`.
        let current_record = self.current_record();
        let Some(body) = &mut self.body else { return Poll::Ready(()) };
        let (kernel, process) = (&self.process.kernel, &*self.process);
        let poll = AssertUnwindSafe(|| span::inside(kernel, process, || body.as_mut().poll(cx)));
        let polled = catch_unwind(poll);
        let polled = polled.map_err(Crash::from_panic);
        drop(current_record);
        unanswered::hand_over(&*self.process, self.record());
        match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(end)) => {
                self.end(decided(end, kernel.number(), process.pid()), watched);
            }
            Err(crash) => self.end(End::Panicked(ExitReason::Crashed(crash)), watched),
        }
        Poll::Ready(())
    }

    /// Drops the body, then tears the process down.
    fn end(&mut self, end: End, watched: bool) {
        let Some(body) = self.body.take() else { return };
        if watched {
            note_ending(label(&*self.process));
        }
        crate::base::failpoint::point!("death before body");
        let current_record = self.current_record();
        let (kernel, process) = (&self.process.kernel, &*self.process);
        let drop_body = || span::inside(kernel, process, || drop(body));
        let switches = &kernel.switches;
        switches.captured(|| lifecycle_log::catch_destructor(process.pid(), drop_body));
        drop(current_record);
        unanswered::hand_over(process, self.record());
        let current_pid = CurrentGuard::enter(kernel.number(), process.pid());
        kernel.tear_down(process, end);
        drop(current_pid);
        #[cfg(feature = "chaos")]
        if let Some(faults) = kernel.faults.get() {
            faults.step();
        }
    }
}

impl<M: Item> Future for ProcessFuture<M> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let watched = self.enter_watched();
        let polled = self.step(cx, watched);
        if watched {
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

impl<M: Item> Drop for ProcessFuture<M> {
    fn drop(&mut self) {
        if self.body.is_some() {
            // No code aborts the task, so the tokio runtime is shutting down or has shut down.
            self.process.kernel.note_process_lost(self.process.pid());
            let watched = self.enter_watched();
            self.end(End::Dropped, watched);
            if watched {
                leave();
            }
        }
    }
}
