//! Spawns the processes of tasks.

use tokio::sync::oneshot;

use crate::base::Pid;
use crate::child::TaskContext;
use crate::exit::ExitReason;
use crate::kernel::ORDINARY;
use crate::message::Envelope;
use crate::runtime::Runtime;
use crate::runtime::spawn::plain;
use crate::task::Task;

/// Returns a function that puts a result into this slot. The result is dropped if the handle of the
/// task was dropped. Invariant 2.
pub(crate) fn deliver<T>(slot: oneshot::Sender<T>) -> impl FnOnce(T) {
    |result| drop(slot.send(result))
}

/// Spawns a task whose body puts the result into the slot. The task is linked to its caller before
/// the body runs. Invariant 4.
pub(crate) fn launch<T, Fut>(
    runtime: &Runtime,
    caller: Option<Pid>,
    body: impl FnOnce(TaskContext, oneshot::Sender<T>) -> Fut + Send + 'static,
) -> Task<T>
where
    T: Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (slot, result) = oneshot::channel();
    let (process, admitted) = runtime.admit::<Envelope>(&ORDINARY);
    let mut runs = admitted.is_ok();
    if runs && let Some(caller) = caller {
        runs = runtime.kernel.link_task(process.pid(), caller);
        if !runs {
            runtime.kernel.end_unstarted(&*process, ExitReason::NoProc);
        }
    }
    let metadata = runtime.kernel.captured();
    // The code that makes the future of the task sees the metadata, too.
    let body =
        plain(move |ctx| metadata.hand_on(async move { body(TaskContext::new(ctx), slot).await }));
    Task { handle: runtime.run(process, runs, body), caller, slot: Some(result) }
}
