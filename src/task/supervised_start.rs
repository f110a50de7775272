//! Starts a task under a supervisor.
//!
//! The supervisor's process starts the task, and links the task to the supervisor and to the caller
//! before the task's body runs. The handle is sent through a channel of its own, not looked up by
//! the pid in the supervisor's reply, because the task may have ended before that reply is read.
//!
//! 1. If the caller drops its request before the supervisor handles it, no task is started.
//! 2. If the caller drops its request later, the handle is dropped, and its drop kills the task.
//! 3. If the caller ends before the link, the body never runs, and the start fails.
//! 4. If the task ends before the supervisor's reply, the handle has its outcome.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::base::Pid;
use crate::child::{StartChild, StartContext, Started};
use crate::driver::Body;
use crate::exit::{ExitReason, Result};
use crate::message::Envelope;
use crate::runtime::{Context, ProcessHandle, StartError};

/// The start function of a task, which starts the task once.
pub(crate) struct SupervisedTask {
    start: Mutex<Option<PendingStart>>,
    /// The process that the task is linked to.
    caller: Option<Pid>,
}

/// The body of a task, and the channel for its handle. The start takes them once.
struct PendingStart {
    body: Box<dyn FnOnce(Context) -> Body + Send>,
    handle: oneshot::Sender<StartedTask>,
}

/// The handle of a started task until the caller takes it. The drop of a handle that was not taken
/// unlinks the caller and kills the task. Rule 2.
pub(crate) struct StartedTask {
    /// `None` once the handle was taken.
    task: Option<ProcessHandle>,
    caller: Option<Pid>,
}

impl StartedTask {
    /// Takes the handle. The drop of `self` then does not kill the task.
    pub(crate) fn take_handle(&mut self) -> Option<ProcessHandle> {
        self.task.take()
    }
}

impl Drop for StartedTask {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        if let Some(caller) = self.caller {
            task.runtime.unlink(caller, task.pid());
        }
        task.kill();
    }
}

impl SupervisedTask {
    /// Returns the start function of a task, and the receiver of its handle.
    pub(crate) fn new(
        caller: Option<Pid>,
        body: impl FnOnce(Context) -> Body + Send + 'static,
    ) -> (Self, oneshot::Receiver<StartedTask>) {
        let (handle, delivery) = oneshot::channel();
        let start = PendingStart { body: Box::new(body), handle };
        (SupervisedTask { start: Mutex::new(Some(start)), caller }, delivery)
    }

    fn take(&self) -> Option<PendingStart> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl StartChild for SupervisedTask {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let start = self.take().filter(|start| !start.handle.is_closed());
        let Some(PendingStart { body, handle }) = start else { return Err(StartError::Ignored) };
        let starting = ctx.starting().without_init();
        // The process is not listed in the context, because nothing is awaited below, and the body
        // runs only if the start succeeds.
        let process = starting.admit::<Envelope>()?;
        let kernel = &ctx.runtime.kernel;
        if let Some(caller) = self.caller
            && !kernel.link_task(process.pid(), caller)
        {
            return Err(starting.refused(kernel.end_unstarted(&*process, ExitReason::NoProc)));
        }
        let task = ctx.runtime.run(process, true, body);
        let started = ctx.started(task.process.clone());
        drop(handle.send(StartedTask { task: Some(task), caller: self.caller }));
        Ok(started)
    }
}
