//! The writer of one incarnation of a child of [`json_lines`](crate::json_lines()), and its use on
//! threads for blocking work.
//!
//! **Guarantee.** The writer is opened, used and dropped on threads for blocking work, and one writer
//! of the child exists at a time, whatever ends the incarnation: the writer is kept together with the
//! permit of [`Queue::writing`], and the permit is released when the writer was dropped.

use std::io;

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::exit::{ExitReason, Result};
use crate::json_lines::JsonLinesError;
use crate::json_lines::shared_listener::Queue;

/// A writer with its permit.
pub(super) struct Held<W: Send + 'static> {
    /// `None` until the writer was opened, and once it was taken to be dropped.
    writer: Option<W>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<W: Send + 'static> Held<W> {
    /// Waits for the permit.
    pub(super) async fn new(queue: &Queue) -> Self {
        // The semaphore is never closed.
        let permit = queue.writing.clone().acquire_owned().await.ok();
        Held { writer: None, permit }
    }

    /// Runs work with the writer on a thread for blocking work. Returns the writer if the work
    /// succeeds.
    pub(super) async fn blocking(
        mut self,
        work: impl FnOnce(&mut Option<W>) -> io::Result<()> + Send + 'static,
        failed: fn(io::Error) -> JsonLinesError,
    ) -> Result<Self> {
        let done = tokio::task::spawn_blocking(move || work(&mut self.writer).map(|()| self));
        match done.await {
            Ok(done) => done.map_err(|error| ExitReason::from_library(failed(error))),
            Err(panicked) if panicked.is_panic() => {
                std::panic::resume_unwind(panicked.into_panic())
            }
            Err(cancelled) => Err(ExitReason::from_library(cancelled)),
        }
    }

    /// Drops the writer, and waits until it was dropped.
    pub(super) async fn close(mut self) {
        let (writer, permit) = (self.writer.take(), self.permit.take());
        // A panic of the destructor is as harmless here as in `drop`.
        let _ = tokio::task::spawn_blocking(move || release(writer, permit)).await;
    }
}

fn release<W>(writer: Option<W>, permit: Option<OwnedSemaphorePermit>) {
    // Locals are dropped in reverse order: the permit last, also if the writer panics.
    let _permit = permit;
    drop(writer);
}

/// Drops the writer on a thread for blocking work, without a wait.
impl<W: Send + 'static> Drop for Held<W> {
    fn drop(&mut self) {
        let (writer, permit) = (self.writer.take(), self.permit.take());
        if writer.is_none() {
            return;
        }
        match Handle::try_current() {
            Ok(tokio) => drop(tokio.spawn_blocking(move || release(writer, permit))),
            Err(_) => crate::base::ignore_panic(|| release(writer, permit)),
        }
    }
}
