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

use crate::kernel::{End, Kernel};
use crate::mailbox::{Item, Process};
use crate::process::{AnyProcess, Head};

/// A boxed body, with the record of its process.
pub(crate) type Body = Pin<Box<dyn Hosted>>;

/// A body, with the record of its process.
pub(crate) trait Hosted: Send {
    /// What each poll needs from the record.
    fn head(&self) -> (&Head, &Kernel);

    /// Polls the future.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End>;

    /// Borrows all parts.
    fn parts(self: Pin<&mut Self>) -> Parts<'_>;
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
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        self.project().slot.poll(cx)
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
