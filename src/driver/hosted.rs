//! A body together with the record of its process, in one allocation.
//!
//! The future that tokio polls is [`ProcessFuture`](crate::driver::ProcessFuture). It must not depend
//! on the type of the process or of the body, because tokio's code for a task would then be compiled
//! for each server of a program. So it owns a body through this trait, and the record is stored where
//! the body is: beside the body in tokio's task cell it would be one pointer too large.
//!
//! **Invariant.** The future is dropped in its place, before the teardown. The record stays until the
//! allocation is freed, after the teardown.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::base::current_process::CurrentGuard;
use crate::base::sync::atomic::Ordering;
use crate::kernel::{End, Kernel};
use crate::mailbox::{Item, Process};
use crate::process::{AnyProcess, Head, flag};

/// A boxed body, with the record of its process.
pub(crate) type Body = Pin<Box<dyn Hosted>>;

/// A body, with the record of its process.
pub(crate) trait Hosted: Send {
    /// The part of the record that is read without the lock, and its runtime.
    fn head(&self) -> (&Head, &Kernel);

    /// Polls the future, if nothing else has to be done in this poll. The end of the body is put into
    /// `end`. The poll of most processes is this one call through the table.
    fn poll_plain(self: Pin<&mut Self>, cx: &mut Context<'_>, end: &mut Option<End>) -> PlainPoll;

    /// Borrows all parts.
    fn parts(self: Pin<&mut Self>) -> Parts<'_>;
}

/// The result of [`Hosted::poll_plain`]: one byte, because [`catch_unwind`](std::panic::catch_unwind)
/// copies its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlainPoll {
    /// The future was not polled: it was never polled before, it must not be polled again, or polls
    /// are surrounded or watched.
    Refused,
    Pending,
    Ready,
}

/// The parts of a hosted body.
pub(crate) struct Parts<'a> {
    pub(crate) process: &'a dyn AnyProcess,
    pub(crate) kernel: &'a Arc<Kernel>,
    pub(crate) future: Pin<&'a mut dyn Slot>,
}

/// The place of the future of a body.
pub(crate) trait Slot {
    /// Polls the future.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End>;

    /// Drops the future.
    fn clear(self: Pin<&mut Self>);
}

pin_project! {
    struct HostedSlot<M, S> {
        process: Arc<Process<M>>,
        #[pin]
        slot: S,
    }
}

pin_project! {
    /// A future, until it is dropped in its place.
    #[project = Projected]
    enum FutureSlot<Fut> {
        Future { #[pin] future: Fut },
        Cleared,
    }
}

/// Puts a future beside the record of its process.
pub(crate) fn host<M: Item, Fut>(process: Arc<Process<M>>, future: Fut) -> Body
where
    Fut: Future<Output = End> + Send + 'static,
{
    host_in(process, FutureSlot::Future { future })
}

/// Puts a future that brings its own place beside the record of its process.
pub(crate) fn host_in<M: Item>(process: Arc<Process<M>>, slot: impl Slot + Send + 'static) -> Body {
    Box::pin(HostedSlot { process, slot })
}

impl<M: Item, S: Slot + Send> Hosted for HostedSlot<M, S> {
    #[inline]
    fn head(&self) -> (&Head, &Kernel) {
        (&self.process.head, &self.process.kernel)
    }

    #[inline]
    fn poll_plain(self: Pin<&mut Self>, cx: &mut Context<'_>, end: &mut Option<End>) -> PlainPoll {
        let this = self.project();
        let (head, kernel) = (&this.process.head, &this.process.kernel);
        let flags = head.flags.load(Ordering::Acquire);
        if !flag::allows_plain_poll(flags) || kernel.switches.observes_polls() {
            return PlainPoll::Refused;
        }
        head.announced_wait.withdraw(); // Invariant 2 of `idle_wait`.
        let _current = CurrentGuard::enter_body(kernel.number(), head.pid, head.address());
        match this.slot.poll(cx) {
            Poll::Pending => PlainPoll::Pending,
            Poll::Ready(reached) => {
                *end = Some(reached);
                PlainPoll::Ready
            }
        }
    }

    fn parts(self: Pin<&mut Self>) -> Parts<'_> {
        let this = self.project();
        let process: &Arc<Process<M>> = this.process;
        Parts { process: &**process, kernel: &process.kernel, future: this.slot }
    }
}

impl<Fut: Future<Output = End>> Slot for FutureSlot<Fut> {
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        match self.project() {
            Projected::Future { future } => future.poll(cx),
            // A body is not polled after its drop.
            Projected::Cleared => Poll::Pending,
        }
    }

    fn clear(mut self: Pin<&mut Self>) {
        self.set(FutureSlot::Cleared);
    }
}
