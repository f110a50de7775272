//! How a child is started: by anything that does it through the start context.
//!
//! A [`Started`] can only come from there, so a child that its supervisor isn't linked
//! to can't be.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::body::Body;
use crate::call_error::StartError;
use crate::child::orders::{end_of, is_told};
use crate::child::{ChildType, Spec, TaskContext};
use crate::context::Context;
use crate::exit::Result;
use crate::message::Envelope;
use crate::pid::Pid;
use crate::process::{AnyProcess, ChildRole, ChildStop, Seat};
use crate::record::Process;
use crate::runtime::Runtime;
use crate::starting::{StartCause, Starting};

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
    /// process, which does nothing else meanwhile.
    ///
    /// # Errors
    ///
    /// Why there is none; then nothing of it is left. [`StartError::Ignored`] is no failure:
    /// the child is known, and not running.
    ///
    /// # Panics
    ///
    /// A panic in here is the supervisor's crash, and not the child's.
    ///
    /// # Cancel safety
    ///
    /// It is dropped at its await when the supervisor is killed; a child that was started
    /// through `ctx` by then ends with it.
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError>;
}

/// A child that runs. Made by a [`StartContext`] only. [`StartChild`] has an example.
#[derive(Debug)]
pub struct Started {
    pub(crate) process: Arc<dyn AnyProcess>,
}

impl Started {
    /// Its pid. [`StartContext::supervisor`] has an example.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }
}

/// What a child is started through: linked to its supervisor, under its name, labelled
/// with its id. Each use starts one process, and the [`Started`] that `start` returns is
/// the child. [`StartChild`] has an example.
#[derive(Debug)]
pub struct StartContext {
    pub(crate) runtime: Runtime,
    pub(crate) supervisor: Pid,
    /// What the supervisor knows this start of the child by.
    pub(crate) seat: Seat,
    pub(crate) spec: Arc<Spec>,
    pub(crate) cause: StartCause,
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
    /// assert_eq!(rt.whereis_tag(&format!("children of {}", tree.pid())), [pid]);
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
        self.task_at_once(body)
    }

    fn task_at_once<F, Fut>(&self, body: F) -> Result<Started, StartError>
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let process = self.bear(&self.starting().started_at_once())?;
        let (told, cause) = (process.clone(), self.cause.clone());
        let body = move |ctx| body(TaskContext::new(ctx).because(cause));
        let finish = move |result| end_of(result, is_told(&told));
        Ok(self.run(process, |ctx| crate::body::body(|| body(ctx), finish)))
    }

    /// A process that `body` is then [run](Self::run) in, in the tables and told to the log.
    pub(crate) fn bear(&self, starting: &Starting) -> Result<Arc<Process<Envelope>>, StartError> {
        let (process, born) = self.runtime.bear(starting.birth());
        if let Err(stillborn) = born {
            return Err(starting.refused(stillborn));
        }
        starting.log(process.pid());
        Ok(process)
    }

    pub(crate) fn run(
        &self,
        process: Arc<Process<Envelope>>,
        body: impl FnOnce(Context) -> Body,
    ) -> Started {
        Started { process: self.runtime.run(process, true, body).process }
    }

    /// Why the child is started: the first time, or again, and after what.
    /// [`ServerContext::start_cause`](crate::ServerContext::start_cause) has an example.
    pub fn cause(&self) -> &StartCause {
        &self.cause
    }

    pub(crate) fn starting(&self) -> Starting {
        let starting = Starting::new(&self.runtime).labelled(self.spec.id.clone());
        let (restart, stop) = (self.spec.restart, ChildStop::No);
        let role = ChildRole { seat: self.seat, restart, stop };
        let starting = starting
            .supervised(self.supervisor, role, self.spec.shutdown)
            .within(self.spec.init_timeout)
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
