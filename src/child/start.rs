//! Start functions of children, and the context through which they start processes.
//!
//! Only a [`StartContext`] makes a [`Started`], and the context links each process to the
//! supervisor. So every child is linked to its supervisor.

use std::sync::Arc;

use async_trait::async_trait;

use crate::base::{Pid, consume_budget};
use crate::child::started_processes::StartedProcesses;
use crate::child::stop_requests::is_stop_requested;
use crate::child::{ChildType, Restart, Spec, TaskContext, end_of};
use crate::driver::{self, Body};
use crate::exit::Result;
use crate::kernel::{Until, WaitEdge};
use crate::mailbox::{Item, Process};
use crate::message::Envelope;
use crate::process::{AnyProcess, ChildFacts, ChildRole, ChildSlot, ChildStop, Parent};
use crate::runtime::{
    Context, Runtime, StartAcks, StartCause, StartError, StartGuard, Starter, Starting, await_init,
};

/// A start function of a child, called for its first start and for each restart.
///
/// Implement it, with the `async-trait` crate, for a child whose start may fail before the child
/// runs, has to look something up, or decides what to start. Each call starts one process through
/// the [`StartContext`]. The process is then a child like any other. The trait is object-safe,
/// because a supervisor holds many kinds of children.
///
/// | method | starts | as a [`ChildSpec`](crate::ChildSpec) |
/// |---|---|---|
/// | [`task`](StartContext::task) | a plain async closure | [`ChildSpec::task`](crate::ChildSpec::task) |
/// | [`server`](StartContext::server) | a server | [`GenServer::child`](crate::GenServer::child) |
/// | [`blocking`](StartContext::blocking) | a function on a thread | [`ChildSpec::blocking`](crate::ChildSpec::blocking) |
/// | [`serve`](StartContext::serve) | a server with a shutdown signal | [`ChildSpec::serve`](crate::ChildSpec::serve) |
/// | `command`, with the feature `process` | a program | `ChildSpec::command` |
///
/// OTP: the `start` function of a child specification, which may return the pid of any process.
/// Here only the [`StartContext`] makes a [`Started`], so a child is always linked to its
/// supervisor.
///
/// # Examples
///
/// A child whose start may fail. The failure is a failed start, not a crash:
///
/// ```
/// use std::path::PathBuf;
/// use regrow::{ChildSpec, Runtime, StartChild, StartContext, StartError, Started, Supervisor};
///
/// /// Serves the text of a file, read at its start.
/// struct Motd(PathBuf);
///
/// #[async_trait::async_trait]
/// impl StartChild for Motd {
///     async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
///         let text = std::fs::read(&self.0).map_err(|error| StartError::Failed(error.into()))?;
///         ctx.task(async move |_| {
///             assert!(!text.is_empty());
///             std::future::pending().await // … serving it …
///         })
///         .await
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let tree = Supervisor::one_for_one().start(&rt).await?;
/// assert!(tree.start_child(ChildSpec::new("motd", Motd("Cargo.toml".into()))).await.is_ok());
///
/// let missing = ChildSpec::new("missing", Motd("/no/such/file".into()));
/// let error = tree.start_child(missing).await.unwrap_err();
/// assert!(matches!(error, StartError::Failed(_)));
/// assert_eq!(tree.count_children().await?.specs, 1); // the failed child is not kept
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[async_trait]
pub trait StartChild: Send + Sync + 'static {
    /// Starts one incarnation, and returns when the incarnation counts as started. A
    /// [`Supervisor`](crate::Supervisor) runs this function in its own process, and handles nothing
    /// else until the function returns. A dynamic supervisor continues to handle requests.
    ///
    /// Return the [`Started`] of one process that was started through `ctx` in this call. The
    /// process may have ended by then. All other processes that were started through `ctx` are
    /// stopped before the child counts as started, and each is logged as a warning.
    ///
    /// # Errors
    ///
    /// The reason why the start failed. All processes that were started through `ctx` are stopped
    /// as the child's specification says, the last first. Before the supervisor continues, these
    /// processes have ended, and none of them holds the child's name.
    ///
    /// * [`StartError::Ignored`] does not count as a failure: no process runs, and a
    ///   [`Supervisor`](crate::Supervisor) keeps the specification unless the child is temporary. A
    ///   dynamic supervisor keeps no such child.
    /// * Convert the error of any *other* start before you return it by `?`: an error that this
    ///   function returns counts as an error of this child.
    /// * A start that takes longer than the child's
    ///   [`init_timeout`](crate::ChildSpec::init_timeout) fails with [`StartError::InitTimeout`].
    /// * A start that returns a [`Started`] of another call fails with [`StartError::Invalid`]. The
    ///   process of that [`Started`] is not stopped.
    ///
    /// # Panics
    ///
    /// A panic in this function is a crash of the supervisor; under a dynamic supervisor it is a
    /// failed start. The processes that were started through `ctx` are stopped first.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped at its current await when its time limit has passed, when the
    /// supervisor is killed, and when a dynamic supervisor stops or terminates the child. The
    /// processes that were started through `ctx` by then are stopped if the time limit has passed;
    /// in the other cases they are killed.
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError>;
}

/// A started child. Only a [`StartContext`] makes this value. [`StartChild`] has an example.
#[derive(Debug)]
pub struct Started {
    pub(crate) process: Arc<dyn AnyProcess>,
    /// The call of a start function that started the process.
    pub(crate) start_id: StartId,
}

/// Identifies one call of a start function, among the calls of all runtimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StartId {
    /// The runtime's number. A [`Started`] keeps its process alive, and the process keeps the
    /// runtime alive, so the number is not used again while the `Started` exists.
    runtime: usize,
    supervisor: Pid,
    slot: ChildSlot,
}

impl Started {
    /// Returns the child's pid. [`StartContext::supervisor`] has an example.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }
}

/// Starts the processes of a child: each is linked to the supervisor, registered under the child's
/// name, and labelled with the child's id.
///
/// Each method call starts one process. The process whose [`Started`] the start function returns is
/// the child; all others are stopped when the start function returns. [`StartChild`] has an
/// example.
#[derive(Debug)]
pub struct StartContext {
    pub(crate) runtime: Runtime,
    pub(crate) supervisor: Pid,
    /// Identifies this start of the child within the supervisor.
    pub(crate) slot: ChildSlot,
    pub(crate) spec: Arc<Spec>,
    pub(crate) cause: StartCause,
    /// The facts for the records of the processes of this start.
    pub(crate) facts: ChildFacts,
    /// The processes of this start, until it is finished.
    pub(crate) started_processes: StartedProcesses,
    /// Whether the last registration failed because another process held the child's name, or the
    /// name was reserved for another child.
    pub(crate) name_taken: bool,
    /// The last process that was admitted for this start.
    pub(crate) last_admitted: Option<Pid>,
    /// `Some` if the supervisor waits for the start: the edges from the supervisor to the processes
    /// of the start in the wait graph, for deadlock detection.
    pub(crate) waits: Option<Vec<WaitEdge>>,
}

impl StartContext {
    /// Returns the runtime that the child is started in. [`supervisor`](Self::supervisor) has an
    /// example.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns the supervisor's pid.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, StartChild, StartContext, StartError, Started, Supervisor};
    ///
    /// /// Joins a group named after its supervisor, before it counts as started.
    /// struct Member;
    ///
    /// #[async_trait::async_trait]
    /// impl StartChild for Member {
    ///     async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
    ///         let started = ctx.task(|_| std::future::pending()).await?;
    ///         let group = format!("children of {}", ctx.supervisor());
    ///         ctx.runtime().register_tag(group, started.pid());
    ///         Ok(started)
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one().child(ChildSpec::new("member", Member)).start(&rt).await?;
    /// let pid = tree.which_children().await?[0].pid().unwrap();
    /// assert_eq!(rt.whereis_tag(&format!("children of {}", tree.pid().unwrap())), [pid]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn supervisor(&self) -> Pid {
        self.supervisor
    }

    /// Starts a plain async closure as the child. [`StartChild`] has an example.
    ///
    /// # Errors
    ///
    /// [`StartError::AlreadyStarted`] if another process holds the child's name,
    /// [`StartError::NameReserved`] if the name is reserved for another child,
    /// [`StartError::Failed`] if the runtime is shut down or the supervisor has ended.
    ///
    /// # Cancel safety
    /// Cancel safe: the future waits only for tokio's cooperative budget, before it starts the
    /// child.
    pub async fn task<F, Fut>(&mut self, body: F) -> Result<Started, StartError>
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        consume_budget().await;
        let process = self.admit(&self.starting().without_init())?;
        Ok(self.run_task(process, body))
    }

    /// Admits the process of a task whose start cannot fail afterwards, so the process is not listed
    /// in `started_processes`.
    pub(crate) fn admit_task(&self) -> Result<Arc<Process<Envelope>>, StartError> {
        self.starting().without_init().admit()
    }

    /// Runs the body of a task in its admitted process.
    pub(crate) fn run_task<F, Fut>(&self, process: Arc<Process<Envelope>>, body: F) -> Started
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let (own, cause) = (process.clone(), self.cause.clone());
        let body = move |ctx| body(TaskContext::new(ctx).with_cause(cause));
        let finish = move |result| end_of(result, is_stop_requested(&own));
        self.run(process.clone(), |ctx| driver::body(process, || body(ctx), finish))
    }

    /// Adds a process without a body to the tables and logs its start. [`run`](Self::run) runs a
    /// body in it.
    pub(crate) fn admit<M: Item>(
        &mut self,
        starting: &Starting,
    ) -> Result<Arc<Process<M>>, StartError> {
        let admitted = starting.admit();
        // The flag is set here, at the registration of the name, because an error that the start
        // function returns may come from another start.
        // An error about the key of a registry is no error about the name.
        self.name_taken = self.spec.key.is_none()
            && match &admitted {
                Err(StartError::AlreadyStarted { pid, .. }) => {
                    !self.started_processes.contains(*pid)
                }
                Err(StartError::NameReserved { .. }) => true,
                _ => false,
            };
        if let Ok(process) = &admitted {
            self.last_admitted = Some(process.pid());
            self.started_processes.push(process.clone());
            if let Some(waits) = &mut self.waits {
                let waited = &self.runtime.kernel.waits;
                waits.extend(waited.wait(self.supervisor, process.pid(), Until::Started));
            }
        }
        admitted
    }

    /// Runs a body in an admitted process.
    pub(crate) fn run(
        &self,
        process: Arc<Process<Envelope>>,
        body: impl FnOnce(Context) -> Body,
    ) -> Started {
        self.started(self.runtime.run(process, true, body).process)
    }

    pub(crate) fn started(&self, process: Arc<dyn AnyProcess>) -> Started {
        Started { process, start_id: self.start_id() }
    }

    pub(crate) fn start_id(&self) -> StartId {
        let runtime = self.runtime.kernel.number();
        StartId { runtime, supervisor: self.supervisor, slot: self.slot }
    }

    /// Marks the start as finished: its processes are no longer killed when the context is dropped.
    pub(crate) fn finish(&mut self) {
        drop(self.started_processes.take());
    }

    /// Returns why the child is started: for the first time, or again, and after which exit.
    /// [`ServerContext::start_cause`](crate::ServerContext::start_cause) has an example.
    pub fn cause(&self) -> &StartCause {
        &self.cause
    }

    pub(crate) fn starting(&self) -> Starting {
        let spec = &*self.spec;
        let stop = match spec.ready_within {
            Some(_) => ChildStop::Starting,
            None => ChildStop::No,
        };
        let role = Some(ChildRole { slot: self.slot, restart: spec.restart, stop });
        let parent = Parent { pid: self.supervisor, shutdown: spec.shutdown, role };
        let mut starting = Starting::new(&self.runtime)
            .with_identity(spec.id.clone(), spec.name.clone())
            .with_parent(parent);
        starting.new_process.child = Some(self.facts.clone());
        starting.warn_after = spec.warn_after;
        starting.cause = self.cause.clone();
        if spec.kind == ChildType::Worker {
            // The bound does not apply to a supervisor, because messages that the supervisor sends
            // to itself must not be dropped.
            starting.new_process.mailbox = spec.mailbox;
            starting.new_process.keeps_queue =
                spec.keeps_queue && spec.restart != Restart::Temporary;
        }
        starting.new_process.key = spec.key.as_deref().cloned();
        if spec.kind == ChildType::Supervisor {
            // The children of a supervisor become orphans if it ends before them.
            let ancestors = self.runtime.kernel.ancestors(self.supervisor, self.slot);
            starting.new_process.ancestors = Some(ancestors);
        }
        starting
    }
}

impl StartContext {
    /// Starts a server, and returns when its `init` has returned. `acks` are those of a starter that
    /// starts one child at a time.
    async fn await_server(
        &mut self,
        start: &dyn StartServer,
        acks: Option<&Arc<StartAcks>>,
    ) -> Result<Started, StartError> {
        let acks = acks.cloned().unwrap_or_default();
        acks.clear();
        let process = start.begin(self, Starter::Process(acks.clone()))?;
        let guard = StartGuard::new(&self.runtime, Some(self.supervisor), process.clone());
        let initialized = await_init(guard, acks.next(process.pid()), None).await;
        if initialized.is_err() {
            // The process has ended, so the start need not stop it.
            self.started_processes.remove(process.pid());
        }
        initialized.map(|()| self.started(process))
    }
}

/// Dropping an unfinished start kills its processes.
impl Drop for StartContext {
    fn drop(&mut self) {
        for process in self.started_processes.take() {
            self.runtime.kernel.give_up_start(self.supervisor, process.pid());
            self.runtime.kill(process.pid());
        }
    }
}

/// A start function that never waits.
type StartNow = dyn Fn(&StartContext) -> Result<Started, StartError> + Send + Sync;

/// A start function that starts a server. Its two steps can be taken apart: a supervisor that serves
/// requests meanwhile does not await the `init`.
pub(crate) trait StartServer: Send + Sync {
    /// Admits the process of the server, and spawns its task, which acknowledges the `init` to
    /// `starter`.
    fn begin(
        &self,
        ctx: &mut StartContext,
        starter: Starter,
    ) -> Result<Arc<dyn AnyProcess>, StartError>;
}

/// The start function of a child.
#[derive(Clone)]
pub(crate) enum Start {
    AtOnce(Arc<StartNow>),
    Server(Arc<dyn StartServer>),
    Awaited(Arc<dyn StartChild>),
}

impl Start {
    /// Calls the start function, and awaits the start.
    pub(crate) async fn call(
        &self,
        ctx: &mut StartContext,
        acks: Option<&Arc<StartAcks>>,
    ) -> Result<Started, StartError> {
        match self {
            Start::AtOnce(start) => start(ctx),
            Start::Server(start) => ctx.await_server(&**start, acks).await,
            Start::Awaited(start) => start.start(ctx).await,
        }
    }

    /// Makes a start function whose process runs a clone of this closure.
    pub(crate) fn task<F, Fut>(body: F) -> Self
    where
        F: FnOnce(TaskContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        Start::AtOnce(Arc::new(move |ctx| {
            let body = body.clone();
            Ok(ctx.run_task(ctx.admit_task()?, body))
        }))
    }
}
