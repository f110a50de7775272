//! Starting a server: admission, `init`, acknowledgement.
//!
//! **Guarantee.** A start returns either a server whose `init` has succeeded, or an error. After an
//! error nothing is left of the process: no name, no link, no message to the parent or to a
//! watcher.
//!
//! **Steps**
//! 1. *Admit*: the process gets its pid, its name and the link to its parent, and is entered in the
//!    tables.
//! 2. *Run*: a task runs the [body](crate::server::run), which begins with `init`.
//! 3. *Wait* until the body has acknowledged its `init`, or refused the start, or has ended without
//!    doing either, or the time limit has passed.
//! 4. *Fail*: after a time-out the process is killed. An error is returned only when the process
//!    has ended.
//!
//! **Invariants**
//! 1. Until the acknowledgement the link to the parent is one-way: the end of the parent reaches
//!    the child, but a failure of the child is reported only by the result of the start.
//! 2. A start that is dropped first gives up the parent's link and then kills the process, so the
//!    parent receives no exit signal.
//! 3. A monitor that is set before the `init` delivers no `Down` if the start fails or is dropped.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::base::{MonitorRef, Pid, consume_budget};
use crate::driver::hosted::host_in;
use crate::kernel::{Kernel, Until, WaitEdge};
use crate::mailbox::Process;
use crate::runtime::{AckSender, StartError, StartGuard, Starter, Starting, await_init};
use crate::server::run::{self, Begin};
use crate::server::{GenServer, ServerContext, ServerItem, ServerRef};

/// The record of a server's process.
pub(crate) type ServerProcess<S> = Arc<Process<ServerItem<S>>>;

impl Starting {
    /// Starts a server, all steps.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` would hold its arguments twice")]
    pub(crate) fn run<S: GenServer>(
        mut self,
        args: S::Args,
    ) -> impl Future<Output = Result<ServerRef<S>, StartError>> + Send {
        async move {
            consume_budget().await;
            self.new_process.has_init = true;
            let process = self.admit::<ServerItem<S>>()?;
            let _waits = self.starter_waits(process.pid());
            self.init(args, process).await.map(ServerRef::direct)
        }
    }

    /// If the detection of deadlocks is on, notes that the process that calls the start waits for
    /// the `init`.
    fn starter_waits(&self, process: Pid) -> Option<WaitEdge> {
        self.runtime.kernel.waits.wait(self.runtime.current_pid(), process, Until::Started)
    }

    /// Admits a server, step 1. Returns its pid and a future that does the other steps. The future
    /// must be polled at once: until the first poll the process is in the tables and does not run.
    pub(crate) fn begin<S: GenServer>(
        self,
        args: S::Args,
    ) -> Result<(Pid, impl Future<Output = Result<ServerRef<S>, StartError>>), StartError> {
        let starting = self.with_init();
        let process = starting.admit::<ServerItem<S>>()?;
        let pid = process.pid();
        let waits = starting.starter_waits(pid);
        let started = async move {
            let _waits = waits;
            starting.init(args, process).await.map(ServerRef::direct)
        };
        Ok((pid, started))
    }

    /// Starts a server that `watcher` monitors. The monitor is set before the `init` runs.
    pub(crate) async fn run_monitored<S: GenServer>(
        self,
        args: S::Args,
        watcher: Pid,
    ) -> Result<(ServerRef<S>, MonitorRef), StartError> {
        consume_budget().await;
        let kernel = self.runtime.kernel.clone();
        let (pid, started) = self.begin(args)?;
        let reference = kernel.monitor(watcher, pid);
        let monitor = MonitorGuard { kernel, reference, kept: false };
        let server = started.await?;
        Ok((server, monitor.keep()))
    }

    /// Runs the `init` of a process that was admitted, steps 2 to 4.
    pub(crate) async fn init<S: GenServer>(
        &self,
        args: S::Args,
        process: ServerProcess<S>,
    ) -> Result<ServerProcess<S>, StartError> {
        let (ack, acknowledged) = oneshot::channel();
        self.spawn_server(args, process.clone(), Starter::Waiting(ack));
        let guard = StartGuard::new(&self.runtime, self.parent(), process.clone());
        await_init(guard, acknowledged.map(Result::ok), self.init_timeout).await?;
        Ok(process)
    }

    /// Spawns the task of a server that was admitted, step 2. The task acknowledges the `init` to
    /// `starter`.
    pub(crate) fn spawn_server<S: GenServer>(
        &self,
        args: S::Args,
        process: ServerProcess<S>,
        starter: Starter,
    ) {
        let begin = Begin {
            ack: AckSender::new(process.pid(), starter),
            parent: self.parent(),
            is_starting: self.new_process.is_starting(),
        };
        let mut context = ServerContext::new(process.clone(), &self.cause);
        context.set_limit(self.warn_after);
        self.runtime.spawn_body(host_in(process, run::body(args, context, begin)));
    }

    fn parent(&self) -> Option<Pid> {
        self.new_process.parent.map(|parent| parent.pid)
    }
}

/// Removes a monitor, and its `Down` if one is queued, unless the start succeeds. Invariant 3.
struct MonitorGuard {
    kernel: Arc<Kernel>,
    reference: MonitorRef,
    kept: bool,
}

impl MonitorGuard {
    fn keep(mut self) -> MonitorRef {
        self.kept = true;
        self.reference
    }
}

impl Drop for MonitorGuard {
    fn drop(&mut self) {
        if !self.kept {
            self.kernel.demonitor(self.reference, true);
        }
    }
}
