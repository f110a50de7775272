//! Starting a server, and waiting for its init.
//!
//! Until the start is acknowledged the parent's link is one-way: a child that fails is
//! told by the start's result alone. Dropping the start kills the child.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::base::coop::consume_budget;
use crate::base::pid::{MonitorRef, Pid};
use crate::kernel::Kernel;
use crate::kernel::wait_graph::{Until, WaitEdge};
use crate::mailbox::record::Process;
use crate::process::AnyProcess;
use crate::runtime::Runtime;
use crate::runtime::deadline::within;
use crate::runtime::ended::{Ended, ProcessHandle};
use crate::runtime::errors::call_error::StartError;
use crate::runtime::starting::Starting;
use crate::server::item::ServerItem;
use crate::server::run::{self, Ack};
use crate::server::{GenServer, ServerContext, ServerRef};

/// A server's process, started.
pub(crate) type ServerProcess<S> = Arc<Process<ServerItem<S>>>;

impl Starting {
    pub(crate) async fn run<S: GenServer>(self, args: S::Args) -> Result<ServerRef<S>, StartError> {
        consume_budget().await;
        let starting = self.with_init();
        let process = starting.admit::<S>()?;
        let _waits = starting.starter_waits(process.pid());
        starting.init(args, process).await.map(ServerRef::direct)
    }

    /// Where deadlocks are looked for: the process that calls the start waits for the `init`.
    fn starter_waits(&self, process: Pid) -> Option<WaitEdge> {
        self.runtime().kernel.waits.wait(self.runtime().current_pid(), process, Until::Started)
    }

    /// Begins the start of a server: who it is, and what the start comes to. That is to be
    /// polled at once.
    pub(crate) fn begin<S: GenServer>(
        self,
        args: S::Args,
    ) -> Result<(Pid, impl Future<Output = Result<ServerRef<S>, StartError>>), StartError> {
        let starting = self.with_init();
        let process = starting.admit::<S>()?;
        let pid = process.pid();
        let waits = starting.starter_waits(pid);
        let started = async {
            let _waits = waits;
            starting.init(args, process).await.map(ServerRef::direct)
        };
        Ok((pid, started))
    }

    /// Starts a server that `watcher` monitors from before its init on. A start that
    /// failed leaves no `Down`.
    pub(crate) async fn run_monitored<S: GenServer>(
        self,
        args: S::Args,
        watcher: Pid,
    ) -> Result<(ServerRef<S>, MonitorRef), StartError> {
        consume_budget().await;
        let starting = self.with_init();
        let process = starting.admit::<S>()?;
        let kernel = process.kernel.clone();
        let reference = kernel.monitor(watcher, process.pid());
        let _waits = starting.starter_waits(process.pid());
        let watched = MonitorGuard { kernel, reference, kept: false };
        let process = starting.init(args, process).await?;
        Ok((ServerRef::direct(process), watched.keep()))
    }

    fn admit<S: GenServer>(&self) -> Result<ServerProcess<S>, StartError> {
        let (process, admitted) = self.runtime().admit::<ServerItem<S>>(self.new_process());
        match admitted {
            Ok(()) => {
                self.log(process.pid());
                Ok(process)
            }
            Err(not_admitted) => Err(self.refused(not_admitted)),
        }
    }

    /// Runs the init of a process that is in the tables, and waits for what it comes to.
    pub(crate) async fn init<S: GenServer>(
        self,
        args: S::Args,
        process: ServerProcess<S>,
    ) -> Result<ServerProcess<S>, StartError> {
        let (ack, acknowledged) = oneshot::channel();
        let ack = run::AckSender::new(ack);
        let parent = self.new_process().parent.map(|parent| parent.pid);
        let context = ServerContext::new(process.clone(), parent, self.cause());
        let context = context.with_limit(self.warn_after());
        self.runtime().spawn_future(process.clone(), Box::pin(run::body(args, context, ack)));
        let start_guard =
            StartGuard { runtime: self.runtime(), parent, process: Some(process.clone()) };
        let limit = self.init_timeout();
        let acknowledged = match limit {
            None => Some(acknowledged.await),
            Some(limit) => within(&self.runtime().kernel, limit, acknowledged).await,
        };
        let error = match (acknowledged, limit) {
            (Some(Ok(Ack::Started)), _) => {
                start_guard.keep();
                return Ok(process);
            }
            (Some(Ok(Ack::Refused(error))), _) => Some(*error),
            (None, Some(limit)) => Some(StartError::InitTimeout(limit)),
            (Some(Err(_)) | None, _) => None,
        };
        let ended = Ended::of(self.runtime(), Some(process));
        if matches!(error, Some(StartError::InitTimeout(_))) {
            drop(start_guard);
        }
        let reason = ended.await;
        // Never looked into: a start error in there is of a start that the init called.
        Err(error.unwrap_or_else(|| self.failed(reason)))
    }
}

/// Kills a process whose start is dropped half way. Nobody hears of it.
struct StartGuard<'a> {
    runtime: &'a Runtime,
    parent: Option<Pid>,
    process: Option<Arc<dyn AnyProcess>>,
}

impl StartGuard<'_> {
    fn keep(mut self) {
        self.process = None;
    }
}

impl Drop for StartGuard<'_> {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        if let Some(parent) = self.parent {
            self.runtime.kernel.give_up_start(parent, process.pid());
        }
        ProcessHandle { runtime: self.runtime.clone(), process }.kill();
    }
}

/// A monitor of a process whose start has not succeeded yet: without that it leaves no `Down`.
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
