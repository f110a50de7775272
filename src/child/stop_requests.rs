//! How a child receives a request to stop or a kill, and which exit reason follows. A *kill* here
//! is any exit signal that the process has accepted: [`Runtime::kill`](crate::Runtime::kill), or an
//! untrapped exit signal of another process.
//!
//! 1. A child with a stop token is asked to stop by the token, which its parent's exit cancels.
//! 2. A kill does not drop the body of a process with the flag
//!    [`DEFERS_EXIT`](crate::process::flag::DEFERS_EXIT). The body receives the kill as a
//!    [`StopKind`], and returns when it has finished its work.
//! 3. A kill wakes the process' task, so a poll inside that task only has to check the process
//!    state.
//! 4. A kill has already determined the exit reason: no result of the body changes it, except a
//!    panic.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::exit::{ExitReason, Result};
use crate::kernel::End;
#[cfg(feature = "process")]
use crate::kernel::stop_above::StopOrigin;
use crate::mailbox::Process;
use crate::message::Envelope;
use crate::process::{AnyProcess, flag};

/// Returns the end of a child's body. `Ok` after a stop request becomes
/// [`Shutdown`](ExitReason::Shutdown). An error is the exit reason in any case.
pub(crate) fn end_of(result: Result, stop_requested: bool) -> End {
    match result {
        Ok(()) if stop_requested => End::Stopped(ExitReason::Shutdown),
        Ok(()) => End::Returned(ExitReason::Normal),
        Err(reason) => End::Returned(reason),
    }
}

/// Returns whether the child has a stop token and was asked to stop by it.
pub(crate) fn is_stop_requested(process: &Arc<Process<Envelope>>) -> bool {
    let process: &dyn AnyProcess = &**process;
    let stop = process.with(|locked| locked.core().registrations()?.stop.clone());
    stop.is_some_and(|stop| stop.is_cancelled())
}

/// Receives the requests to stop of a process that defers its exit.
#[derive(Debug)]
pub(crate) struct StopRequests {
    process: Arc<Process<Envelope>>,
    stop: CancellationToken,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The last request that [`or_request`](Self::or_request) returned.
    received: Option<StopKind>,
}

/// A request to a process that defers its exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopKind {
    Stop,
    Kill,
}

impl StopRequests {
    /// Sets the flag `DEFERS_EXIT`, so that a kill does not drop the body (rule 2). `stop` is the
    /// token that the parent's exit cancels.
    pub(crate) fn hold(process: Arc<Process<Envelope>>, stop: CancellationToken) -> Self {
        let held: &dyn AnyProcess = &*process;
        held.raise(flag::DEFERS_EXIT);
        let stopping = Box::pin(stop.clone().cancelled_owned());
        StopRequests { process, stop, stopping, received: None }
    }

    /// Waits for the result of `work`, or for a request that was not returned before.
    pub(crate) async fn or_request<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> std::result::Result<T, StopKind> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll_request(cx).map(Err),
        })
        .await
    }

    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<StopKind> {
        let request = match self.received {
            Some(StopKind::Kill) => return Poll::Pending,
            _ if self.process.is_exit_pending() => StopKind::Kill,
            None if self.stopping.as_mut().poll(cx).is_ready() => StopKind::Stop,
            None | Some(StopKind::Stop) => return Poll::Pending,
        };
        self.received = Some(request);
        Poll::Ready(request)
    }

    /// Returns whether an ancestor supervisor is being stopped, so that a stop of this process is
    /// likely to follow.
    #[cfg(feature = "process")]
    pub(crate) fn is_stop_expected(&self) -> bool {
        self.process.kernel.stop_above(&*self.process).is_some()
    }

    /// Returns whether this process is being stopped because the whole program received a signal to
    /// stop.
    #[cfg(feature = "process")]
    pub(crate) fn is_program_stop(&self) -> bool {
        self.process.kernel.stop_above(&*self.process) == Some(StopOrigin::Signal)
    }

    /// Returns whether the process was killed.
    #[cfg(feature = "process")]
    pub(crate) fn is_killed(&self) -> bool {
        self.process.is_exit_pending()
    }

    /// Returns whether the process was asked to stop, or killed.
    pub(crate) fn is_stop_requested(&self) -> bool {
        self.stop.is_cancelled() || self.received.is_some()
    }
}
