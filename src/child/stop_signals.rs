//! What a child is told, and what its end then is.
//!
//! A child that asked for it is told to stop by a token, which its supervisor's exit
//! cancels. One that is [held](crate::process::flag::ENDS_BY_ITSELF) looks for the kill as well, since it
//! is not dropped by it. The kill wakes the process' task, so whoever is polled in there need
//! only look; and it comes with a reason that no end of the body's changes.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::exit::reason::{ExitReason, Result};
use crate::kernel::closing::End;
#[cfg(feature = "process")]
use crate::kernel::stop_above::Above;
use crate::mailbox::record::Process;
use crate::message::received::Envelope;
use crate::process::{AnyProcess, flag};

/// What the end of a child's body is: one that was told to stop, and did, ended as it was
/// told. An error is one in any case.
pub(crate) fn end_of(result: Result, stop_requested: bool) -> End {
    match result {
        Ok(()) if stop_requested => End::Told(ExitReason::Shutdown),
        Ok(()) => End::Returned(ExitReason::Normal),
        Err(reason) => End::Returned(reason),
    }
}

/// Whether the child asked to be told to stop, and was.
pub(crate) fn is_stop_requested(process: &Arc<Process<Envelope>>) -> bool {
    let process: &dyn AnyProcess = &**process;
    let stop = process.with(|locked| locked.core().registrations()?.stop.clone());
    stop.is_some_and(|stop| stop.is_cancelled())
}

/// The reason of a body that may return an error of any kind. If that was turned into a
/// reason here, its place says nothing.
pub(crate) fn reason_of<E: Into<ExitReason> + 'static>(error: E) -> ExitReason {
    let is_reason = std::any::TypeId::of::<E>() == std::any::TypeId::of::<ExitReason>();
    let reason = error.into();
    if is_reason { reason } else { reason.placeless() }
}

/// What a held process is told.
#[derive(Debug)]
pub(crate) struct StopSignals {
    process: Arc<Process<Envelope>>,
    stop: CancellationToken,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    received: Option<StopSignal>,
}

/// A thing that a held process is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    Stop,
    Kill,
}

impl StopSignals {
    /// From now on the process is held; its parent's exit cancels this token.
    pub(crate) fn hold(process: Arc<Process<Envelope>>, stop: CancellationToken) -> Self {
        let held: &dyn AnyProcess = &*process;
        held.raise(flag::ENDS_BY_ITSELF);
        let stopping = Box::pin(stop.clone().cancelled_owned());
        StopSignals { process, stop, stopping, received: None }
    }

    /// What comes first: the end of this work, or an order that was not heard before.
    pub(crate) async fn or_signal<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> std::result::Result<T, StopSignal> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll_signal(cx).map(Err),
        })
        .await
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<StopSignal> {
        let signal = match self.received {
            Some(StopSignal::Kill) => return Poll::Pending,
            _ if self.process.is_exit_pending() => StopSignal::Kill,
            None if self.stopping.as_mut().poll(cx).is_ready() => StopSignal::Stop,
            None | Some(StopSignal::Stop) => return Poll::Pending,
        };
        self.received = Some(signal);
        Poll::Ready(signal)
    }

    /// Whether a supervisor above this process is being stopped: then an order arrives.
    #[cfg(feature = "process")]
    pub(crate) fn is_stop_expected(&self) -> bool {
        self.process.kernel.stop_above(&*self.process).is_some()
    }

    /// Whether this process is being stopped because the whole program got a signal to stop.
    #[cfg(feature = "process")]
    pub(crate) fn is_program_stop(&self) -> bool {
        self.process.kernel.stop_above(&*self.process) == Some(Above::Signal)
    }

    /// Whether the process was killed.
    #[cfg(feature = "process")]
    pub(crate) fn is_killed(&self) -> bool {
        self.process.is_exit_pending()
    }

    /// Whether it was told to stop, or killed.
    pub(crate) fn is_stop_requested(&self) -> bool {
        self.stop.is_cancelled() || self.received.is_some()
    }
}
