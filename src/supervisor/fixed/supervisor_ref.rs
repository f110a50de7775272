//! The handle of a supervisor.

use std::time::Duration;

use crate::base::Pid;
use crate::child::{ChildSpec, OnceChild, StartOnceError};
use crate::exit::{ExitReason, Result};
use crate::runtime::{CallError, Ended, Runtime, StartError};
use crate::server::ServerRef;
use crate::supervisor::fixed::{Call, FixedServer};
use crate::supervisor::{ChildCounts, ChildError, ChildInfo};

/// A handle to a running supervisor. The handle is cheap to clone, and dropping it stops nothing.
///
/// Calls by this handle have no time limit: a supervisor handles no request while it starts a child
/// or waits for a child to end, and a caller must not take that delay for a failure. So a child
/// must not call its own supervisor from its `init` or its `terminate`: the child and the
/// supervisor would wait for each other for ever, or until the child is killed.
///
/// # Examples
///
/// ```
/// use regrow::{ChildSpec, ChildState, ExitReason, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let tree = Supervisor::one_for_one().start(&rt).await?;
/// assert!(tree.is_alive());
/// let pid = tree.start_child(ChildSpec::task("job", |_| std::future::pending())).await?;
/// assert!(rt.is_alive(pid));
/// assert_eq!(tree.which_children().await?[0].state, ChildState::Running(pid));
///
/// tree.terminate_child("job").await?;
/// assert!(!rt.is_alive(pid));
/// assert_eq!(tree.which_children().await?[0].state, ChildState::Stopped);
/// assert_eq!(tree.stop().await?, ExitReason::Shutdown);
/// assert_eq!(tree.ended().await, ExitReason::Shutdown);
/// assert!(!tree.is_alive());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct SupervisorRef {
    pub(crate) server: ServerRef<FixedServer>,
}

impl SupervisorRef {
    /// Returns a handle to the supervisor that holds this name at the time of each call. So the
    /// handle stays valid through restarts. The name need not be held yet.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor, SupervisorRef};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let sessions = Supervisor::one_for_one().named("sessions");
    /// let tree = Supervisor::one_for_one().child(sessions).start(&rt).await?;
    /// let sessions = SupervisorRef::named(&rt, "sessions");
    /// sessions.start_child(ChildSpec::task("session 1", |_| std::future::pending())).await?;
    /// assert_eq!(sessions.count_children().await?.active, 1);
    ///
    /// // After a restart the same handle reaches the successor, which has only described children.
    /// let ended = sessions.ended();
    /// rt.kill(sessions.pid().unwrap());
    /// ended.await;
    /// tree.count_children().await?; // answered after the restart
    /// assert_eq!(sessions.count_children().await?.active, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn named(runtime: &Runtime, name: impl Into<String>) -> Self {
        SupervisorRef { server: runtime.server(name.into()) }
    }

    /// Returns the pid of the supervisor. A named handle returns the pid of the present holder of
    /// the name, if there is one. A direct handle returns the pid also after the supervisor has
    /// ended. [`named`](Self::named) has an example.
    pub fn pid(&self) -> Option<Pid> {
        self.server.pid()
    }

    /// Returns whether the supervisor has not ended: it may be starting, serving or stopping. This
    /// method sends the supervisor no request and returns at once, so a liveness probe can use it.
    /// For a named handle the result is also true while the name is reserved for a successor, which
    /// a supervisor above is about to start, perhaps after a backoff. [`tree_routes`] answers
    /// `/healthz` with this result. [`SupervisorRef`] has an example.
    ///
    /// [`tree_routes`]: https://docs.rs/regrow/latest/regrow/fn.tree_routes.html
    pub fn is_alive(&self) -> bool {
        self.server.is_there()
    }

    /// Starts a child and adds it after the others. Returns when the child is ready. The child is
    /// kept and restarted like the others, but is not part of the supervisor's description: if the
    /// supervisor itself is restarted, it starts without this child. OTP:
    /// `supervisor:start_child/2`, which returns `{ok, undefined}` for a child that is ignored.
    ///
    /// # Errors
    ///
    /// * `AlreadyRunning`, with the pid of that child, if a child of this id runs.
    /// * `AlreadyPresent` if the supervisor knows a child of this id that doesn't run.
    /// * `AlreadyStarted`, with the pid of the holder, if another process holds the child's name.
    /// * `NameReserved` if the child's name is reserved for another child.
    /// * `Ignored` if the `init` of the new child chose not to run. The supervisor then knows the
    ///   child as stopped, unless it is temporary.
    /// * `Unreachable` if the supervisor is dead or dies.
    /// * Otherwise the error of the failed start. The child is not kept.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the child may still be started.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, StartError, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one().start(&rt).await?;
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let pid = tree.start_child(job.clone()).await?;
    /// let again = tree.start_child(job.clone()).await;
    /// assert_eq!(again, Err(StartError::AlreadyRunning { id: "job".into(), pid }));
    ///
    /// tree.terminate_child("job").await?;
    /// let again = tree.start_child(job).await;
    /// assert_eq!(again, Err(StartError::AlreadyPresent("job".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn start_child(&self, spec: impl Into<ChildSpec>) -> Result<Pid, StartError> {
        let spec = spec.into().spec;
        let answer = self.server.call_unlimited(|reply| Call::StartChild { spec, reply }).await;
        answer.map_err(StartError::Unreachable)?
    }

    /// Starts a child as [`start_child`](Self::start_child) does, and waits for the successor of the
    /// supervisor if the supervisor is being restarted, all within `limit`. A request that the
    /// supervisor had received when it ended is not repeated. A handle without a name reaches no
    /// successor, so there only the limit is new.
    ///
    /// # Errors
    ///
    /// As `start_child`. [`Unreachable`](StartError::Unreachable) has
    /// [`Restarting`](CallError::Restarting) if no successor has started within `limit`, and
    /// [`Timeout`](CallError::Timeout) if the start took longer: the child may still be started then.
    ///
    /// # Cancel safety
    ///
    /// As `start_child`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Backoff, ChildSpec, Runtime, Supervisor, SupervisorRef};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let sessions = Supervisor::one_for_one().named("sessions");
    /// let tree = Supervisor::one_for_one().backoff(Backoff::new()).child(sessions);
    /// let _tree = tree.start(&rt).await?;
    /// let sessions = SupervisorRef::named(&rt, "sessions");
    /// rt.kill(sessions.pid().unwrap());
    ///
    /// let session = ChildSpec::task("session", |_| std::future::pending());
    /// assert!(sessions.start_child(session.clone()).await.is_err()); // ending, or not yet restarted
    /// let pid = sessions.start_child_waiting(session, Duration::from_secs(5)).await?;
    /// assert!(rt.is_alive(pid));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn start_child_waiting(
        &self,
        spec: impl Into<ChildSpec>,
        limit: Duration,
    ) -> Result<Pid, StartError> {
        let spec = spec.into().spec;
        let make = |reply| Call::StartChild { spec: spec.clone(), reply };
        let answer = self.server.call_waiting(make, limit).await;
        answer.map_err(StartError::Unreachable)?
    }

    /// Starts a child that is started once, and adds it after the others. The child is temporary, so
    /// it is removed when it ends. If the start is refused, the error has the child's value.
    /// [`OnceChild`] has an example.
    ///
    /// # Errors
    ///
    /// As [`start_child`](Self::start_child).
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the child may still be started, with the value.
    pub async fn start_once<V: Send + 'static>(
        &self,
        child: OnceChild<V>,
    ) -> Result<Pid, StartOnceError<V>> {
        child.start_by(|spec| self.start_child(spec)).await
    }

    /// Stops a child as its specification says, and waits for its end. A temporary child is
    /// forgotten. Any other child stays known, and is stopped until
    /// [`restart_child`](Self::restart_child) or a restart of its group starts it. If the child
    /// waits for its restart, the restart is cancelled: the child is stopped, and so are the
    /// children of its group that wait with it. A child that is already stopped stays stopped.
    /// `restart_child` has an example. OTP: `supervisor:terminate_child/2`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ChildError::NotFound) if there is no child of this id,
    /// [`Unreachable`](ChildError::Unreachable) if the supervisor is dead or dies.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the child is still stopped.
    pub async fn terminate_child(&self, id: &str) -> Result<(), ChildError> {
        self.server
            .call_unlimited(|reply| Call::TerminateChild { id: id.to_owned(), reply })
            .await?
    }

    /// Starts a child that is known and does not run. The child keeps its position among the
    /// others. Returns when the child is ready. The start counts against no budget, and is not one
    /// of the child's [`restarts`](crate::ChildInfo::restarts). OTP: `supervisor:restart_child/2`.
    ///
    /// # Errors
    ///
    /// * [`NotFound`](ChildError::NotFound) if there is no child of this id.
    /// * [`Running`](ChildError::Running) if the child runs.
    /// * [`Restarting`](ChildError::Restarting) if the child already waits for a restart.
    /// * [`NotStarted`](ChildError::NotStarted) if the start failed or was ignored. The child stays
    ///   known.
    /// * [`Unreachable`](ChildError::Unreachable) if the supervisor is dead or dies.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the child may still be started.
    ///
    /// ```
    /// use regrow::{ChildError, ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().child(job).start(&rt).await?;
    /// tree.terminate_child("job").await?;
    /// let pid = tree.restart_child("job").await?;
    /// let running = ChildError::Running { id: "job".into(), pid };
    /// assert_eq!(tree.restart_child("job").await, Err(running.clone()));
    /// assert_eq!(tree.delete_child("job").await, Err(running));
    ///
    /// tree.terminate_child("job").await?;
    /// tree.delete_child("job").await?;
    /// let unknown = Err(ChildError::NotFound("job".into()));
    /// assert_eq!(tree.restart_child("job").await, unknown);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn restart_child(&self, id: &str) -> Result<Pid, ChildError> {
        self.server.call_unlimited(|reply| Call::RestartChild { id: id.to_owned(), reply }).await?
    }

    /// Forgets a child that is stopped. The id of the child is free afterwards. OTP:
    /// `supervisor:delete_child/2`. [`restart_child`](Self::restart_child) has an example.
    ///
    /// # Errors
    ///
    /// As [`restart_child`](Self::restart_child), except `NotStarted`.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the child is still forgotten.
    pub async fn delete_child(&self, id: &str) -> Result<(), ChildError> {
        self.server.call_unlimited(|reply| Call::DeleteChild { id: id.to_owned(), reply }).await?
    }

    /// Returns the state and the history of one child. The supervisor answers in the order that
    /// [`which_children`](Self::which_children) describes. OTP: `supervisor:which_child/2`.
    /// [`History`](crate::History) has an example.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ChildError::NotFound) if there is no child of this id,
    /// [`Unreachable`](ChildError::Unreachable) if the supervisor is dead or dies.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call changes nothing.
    pub async fn which_child(&self, id: &str) -> Result<ChildInfo, ChildError> {
        self.server.call_unlimited(|reply| Call::WhichChild { id: id.to_owned(), reply }).await?
    }

    /// Returns the specification of one child. OTP: `supervisor:get_childspec/2`.
    ///
    /// # Errors and cancel safety
    ///
    /// As [`which_child`](Self::which_child).
    ///
    /// ```
    /// use regrow::{ChildError, ChildSpec, Restart, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending()).restart(Restart::Transient);
    /// let tree = Supervisor::one_for_one().child(job).start(&rt).await?;
    /// let spec = tree.child_spec("job").await?;
    /// assert_eq!(spec.get_restart(), Restart::Transient);
    /// tree.start_child(spec.with_id("another")).await?;
    ///
    /// let unknown = tree.child_spec("unknown").await.unwrap_err();
    /// assert_eq!(unknown, ChildError::NotFound("unknown".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn child_spec(&self, id: &str) -> Result<ChildSpec, ChildError> {
        self.server.call_unlimited(|reply| Call::ChildSpec { id: id.to_owned(), reply }).await?
    }

    /// Returns all children, in start order. The supervisor answers after it has handled the
    /// messages that it received before the request. So a request that is made after a child has
    /// ended is answered after the restart of that child was attempted or, with a backoff,
    /// scheduled. OTP: `supervisor:which_children/1`, in reverse order. [`SupervisorRef`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// A [`CallError`] if the supervisor is dead or dies.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call changes nothing.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, CallError> {
        self.server.call_unlimited(Call::WhichChildren).await
    }

    /// Returns the numbers of all children, of those that run, and of each type. OTP:
    /// `supervisor:count_children/1`. [`SupervisorSpec`](crate::SupervisorSpec) has an example.
    ///
    /// # Errors, cancel safety and the order of requests
    ///
    /// As [`which_children`](Self::which_children).
    pub async fn count_children(&self) -> Result<ChildCounts, CallError> {
        self.server.call_unlimited(Call::CountChildren).await
    }

    /// Stops the whole tree: first the children in reverse order, one after the other, then the
    /// supervisor. Returns the reason that the supervisor ends with,
    /// [`Shutdown`](ExitReason::Shutdown). A child that calls this is stopped like the others, so
    /// the call never returns in that child. OTP: `gen_server:stop/1` of a supervisor.
    /// [`SupervisorRef`] has an example.
    ///
    /// # Errors
    ///
    /// * `Exited`, with the reason, if the supervisor ended with another reason, for example
    ///   because it gave up before the stop.
    /// * `NoProc` if the supervisor is dead, or `NoHolder` if no process holds the name of the
    ///   handle.
    /// * For a named handle also `Restarting` if the supervisor is being restarted, and `WrongType`
    ///   if the holder of the name is no supervisor.
    ///
    /// # Cancel safety
    ///
    /// A stop that is dropped stops waiting; the tree still stops.
    pub async fn stop(&self) -> Result<ExitReason, CallError> {
        self.server.stop(ExitReason::Shutdown).await
    }

    /// Stops the whole tree with another reason. If the tree is a child of another supervisor, its
    /// [`Restart`](crate::Restart) type decides whether it is restarted then. OTP:
    /// `gen_server:stop/3` of a supervisor.
    ///
    /// # Errors and cancel safety
    ///
    /// As [`stop`](Self::stop).
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one().start(&rt).await?;
    /// let reason = ExitReason::shutdown_with("moved to another host");
    /// assert_eq!(tree.stop_with(reason.clone()).await?, reason);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn stop_with(&self, reason: ExitReason) -> Result<ExitReason, CallError> {
        self.server.stop(reason).await
    }

    /// Resolves with the reason when the supervisor has ended. All its children have ended before,
    /// unless the supervisor was killed. [`SupervisorRef`] has an example.
    ///
    /// # Cancel safety
    ///
    /// As [`Ended`].
    pub fn ended(&self) -> Ended {
        self.server.ended()
    }
}
