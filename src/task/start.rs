//! How a task is born.

use std::future::Future;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::base::pid::Pid;
use crate::child::TaskContext;
use crate::exit::reason::ExitReason;
use crate::kernel::admission::NewProcess;
use crate::message::received::Envelope;
use crate::process::AnyProcess;
use crate::runtime::Runtime;
use crate::runtime::spawn::plain;
use crate::task::Task;

/// Spawns the process of a task whose result is what its body returns.
pub(crate) fn launch_returning<T, Fut>(
    runtime: &Runtime,
    caller: Option<Pid>,
    body: impl FnOnce(TaskContext) -> Fut + Send + 'static,
) -> Task<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    // A result that nobody waits for any more is dropped there.
    launch(runtime, caller, |ctx, slot| body(ctx).map(|result| drop(slot.send(result))))
}

/// Spawns the process of a task, linked to its caller before its body runs. The body leaves
/// its result in the slot.
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
    let (process, admitted) = runtime.admit::<Envelope>(&NewProcess::default());
    let mut runs = admitted.is_ok();
    if runs && let Some(caller) = caller {
        runs = runtime.kernel.link_task(process.pid(), caller);
        if !runs {
            runtime.kernel.never_run(&*process, ExitReason::NoProc);
        }
    }
    let body = plain(move |ctx| body(TaskContext::new(ctx), slot));
    Task { handle: runtime.run(process, runs, body), caller, slot: Some(result) }
}
