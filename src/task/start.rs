//! Spawns the processes of tasks.

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

/// Spawns a task whose result is the output of its body.
pub(crate) fn launch_returning<T, Fut>(
    runtime: &Runtime,
    caller: Option<Pid>,
    body: impl FnOnce(TaskContext) -> Fut + Send + 'static,
) -> Task<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    // The send fails if the handle was dropped. Invariant 2.
    launch(runtime, caller, |ctx, slot| body(ctx).map(|result| drop(slot.send(result))))
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
    let (process, admitted) = runtime.admit::<Envelope>(&NewProcess::default());
    let mut runs = admitted.is_ok();
    if runs && let Some(caller) = caller {
        runs = runtime.kernel.link_task(process.pid(), caller);
        if !runs {
            runtime.kernel.end_unstarted(&*process, ExitReason::NoProc);
        }
    }
    let body = plain(move |ctx| body(TaskContext::new(ctx), slot));
    Task { handle: runtime.run(process, runs, body), caller, slot: Some(result) }
}
