//! Child specifications: how a supervisor starts a child, when it restarts the child, and how it
//! stops the child; and each kind of child: tasks, blocking functions, existing servers, programs
//! of the operating system.
//!
//! **Uses** `base`, `exit`, `message`, `time`, `restart`, `observe`, `process`, `kernel`,
//! `mailbox`, `driver`, `runtime`. **Knows nothing of** supervisors, which carry out a
//! specification.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{CaughtDrop, SharedStr};
use crate::exit::{ExitReason, Result, Shutdown, reason_of};
use crate::kernel::Mailboxes;
use crate::process::StartKey;
use crate::restart::{Backoff, OwnBudget, OwnRules};

mod heartbeat;
mod readiness;
mod settings;
mod failure_settings;
mod getters;
mod debug;
pub(crate) mod stop_requests;
pub(crate) mod task_context;
mod memory_limit;
pub(crate) mod started_processes;
pub(crate) mod start;
mod blocking;
mod serve;
mod keep;
#[cfg(feature = "axum")]
mod keep_listener;
mod keep_queue;
pub(crate) mod once;
#[cfg(feature = "process")]
mod command;

pub use blocking::context::BlockingContext;
#[cfg(feature = "process")]
#[cfg_attr(docsrs, doc(cfg(feature = "process")))]
pub use command::CommandFailed;
pub use heartbeat::{Heartbeat, HeartbeatMissed};
pub use keep::{Keep, KeepGuard};
pub use once::{OnceChild, StartOnceError};
pub use readiness::Readiness;
pub use serve::ShutdownSignal;
pub use start::{StartChild, StartContext, Started};
pub(crate) use stop_requests::{StopRequests, end_of};
pub use task_context::TaskContext;

pub use crate::restart::policy::Restart;

/// Whether a child is itself a supervisor.
///
/// [`which_children`](crate::SupervisorRef::which_children) returns the type. A child that is made
/// from the specification of a supervisor has the type `Supervisor`, and by default no limit for
/// its [`Shutdown`]. OTP: the child type. [`ChildInfo`](crate::ChildInfo) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChildType {
    /// Any other child.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}

/// The specification of one child of a supervisor, cheap to clone. A specification is made from a
/// server ([`GenServer::child`](crate::GenServer::child)), from a plain async closure
/// ([`task`](Self::task)), from a supervisor ([`SupervisorSpec`](crate::SupervisorSpec)), from a
/// blocking function ([`blocking`](Self::blocking)), from a server that shuts down gracefully
/// ([`serve`](Self::serve)), from a program of the operating system (`command`, with the feature
/// `process`), from a port or an address (`tcp_listener` and `connect`, with the feature `net`), or
/// from any type that implements [`StartChild`]. All kinds are started, stopped,
/// restarted and reported in the same way. A value that must outlive a restart goes into a
/// [`Keep`]. A child of a value that can't be cloned is an [`OnceChild`]. OTP: the child
/// specification.
///
/// | setting | default |
/// |---|---|
/// | [`restart`](Self::restart) | [`Restart::Permanent`] |
/// | [`shutdown`](Self::shutdown) | 5 s; for a supervisor no limit |
/// | [`backoff`](Self::backoff) | its supervisor's, by default none: restarts have no delay |
/// | [`restart_budget`](Self::restart_budget) | none of its own: its supervisor's |
/// | [`on_failure`](Self::on_failure) | no closure: the restart type decides |
/// | [`resume_budget`](Self::resume_budget) | 3 times in 5 s |
/// | [`max_memory`](Self::max_memory) | no limit |
/// | [`retry_first_start`](Self::retry_first_start) | no: a failed first start fails its supervisor's start |
/// | [`readiness`](Self::readiness) | [`Readiness::Required`] |
/// | [`significant`](Self::significant) | no |
/// | [`init_timeout`](Self::init_timeout) | no limit |
/// | [`keep_queue`](Self::keep_queue) | no: what is queued at an end is lost and counted |
/// | [`heartbeat`](Self::heartbeat) | none is required |
/// | [`named`](Self::named) | no name |
/// | [`with_id`](Self::with_id) | a server's type name, a supervisor's name; else an argument |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, Restart, Runtime, Shutdown, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let first = ChildSpec::task("mailer", |_| std::future::pending())
///     .named("mailer")
///     .restart(Restart::Transient)
///     .shutdown(Shutdown::Timeout(Duration::from_secs(30)));
/// let second = first.clone().with_id("second").named("second mailer");
/// let tree = Supervisor::one_for_one().child(first).child(second).start(&rt).await?;
/// assert_eq!(tree.count_children().await?.workers, 2);
/// assert_eq!(rt.registered(), ["mailer", "second mailer"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone)]
#[must_use = "it does nothing until a supervisor is given it"]
pub struct ChildSpec {
    pub(crate) spec: Arc<Spec>,
}

/// The fields of a [`ChildSpec`], shared by its clones, its supervisor and each start.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) id: SharedStr,
    pub(crate) name: Option<SharedStr>,
    /// The key of a registry under which each incarnation is registered.
    pub(crate) key: Option<CaughtDrop<Arc<dyn StartKey>>>,
    pub(crate) start: CaughtDrop<start::Start>,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    /// Whether the user has set `shutdown`.
    pub(crate) shutdown_is_set: bool,
    pub(crate) kind: ChildType,
    pub(crate) init_timeout: Option<Duration>,
    pub(crate) ready_within: Option<Duration>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) budget: Option<OwnBudget>,
    /// `backoff` and `budget` once more, and what follows a failure, for the records of the child's
    /// processes.
    pub(crate) own_rules: Option<Arc<OwnRules>>,
    pub(crate) retry_first_start: bool,
    pub(crate) readiness: Readiness,
    pub(crate) significant: bool,
    pub(crate) mailbox: Option<Mailboxes>,
    pub(crate) keeps_queue: bool,
    pub(crate) warn_after: Option<Duration>,
    pub(crate) heartbeat: Option<Heartbeat>,
    #[cfg(feature = "process")]
    pub(crate) stop_window: Duration,
    #[cfg(feature = "process")]
    pub(crate) own_group: bool,
    /// Called when the child has ended, its supervisor lives on, and no restart follows, except by a
    /// request: releases what is kept for the next incarnation. That of a supervisor releases what
    /// its children keep.
    pub(crate) release: Option<CaughtDrop<Arc<dyn Fn() + Send + Sync>>>,
    /// If the child is a supervisor: its specification, for checks of a whole tree.
    pub(crate) nested: Option<Arc<Nested>>,
}

impl Spec {
    /// Whether the specification decides by the reason what follows a failure.
    pub(crate) fn decides_failures(&self) -> bool {
        self.own_rules.as_ref().is_some_and(|own| own.on_failure.is_some())
    }

    /// Releases what is kept for an incarnation that will not come.
    pub(crate) fn release(&self) {
        if let Some(release) = &self.release {
            release();
        }
    }
}

/// The specification of a supervisor that is a child.
pub(crate) struct Nested {
    /// The name that the supervisor's own specification gives.
    pub(crate) name: Option<SharedStr>,
    pub(crate) description: CaughtDrop<Arc<dyn Any + Send + Sync>>,
}

impl ChildSpec {
    /// Makes a specification of a child that `start` starts: a permanent worker that has five
    /// seconds to stop. [`StartChild`] has an example.
    pub fn new(id: impl Into<String>, start: impl StartChild) -> Self {
        ChildSpec::started_by(id.into().into(), start::Start::Awaited(Arc::new(start)))
    }

    pub(crate) fn started_by(id: SharedStr, start: start::Start) -> Self {
        let spec = Spec {
            id,
            name: None,
            key: None,
            start: CaughtDrop::new(start),
            restart: Restart::default(),
            shutdown: Shutdown::default(),
            shutdown_is_set: false,
            kind: ChildType::default(),
            init_timeout: None,
            ready_within: None,
            backoff: None,
            budget: None,
            own_rules: None,
            retry_first_start: false,
            readiness: Readiness::default(),
            significant: false,
            mailbox: None,
            keeps_queue: false,
            warn_after: None,
            heartbeat: None,
            #[cfg(feature = "process")]
            stop_window: command::STOP_WINDOW,
            #[cfg(feature = "process")]
            own_group: false,
            release: None,
            nested: None,
        };
        ChildSpec { spec: Arc::new(spec) }
    }

    /// Returns the fields for a change. Clones them first if the specification has clones.
    pub(crate) fn edit(&mut self) -> &mut Spec {
        Arc::make_mut(&mut self.spec)
    }

    /// Specifies a child that runs a plain async closure. Each start clones the closure and calls
    /// the clone, so the captured values are cloned for each incarnation.
    ///
    /// The closure is called inside the process. `Ok(())` is a normal end, and an `Err` is the exit
    /// reason. An error that `?` converts is a crash, and so is a panic. The child is permanent by
    /// default, so a task that may finish needs [`Restart::Transient`] or [`Restart::Temporary`];
    /// [`Restart`] shows why. The start is finished as soon as the process exists: work that must
    /// be done before the next child starts belongs in a server's `init`, or in a [`StartChild`].
    ///
    /// OTP: a child whose start function is `proc_lib:spawn_link/1`.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    /// use tokio::sync::mpsc::unbounded_channel;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (sender, mut receiver) = unbounded_channel();
    /// let flaky = ChildSpec::task("flaky", |ctx| async move {
    ///     sender.send(ctx.pid())?; // a clone of the sender, for each incarnation
    ///     Err("no luck")?;
    ///     Ok(())
    /// });
    /// let tree = Supervisor::one_for_one().child(flaky).start(&rt).await?;
    /// let (first, second) = (receiver.recv().await, receiver.recv().await);
    /// assert!(first.is_some() && first < second); // it was started again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn task<F, Fut>(id: impl Into<String>, body: F) -> Self
    where
        F: FnOnce(TaskContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        ChildSpec::started_by(id.into().into(), start::Start::task(body))
    }

    /// Does the same as [`task`](Self::task) for a function with an error type of its own:
    /// `anyhow`'s, `std::io::Error`, or an enum. [`ExitReason::from`] turns the error into the exit
    /// reason.
    /// `task` itself takes only [`regrow::Result`](crate::Result), so that `?` and `Ok(())` in a
    /// closure need no type annotation.
    ///
    /// ```
    /// use std::io;
    /// use regrow::{ChildSpec, Runtime, Supervisor, TaskContext};
    ///
    /// async fn copy(_: TaskContext) -> io::Result<()> {
    ///     Err(io::Error::other("the disk is full"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let copy = ChildSpec::try_task("copy", copy);
    /// let tree = Supervisor::one_for_one().intensity(0, std::time::Duration::from_secs(5));
    /// let reason = tree.child(copy).start(&rt).await?.ended().await;
    /// assert!(reason.to_string().contains("last end was that of child \"copy\""));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn try_task<F, Fut, E>(id: impl Into<String>, body: F) -> Self
    where
        F: FnOnce(TaskContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<ExitReason> + 'static,
    {
        ChildSpec::task(id, move |ctx| {
            let running = body(ctx);
            async move { running.await.map_err(reason_of) }
        })
    }

    /// Makes the child a supervisor with this specification: sets its type, its name, and a
    /// shutdown time without a limit.
    pub(crate) fn supervisor<D>(mut self, name: Option<SharedStr>, description: Arc<D>) -> Self
    where
        D: Any + Send + Sync,
    {
        let spec = self.edit();
        spec.kind = ChildType::Supervisor;
        spec.shutdown = Shutdown::Infinity;
        spec.name.clone_from(&name);
        let description = CaughtDrop::new(description as Arc<_>);
        spec.nested = Some(Arc::new(Nested { name, description }));
        self
    }
}
