//! The wait of a starter for the `init` of a server, and the end of a start that is not awaited.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Pid;
use crate::exit::{ExitReason, Result};
use crate::process::AnyProcess;
use crate::runtime::init_ack::Ack;
use crate::runtime::{Ended, Runtime, StartError, within};

const GUARDED: &str = "a guard has its process until it is kept";

/// Kills a process whose start is dropped before it has succeeded. It first gives up the link of the
/// parent, so the parent receives no exit signal.
pub(crate) struct StartGuard<R: Borrow<Runtime>> {
    runtime: R,
    parent: Option<Pid>,
    process: Option<Arc<dyn AnyProcess>>,
}

impl<R: Borrow<Runtime>> StartGuard<R> {
    pub(crate) fn new(runtime: R, parent: Option<Pid>, process: Arc<dyn AnyProcess>) -> Self {
        StartGuard { runtime, parent, process: Some(process) }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.process.as_ref().expect(GUARDED).pid()
    }

    /// Ends the guard, because the start has succeeded.
    pub(crate) fn keep(mut self) -> Arc<dyn AnyProcess> {
        self.process.take().expect(GUARDED)
    }

    /// Waits for the end of the process, after a start without an acknowledgement. Returns the error
    /// of the start: `refused`, if the server gave it.
    pub(crate) async fn failed(self, refused: Option<StartError>) -> StartError {
        let runtime = self.runtime.borrow();
        let reason = Ended::of(&runtime.kernel, self.process.clone()).await;
        // The reason is not searched for a `StartError`: a `StartError` in it belongs to another
        // start, which the `init` of this server called.
        refused.unwrap_or_else(|| runtime.start_error(reason))
    }
}

impl<R: Borrow<Runtime>> Drop for StartGuard<R> {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        let runtime = self.runtime.borrow();
        if let Some(parent) = self.parent {
            runtime.kernel.give_up_start(parent, process.pid());
        }
        runtime.kill(process.pid());
    }
}

/// Waits until a server has acknowledged its `init`; `acknowledged` resolves with `None` if it ends
/// without that. After an error the process has ended.
pub(crate) async fn await_init(
    guard: StartGuard<&Runtime>,
    acknowledged: impl Future<Output = Option<Ack>> + Unpin,
    limit: Option<Duration>,
) -> Result<(), StartError> {
    let acknowledged = match limit {
        None => Some(acknowledged.await),
        Some(limit) => within(&guard.runtime.kernel, limit, acknowledged).await,
    };
    let refused = match (acknowledged, limit) {
        (Some(Some(Ack::Started)), _) => {
            drop(guard.keep());
            return Ok(());
        }
        (Some(Some(Ack::Refused(error))), _) => Some(*error),
        (None, Some(limit)) => {
            let ended = Ended::of(&guard.runtime.kernel, guard.process.clone());
            // This kills the process.
            drop(guard);
            ended.await;
            return Err(StartError::InitTimeout(limit));
        }
        (Some(None) | None, _) => None,
    };
    Err(guard.failed(refused).await)
}

impl Runtime {
    /// The error of a start whose process has ended with this reason.
    pub(crate) fn start_error(&self, reason: ExitReason) -> StartError {
        match reason {
            ExitReason::Killed if self.kernel.tokio_is_gone() => StartError::TokioGone,
            reason => StartError::Failed(reason),
        }
    }
}
