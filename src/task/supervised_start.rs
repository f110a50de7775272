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
use crate::runtime::errors::start_error::StartError;

/// A task that was not started yet. It is started once.
pub(crate) struct Once {
    order: Mutex<Option<Order>>,
    /// Whom it is to be linked to.
    caller: Option<Pid>,
}

struct Order {
    body: Box<dyn FnOnce(Context) -> Body + Send>,
    handle: oneshot::Sender<Born>,
}

/// The handle on its way. Dropped on it, it kills the task, and its caller hears nothing.
pub(crate) struct Born {
    task: ProcessHandle,
    caller: Option<Pid>,
    arrived: bool,
}

impl Born {
    pub(crate) fn arrive(mut self) -> ProcessHandle {
        self.arrived = true;
        self.task.clone()
    }
}

impl Drop for Born {
    fn drop(&mut self) {
        if self.arrived {
            return;
        }
        if let Some(caller) = self.caller {
            self.task.runtime.unlink(caller, self.task.pid());
        }
        self.task.kill();
    }
}

impl Once {
    /// The task, and where its handle arrives.
    pub(crate) fn new(
        caller: Option<Pid>,
        body: impl FnOnce(Context) -> Body + Send + 'static,
    ) -> (Self, oneshot::Receiver<Born>) {
        let (handle, arrives) = oneshot::channel();
        let order = Order { body: Box::new(body), handle };
        (Once { order: Mutex::new(Some(order)), caller }, arrives)
    }

    fn take(&self) -> Option<Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl StartChild for Once {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let order = self.take().filter(|order| !order.handle.is_closed());
        let Some(Order { body, handle }) = order else { return Err(StartError::Ignored) };
        let starting = ctx.starting().without_init();
        // Not listed in the context: nothing is awaited below, and it runs only if all went well.
        let process = ctx.admit_at_once::<Envelope>(&starting)?;
        let kernel = &ctx.runtime.kernel;
        if let Some(caller) = self.caller
            && !kernel.link_task(process.pid(), caller)
        {
            return Err(starting.refused(kernel.end_unstarted(&*process, ExitReason::NoProc)));
        }
        let task = ctx.runtime.run(process, true, body);
        let started = ctx.started(task.process.clone());
        drop(handle.send(Born { task, caller: self.caller, arrived: false }));
        Ok(started)
    }
}
