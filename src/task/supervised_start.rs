//! How a task is born under a supervisor: in the supervisor's process, linked to that and to
//! its caller before its body runs.
//!
//! The handle comes back beside the supervisor's answer, since a task may be over before that
//! answer is read. What happens when somebody ends between any two steps:
//!
//! 1. caller gives up before the supervisor comes to it: nothing is started;
//! 2. caller gives up after that: wherever the handle is then, dropping it kills the task;
//! 3. caller ends before the link: the body never runs, and the start has failed;
//! 4. task ends before the answer: the handle has its outcome.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::base::pid::Pid;
use crate::child::{StartChild, StartContext, Started};
use crate::driver::body::Body;
use crate::exit::reason::{ExitReason, Result};
use crate::message::received::Envelope;
use crate::process::AnyProcess;
use crate::runtime::context::Context;
use crate::runtime::ended::ProcessHandle;
use crate::runtime::errors::call_error::StartError;

/// A task that was not started yet. It is started once.
pub(crate) struct SupervisedTask {
    start: Mutex<Option<PendingStart>>,
    /// Whom it is to be linked to.
    caller: Option<Pid>,
}

struct PendingStart {
    body: Box<dyn FnOnce(Context) -> Body + Send>,
    handle: oneshot::Sender<StartedTask>,
}

/// The handle on its way. Dropped on it, it kills the task, and its caller hears nothing.
pub(crate) struct StartedTask {
    task: ProcessHandle,
    caller: Option<Pid>,
    delivered: bool,
}

impl StartedTask {
    pub(crate) fn into_handle(mut self) -> ProcessHandle {
        self.delivered = true;
        self.task.clone()
    }
}

impl Drop for StartedTask {
    fn drop(&mut self) {
        if self.delivered {
            return;
        }
        if let Some(caller) = self.caller {
            self.task.runtime.unlink(caller, self.task.pid());
        }
        self.task.kill();
    }
}

impl SupervisedTask {
    /// The task, and where its handle arrives.
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
        let starting = ctx.starting().started_at_once();
        // Not listed in the context: nothing is awaited below, and it runs only if all went well.
        let process = ctx.admit_at_once::<Envelope>(&starting)?;
        let kernel = &ctx.runtime.kernel;
        if let Some(caller) = self.caller
            && !kernel.link_task(process.pid(), caller)
        {
            return Err(starting.refused(kernel.never_run(&*process, ExitReason::NoProc)));
        }
        let task = ctx.runtime.run(process, true, body);
        let started = ctx.started(task.process.clone());
        drop(handle.send(StartedTask { task, caller: self.caller, delivered: false }));
        Ok(started)
    }
}
