//! The ways to start a supervisor: alone, from a process, or as a child of another supervisor.

use std::sync::Arc;

use async_trait::async_trait;

use crate::base::{CaughtDrop, MonitorRef, Pid, consume_budget};
use crate::child::{ChildSpec, StartChild, StartContext, Started};
use crate::exit::Result;
use crate::runtime::{Inside, Runtime, StartError, Starting};
use crate::supervisor::fixed::FixedServer;
use crate::supervisor::{SupervisorRef, SupervisorSpec};

impl SupervisorSpec {
    /// Starts the supervisor without a link to another process. Returns when all its children are
    /// ready. OTP: `supervisor:start_link/2`, without the link. [`SupervisorSpec`] has an example.
    ///
    /// The supervisor needs a tokio runtime with time enabled: without time, the supervisor crashes
    /// when it first waits with a time limit, for example when it stops a child.
    ///
    /// # Errors
    ///
    /// * [`StartError::Child`], with the id of the child, if a child failed. The children that were
    ///   started before it have been stopped in reverse order, and no process is left.
    /// * [`StartError::DuplicateId`] or [`StartError::Invalid`] if the description can't work. No
    ///   child was started.
    /// * [`StartError::AlreadyStarted`] if another process holds the supervisor's own name.
    /// * [`StartError::NameReserved`] if that name is reserved for a child that is being restarted.
    /// * [`StartError::TokioGone`] if the tokio runtime that `runtime` runs on has shut down.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless an earlier use of `runtime` was inside one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the start kills the supervisor, and with it all its children.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, StartError, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = || ChildSpec::task("job", |_| std::future::pending());
    /// let error = Supervisor::one_for_one().child(job()).child(job()).start(&rt).await;
    /// assert_eq!(error.unwrap_err(), StartError::DuplicateId("job".into()));
    /// assert_eq!(rt.spawned(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn start(self, runtime: &Runtime) -> Result<SupervisorRef, StartError> {
        consume_budget().await;
        let starting = self.starting(runtime)?;
        Ok(SupervisorRef { server: starting.run(self).await? })
    }

    /// Starts the supervisor, linked to the process `parent`. The link exists before the first
    /// child is started. When the parent ends, for whatever reason, the supervisor stops its
    /// children and ends with the same reason. OTP: `supervisor:start_link/2`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start). The error is the only report of a failed start: the parent
    /// receives no exit signal.
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (started, tree) = tokio::sync::oneshot::channel();
    /// let owner = rt.spawn(async move |ctx| {
    ///     let job = ChildSpec::task("job", |_| std::future::pending());
    ///     let tree = Supervisor::one_for_one().child(job).start_link(&ctx).await.unwrap();
    ///     started.send(tree).unwrap();
    ///     std::future::pending().await
    /// });
    /// let tree = tree.await?;
    /// owner.kill();
    /// assert_eq!(tree.ended().await, owner.join().await);
    /// assert_eq!(rt.process_count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn start_link(self, parent: &impl Inside) -> Result<SupervisorRef, StartError> {
        consume_budget().await;
        let starting = self.starting(&parent.runtime())?.linked(parent.pid());
        Ok(SupervisorRef { server: starting.run(self).await? })
    }

    /// Starts the supervisor, monitored by the process `watcher`. When the supervisor ends, the
    /// watcher receives a [`Received::Down`](crate::Received::Down). The two processes are not
    /// linked. OTP: `gen_server:start_monitor/3`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start). The error is the only report of a failed start: the watcher
    /// receives no `Down`.
    ///
    /// # Cancel safety
    ///
    /// As [`start`](Self::start).
    ///
    /// ```
    /// use regrow::{ExitReason, Received, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let watcher = rt.spawn_fallible(async move |mut ctx| {
    ///     let (tree, watched) = Supervisor::one_for_one().start_monitor(&ctx).await?;
    ///     tree.stop().await?;
    ///     let Received::Down { reference, reason, .. } = ctx.recv().await else { panic!() };
    ///     assert_eq!((reference, reason), (watched, ExitReason::Shutdown));
    ///     Ok(())
    /// });
    /// assert_eq!(watcher.join().await, ExitReason::Normal);
    /// # }));
    /// ```
    pub async fn start_monitor(
        self,
        watcher: &impl Inside,
    ) -> Result<(SupervisorRef, MonitorRef), StartError> {
        consume_budget().await;
        let starting = self.starting(&watcher.runtime())?;
        let (server, reference) = starting.run_monitored(self, watcher.pid()).await?;
        Ok((SupervisorRef { server }, reference))
    }

    /// Begins a start. Returns the pid of the supervisor, and the future of the outcome, which must
    /// be polled at once.
    pub(crate) fn begin(
        self,
        runtime: &Runtime,
    ) -> Result<(Pid, impl Future<Output = Result<SupervisorRef, StartError>>), StartError> {
        let (pid, started) = self.starting(runtime)?.begin(self)?;
        Ok((pid, async { Ok(SupervisorRef { server: started.await? }) }))
    }

    fn starting(&self, runtime: &Runtime) -> Result<Starting, StartError> {
        self.check()?;
        Ok(Starting::new(runtime).with_identity(self.id.clone(), self.name.clone()))
    }
}

/// Specifies a supervisor as a child of another supervisor, with the shutdown time
/// [`Infinity`](crate::Shutdown::Infinity).
impl From<SupervisorSpec> for ChildSpec {
    fn from(spec: SupervisorSpec) -> Self {
        let (id, name, spec) = (spec.id.to_string(), spec.name.clone(), Arc::new(spec));
        let mut child =
            ChildSpec::new(id, SupervisorStart(spec.clone())).supervisor(name, spec.clone());
        // What children of the supervisor have kept is released with the supervisor.
        if spec.children.iter().any(|child| child.spec.release.is_some()) {
            let release = move || spec.children.iter().for_each(|child| child.spec.release());
            child.edit().release = Some(CaughtDrop::new(Arc::new(release)));
        }
        child
    }
}

struct SupervisorStart(Arc<SupervisorSpec>);

#[async_trait]
impl StartChild for SupervisorStart {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        self.0.check()?;
        let mut spec = SupervisorSpec::clone(&self.0);
        // The id of the child can differ from the id in the supervisor's description.
        spec.id = ctx.spec.id.clone();
        ctx.server::<FixedServer>(spec).await
    }
}
