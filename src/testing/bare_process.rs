//! A process that does nothing by itself: the test reads its mailbox.
//!
//! Its life waits until the test lets it go, or until an exit signal ends it; either way it
//! is torn down like any other, so what is linked to it, watches it or calls it hears the
//! truth. What comes after its end is refused, as everywhere. What the test has not read
//! by then is never handed out; calls among it are told of the end, if the life keeps the
//! reader, and otherwise when the test drops that.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use crate::base::pid::Pid;
use crate::base::sync::atomic::Ordering;
use crate::call::reply_slot::resolve_handed_over;
use crate::exit::reason::ExitReason;
use crate::kernel::admission::NewProcess;
use crate::kernel::closing::End;
use crate::mailbox::inbox::Item;
use crate::mailbox::record::Process;
use crate::process::{AnyProcess, flag};
use crate::runtime::Runtime;
use crate::runtime::ended::Ended;

/// The process, for as long as the test holds this; then it ends normally.
pub(super) struct StandIn<M: Item> {
    process: Arc<Process<M>>,
    end: oneshot::Sender<ExitReason>,
}

impl<M: Item> StandIn<M> {
    /// What `keeps` gives lives as long as the process does.
    pub(super) fn new<K: Send + 'static>(
        runtime: &Runtime,
        new_process: &NewProcess,
        keeps: impl FnOnce(&Arc<Process<M>>) -> K,
    ) -> Self {
        let (end, mut told) = oneshot::channel();
        let (process, born) = runtime.admit::<M>(new_process);
        if let Err(not_admitted) = born {
            panic!("no process was started: {not_admitted:?}");
        }
        let (kept, itself) = (keeps(&process), process.clone());
        let life = async move {
            let _kept = kept;
            let end = poll_fn(|cx| {
                resolve(&*itself);
                Pin::new(&mut told).poll(cx)
            });
            End::Returned(end.await.unwrap_or(ExitReason::Normal))
        };
        runtime.spawn_future(process.clone(), Box::pin(life));
        StandIn { process, end }
    }

    pub(super) fn process(&self) -> &Arc<Process<M>> {
        &self.process
    }

    pub(super) fn pid(&self) -> Pid {
        self.process.pid()
    }

    pub(super) fn runtime(&self) -> Runtime {
        Runtime { kernel: self.process.kernel.clone() }
    }

    pub(super) fn ended(&self) -> Ended {
        Ended::of(&self.runtime(), Some(self.process.clone()))
    }

    /// Lets it end with this reason, and gives the true one.
    pub(super) async fn end(self, reason: ExitReason) -> ExitReason {
        let ended = self.ended();
        // It may have ended before.
        let _ = self.end.send(reason);
        ended.await
    }

    /// Waits for something, or for the end of the process.
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

/// Callers whose replies were dropped hear it; of a process that is ending, from its end.
pub(super) fn resolve(process: &dyn AnyProcess) {
    let flags = process.flags().load(Ordering::Acquire);
    if flags & flag::UNANSWERED != 0 && flags & flag::EXIT_PENDING == 0 {
        resolve_handed_over(process);
    }
}
