//! A process whose mailbox a test reads, without a body of its own.
//!
//! The future of the process waits until the test or an exit signal ends the process. In both cases
//! the process is torn down like any other, so linked processes, monitors and callers receive the
//! true exit reason, and messages that arrive later are refused.
//!
//! Messages that the test has not read before the end of the process are not handed out any more.
//! Calls among these messages are resolved at the end if the future of the process drops the
//! mailbox reader, and otherwise when the test drops it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use crate::base::Pid;
use crate::base::sync::atomic::Ordering;
use crate::call::resolve_handed_over;
use crate::driver::host;
use crate::exit::ExitReason;
use crate::kernel::{End, NewProcess};
use crate::mailbox::{Item, Process};
use crate::process::{AnyProcess, flag};
use crate::runtime::{Ended, Runtime};

/// The handle to the process, which ends normally when the handle is dropped.
pub(super) struct BareProcess<M: Item> {
    process: Arc<Process<M>>,
    end: oneshot::Sender<ExitReason>,
}

impl<M: Item> BareProcess<M> {
    /// Starts the process. The value that `make_guard` returns is dropped when the process ends.
    pub(super) fn new<K: Send + 'static>(
        runtime: &Runtime,
        new_process: &NewProcess,
        make_guard: impl FnOnce(&Arc<Process<M>>) -> K,
    ) -> Self {
        let (end, mut end_requested) = oneshot::channel();
        let (process, admitted) = runtime.admit::<M>(new_process);
        if let Err(not_admitted) = admitted {
            panic!("no process was started: {not_admitted:?}");
        }
        let (guard, itself) = (make_guard(&process), process.clone());
        let body = async move {
            let _guard = guard;
            let end = poll_fn(|cx| {
                resolve_dropped_replies(&*itself);
                Pin::new(&mut end_requested).poll(cx)
            });
            End::Returned(end.await.unwrap_or(ExitReason::Normal))
        };
        runtime.spawn_body(host(process.clone(), body));
        BareProcess { process, end }
    }

    pub(super) fn inner(&self) -> &Arc<Process<M>> {
        &self.process
    }

    pub(super) fn pid(&self) -> Pid {
        self.process.pid()
    }

    pub(super) fn runtime(&self) -> Runtime {
        Runtime { kernel: self.process.kernel.clone() }
    }

    pub(super) fn ended(&self) -> Ended {
        Ended::of(&self.process.kernel, Some(self.process.clone()))
    }

    /// Ends the process with this reason, and returns its true exit reason.
    pub(super) async fn end(self, reason: ExitReason) -> ExitReason {
        let ended = self.ended();
        // An error means that the process has ended already.
        let _ = self.end.send(reason);
        ended.await
    }

    /// Waits for the polled value, or for the end of the process.
    pub(super) async fn or_ended<T>(
        &self,
        poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Unpin,
    ) -> Result<T, ExitReason> {
        match select(poll_fn(poll), self.ended()).await {
            Either::Left((some, _)) => Ok(some),
            Either::Right((reason, _)) => Err(reason),
        }
    }
}

/// Resolves calls whose replies were dropped. If an exit is pending, the end of the process
/// resolves them instead, with the exit reason.
pub(super) fn resolve_dropped_replies(process: &dyn AnyProcess) {
    let flags = process.flags().load(Ordering::Acquire);
    if flags & flag::UNANSWERED != 0 && flags & flag::EXIT_PENDING == 0 {
        resolve_handed_over(process);
    }
}
