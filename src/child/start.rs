//! How a child is started: by anything that does it through the start context.
//!
//! A [`Started`] can only come from there, so a child that its supervisor isn't linked
//! to can't be.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::base::coop::consume_budget;
use crate::base::pid::Pid;
use crate::child::started_processes::StartedProcesses;
use crate::child::stop_signals::{end_of, is_stop_requested};
use crate::child::{ChildType, Spec, TaskContext};
use crate::driver::body::Body;
use crate::exit::reason::Result;
use crate::kernel::wait_graph::{Until, WaitEdge};
use crate::mailbox::inbox::Item;
use crate::mailbox::record::Process;
use crate::message::received::Envelope;
use crate::process::{AnyProcess, ChildRole, ChildSlot, ChildStop};
use crate::runtime::Runtime;
use crate::runtime::context::Context;
use crate::runtime::errors::call_error::StartError;
use crate::runtime::starting::{StartCause, Starting};

/// Anything that can start a child, again and again. Object-safe: a supervisor holds
/// many kinds. Implement it with the `async-trait` crate, by hand only for a child whose start
/// is more than that: one that may fail before it runs, that looks something up, or that decides
/// what to start. Whatever it is, it starts one process through the [`StartContext`], and from
/// then on is a child like any other.
///
/// | through | starts | the same as a [`ChildSpec`](crate::ChildSpec) |
/// |---|---|---|
/// | [`task`](StartContext::task) | a plain async closure | [`ChildSpec::task`](crate::ChildSpec::task) |
/// | [`server`](StartContext::server) | a server | [`GenServer::child`](crate::GenServer::child) |
/// | [`blocking`](StartContext::blocking) | a function, on a thread | [`ChildSpec::blocking`](crate::ChildSpec::blocking) |
/// | [`serve`](StartContext::serve) | a server that is told to shut down by a signal | [`ChildSpec::serve`](crate::ChildSpec::serve) |
/// | `command`, with the feature `process` | a program | `ChildSpec::command` |
///
/// OTP: the `start` function of a child specification. There it may return the pid of any
/// process; here a [`Started`] comes from the [`StartContext`] alone, so a child is always
/// linked to its supervisor.
///
/// # Examples
///
/// A child whose start may fail, and is then a failed start instead of a crash:
///
/// ```
/// use std::path::PathBuf;
/// use regrow::{ChildSpec, Runtime, StartChild, StartContext, StartError, Started, Supervisor};
///
/// /// Serves what was in a file at its start.
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
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let tree = Supervisor::one_for_one().start(&rt).await?;
/// assert!(tree.start_child(ChildSpec::new("motd", Motd("Cargo.toml".into()))).await.is_ok());
///
/// let missing = ChildSpec::new("missing", Motd("/no/such/file".into()));
/// let error = tree.start_child(missing).await.unwrap_err();
/// assert!(matches!(error, StartError::Failed(_)));
/// assert_eq!(tree.count_children().await?.specs, 1); // of it nothing is kept
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[async_trait]
pub trait StartChild: Send + Sync + 'static {
    /// Starts one incarnation, and returns when it is ready. It runs in the supervisor's
    /// process, which does nothing else meanwhile; a dynamic supervisor serves others.
    ///
    /// It returns the [`Started`] of one process that it started through `ctx` in this call, which
    /// may have ended by then. What else it started through `ctx` is stopped before the child
    /// counts as started, and the log warns of it.
    ///
    /// # Errors
    ///
    /// Why there is none. Everything that it started through `ctx` is stopped as the child's
    /// specification says, the last first, and has ended before the supervisor goes on: the
    /// child's name is free. [`StartError::Ignored`] is no failure: the child is known, and not
    /// running. Map the error of any *other* start before you return it by `?`: as the result of
    /// this function it is the child's.
    ///
    /// A start that takes longer than the child's
    /// [`init_timeout`](crate::ChildSpec::init_timeout) has failed, with
    /// [`StartError::InitTimeout`]. One that returns a [`Started`] of another call has failed, with
    /// [`StartError::Invalid`]; that process is left as it is.
    ///
    /// # Panics
    ///
    /// A panic in here is the supervisor's crash, and not the child's; of a dynamic supervisor it
    /// is a failed start. What was started through `ctx` is stopped first.
    ///
    /// # Cancel safety
    ///
    /// It is dropped at its await when its time is up, when the supervisor is killed, and when a
    /// dynamic supervisor stops. What was started through `ctx` by then is stopped, or killed
    /// where the supervisor ends.
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError>;
}

/// A child that runs. Made by a [`StartContext`] only. [`StartChild`] has an example.
#[derive(Debug)]
pub struct Started {
    pub(crate) process: Arc<dyn AnyProcess>,
    /// The call of `start` that started it.
    pub(crate) start_id: StartId,
}

/// Which call of a start function it is, among all of all runtimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StartId {
    /// As long as a process of it is kept, the runtime is.
    runtime: usize,
    supervisor: Pid,
    slot: ChildSlot,
}

impl Started {
    /// Its pid. [`StartContext::supervisor`] has an example.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }
}

/// What a child is started through: linked to its supervisor, under its name, labelled
/// with its id. Each use starts one process, and the [`Started`] that `start` returns is
/// the child; any other ends with the start. [`StartChild`] has an example.
#[derive(Debug)]
pub struct StartContext {
    pub(crate) runtime: Runtime,
    pub(crate) supervisor: Pid,
    /// What the supervisor knows this start of the child by.
    pub(crate) slot: ChildSlot,
    pub(crate) spec: Arc<Spec>,
    pub(crate) cause: StartCause,
    /// What this start has begun.
    pub(crate) started_processes: StartedProcesses,
    /// Another process held the child's name, or it was reserved for another child, when this
    /// start came to register it.
    pub(crate) name_taken: bool,
    /// Where the supervisor waits for the start: its waits for the processes that the start has
    /// begun, if deadlocks are looked for.
    pub(crate) waits: Option<Vec<WaitEdge>>,
}

impl StartContext {
    /// The runtime the child will live in. [`supervisor`](Self::supervisor) has an example.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The supervisor's pid.
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
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one().child(ChildSpec::new("member", Member)).start(&rt).await?;
    /// let pid = tree.which_children().await?[0].pid().unwrap();
    /// assert_eq!(rt.whereis_tag(&format!("children of {}", tree.pid().unwrap())), [pid]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn supervisor(&self) -> Pid {
        self.supervisor
    }

    /// Starts a plain async closure as the child. [`StartChild`] has an example.
    ///
    /// # Errors
    ///
    /// [`StartError::AlreadyStarted`] if the child's name is held,
    /// [`StartError::NameReserved`] if it is reserved for another child,
    /// [`StartError::Failed`] if the runtime is closed or the supervisor is dead.
    ///
    /// # Cancel safety
    ///
    /// It never waits: polled once, it is done.
    pub async fn task<F, Fut>(&mut self, body: F) -> Result<Started, StartError>
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        consume_budget().await;
        let process = self.admit(&self.starting().started_at_once())?;
        Ok(self.run_task(process, body))
    }

    fn task_at_once<F, Fut>(&self, body: F) -> Result<Started, StartError>
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let process = self.admit_at_once(&self.starting().started_at_once())?;
        Ok(self.run_task(process, body))
    }

    fn run_task<F, Fut>(&self, process: Arc<Process<Envelope>>, body: F) -> Started
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let (own, cause) = (process.clone(), self.cause.clone());
        let body = move |ctx| body(TaskContext::new(ctx).with_cause(cause));
        let finish = move |result| end_of(result, is_stop_requested(&own));
        self.run(process, |ctx| crate::driver::body::body(|| body(ctx), finish))
    }

    /// A process that a body is then [run](Self::run) in, in the tables and told to the log.
    pub(crate) fn admit<M: Item>(
        &mut self,
        starting: &Starting,
    ) -> Result<Arc<Process<M>>, StartError> {
        let admitted = self.admit_at_once(starting);
        // Found here, where the name is registered, and not in an error that the start returns:
        // that may be another start's.
        self.name_taken = match &admitted {
            Err(StartError::AlreadyStarted { pid, .. }) => !self.started_processes.contains(*pid),
            Err(StartError::NameReserved { .. }) => true,
            _ => false,
        };
        if let Ok(process) = &admitted {
            self.started_processes.push(process.clone());
            if let Some(waits) = &mut self.waits {
                let waited = &self.runtime.kernel.waits;
                waits.extend(waited.wait(self.supervisor, process.pid(), Until::Started));
            }
        }
        admitted
    }

    /// The same for a start that fails no more after this.
    pub(crate) fn admit_at_once<M: Item>(
        &self,
        starting: &Starting,
    ) -> Result<Arc<Process<M>>, StartError> {
        let (process, admitted) = self.runtime.admit(starting.new_process());
        if let Err(not_admitted) = admitted {
            return Err(starting.refused(not_admitted));
        }
        starting.log(process.pid());
        Ok(process)
    }

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

    /// The start is over: what it began is the supervisor's.
    pub(crate) fn finish(&mut self) {
        drop(self.started_processes.take());
    }

    /// Why the child is started: the first time, or again, and after what.
    /// [`ServerContext::start_cause`](crate::ServerContext::start_cause) has an example.
    pub fn cause(&self) -> &StartCause {
        &self.cause
    }

    pub(crate) fn starting(&self) -> Starting {
        let starting = Starting::new(&self.runtime).labelled(self.spec.id.clone());
        let stop = match self.spec.ready_within {
            Some(_) => ChildStop::Starting,
            None => ChildStop::No,
        };
        let restart = self.spec.restart;
        let role = ChildRole { slot: self.slot, restart, stop };
        let starting = starting
            .supervised(self.supervisor, role, self.spec.shutdown)
            .warned_after(self.spec.warn_after)
            .because(self.cause.clone());
        let starting = match self.spec.kind {
            ChildType::Worker => starting,
            ChildType::Supervisor => starting.of_a_line(),
        };
        match self.spec.name.clone() {
            Some(name) => starting.named(name),
            None => starting,
        }
    }
}

/// A start that is dropped half-way kills what it began.
impl Drop for StartContext {
    fn drop(&mut self) {
        for process in self.started_processes.take() {
            self.runtime.kernel.give_up_start(self.supervisor, process.pid());
            self.runtime.kill(process.pid());
        }
    }
}

/// A start that never waits.
type StartNow = dyn Fn(&StartContext) -> Result<Started, StartError> + Send + Sync;

/// How a child's process is started.
#[derive(Clone)]
pub(crate) enum Start {
    AtOnce(Arc<StartNow>),
    Awaited(Arc<dyn StartChild>),
}

impl Start {
    /// By a clone of a closure.
    pub(crate) fn task<F, Fut>(body: F) -> Self
    where
        F: FnOnce(TaskContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        Start::AtOnce(Arc::new(move |ctx| ctx.task_at_once(body.clone())))
    }
}
