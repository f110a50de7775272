//! The life of a process: the future its task polls.
//!
//! It is two things wide, the record and the boxed body, so that tokio's task cell
//! stays small. It looks for a fatal signal before each poll, catches panics, and
//! tears down in `Drop`, so that a task that tokio drops ends like any other.
//!
//! A body that stands for what can't be dropped, a thread or an operating system's process,
//! is *held*: condemned, it is polled on, sees that, and returns when that has ended.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::current_process::CurrentGuard;
use crate::base::sync::atomic::Ordering;
use crate::call::unanswered;
use crate::driver::body::Body;
use crate::driver::span;
use crate::exit::crash::Crash;
use crate::exit::reason::ExitReason;
use crate::kernel::closing::End;
use crate::mailbox::inbox::Item;
use crate::mailbox::record::Process;
use crate::observe::lifecycle_log;
use crate::process::{AnyProcess, flag};

/// A process on its way from birth to death.
pub(crate) struct ProcessFuture<M: Item> {
    process: Arc<Process<M>>,
    /// `None` once the process is buried.
    body: Option<Body>,
}

impl<M: Item> ProcessFuture<M> {
    pub(crate) fn new(process: Arc<Process<M>>, body: Body) -> Self {
        ProcessFuture { process, body: Some(body) }
    }

    fn record(&self) -> usize {
        Arc::as_ptr(&self.process).addr()
    }

    /// Its body runs, or is dropped.
    fn current_server(&self) -> CurrentGuard {
        CurrentGuard::enter_body(self.process.kernel.number(), self.process.pid(), self.record())
    }

    /// Leaves the task's waker in the record; whoever condemned it before finds the
    /// flag raised by the caller's next look.
    fn enroll(&self, cx: &Context<'_>) {
        let mut state = self.process.state.lock();
        state.core.task = Some(cx.waker().clone());
        drop(state);
        self.process.flags().fetch_or(flag::STARTED, Ordering::SeqCst);
    }

    /// Drops the body, then buries the process.
    fn end(&mut self, end: End) {
        let Some(body) = self.body.take() else { return };
        crate::base::failpoint::point!("death before body");
        let current_server = self.current_server();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.drop_inside(body))) {
            self.tell_destructor_panic(payload);
        }
        drop(current_server);
        unanswered::hand_over(&*self.process, self.record());
        let current_pid = CurrentGuard::enter(self.process.kernel.number(), self.process.pid());
        self.process.kernel.tear_down(&*self.process, end);
        drop(current_pid);
    }

    fn drop_inside(&self, body: Body) {
        span::inside(&self.process.kernel, &*self.process, || drop(body));
    }

    fn tell_destructor_panic(&self, payload: Box<dyn Any + Send>) {
        let crash = Crash::from_panic(payload);
        let pid = self.process.pid();
        lifecycle_log::destructor_panicked(pid, crash.message());
    }
}

impl<M: Item> Future for ProcessFuture<M> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.process.flags().load(Ordering::Acquire) & flag::STARTED == 0 {
            this.enroll(cx);
        }
        if this.process.is_to_be_dropped() {
            this.end(End::Dropped);
            return Poll::Ready(());
        }
        this.process.polled();
        let current_server = this.current_server();
        let Some(body) = &mut this.body else { return Poll::Ready(()) };
        let (kernel, process) = (&this.process.kernel, &*this.process);
        let poll = AssertUnwindSafe(|| span::inside(kernel, process, || body.as_mut().poll(cx)));
        let polled = catch_unwind(poll);
        let polled = polled.map_err(Crash::from_panic);
        drop(current_server);
        unanswered::hand_over(&*this.process, this.record());
        match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(end)) => this.end(end),
            Err(crash) => this.end(End::Panicked(ExitReason::Crashed(crash))),
        }
        Poll::Ready(())
    }
}

impl<M: Item> Drop for ProcessFuture<M> {
    fn drop(&mut self) {
        if self.body.is_some() {
            // Nothing aborts the task: its tokio shuts down, or has.
            self.process.kernel.note_process_lost(self.process.pid());
            self.end(End::Dropped);
        }
    }
}
