//! The handle to a dynamic supervisor.

use std::time::Duration;

use crate::base::current_process::current_pid;
use crate::base::{Pid, SharedStr, consume_budget};
use crate::child::{ChildSpec, OnceChild, StartOnceError};
use crate::exit::{ExitReason, Result};
use crate::runtime::{CallError, Ended, Runtime, StartError};
use crate::server::{GenServer, ServerRef};
use crate::supervisor::dynamic::get_or_start::{NameStatus, name_status};
use crate::supervisor::dynamic::{Call, DynamicServer};
use crate::supervisor::{ChildCounts, ChildError, ChildInfo, check_single_name};

/// A handle to a running dynamic supervisor, cheap to clone. Dropping a handle stops nothing. A
/// handle by name looks the name up at each call. Calls have no time limit.
/// [`DynamicSupervisor`](crate::DynamicSupervisor) has an example.
#[derive(Clone, Debug)]
pub struct DynamicSupervisorRef {
    pub(crate) server: ServerRef<DynamicServer>,
}

impl DynamicSupervisorRef {
    /// Returns a handle to the holder of this name. Each call looks the name up, so the holder need
    /// not exist now. [`DynamicSupervisor`](crate::DynamicSupervisor) has an example.
    pub fn named(runtime: &Runtime, name: impl Into<String>) -> Self {
        DynamicSupervisorRef { server: runtime.server(name.into()) }
    }

    /// Returns the supervisor's pid, as [`SupervisorRef::pid`](crate::SupervisorRef::pid) does.
    pub fn pid(&self) -> Option<Pid> {
        self.server.pid()
    }

    /// Returns whether the supervisor is alive, as
    /// [`SupervisorRef::is_alive`](crate::SupervisorRef::is_alive) does.
    pub fn is_alive(&self) -> bool {
        self.server.is_there()
    }

    /// Starts a child, and returns when the child is ready. Other children are started and stopped
    /// concurrently. OTP: `supervisor:start_child/2`. [`DynamicSupervisor`] has an example.
    ///
    /// [`DynamicSupervisor`]: crate::DynamicSupervisor
    ///
    /// # Errors
    ///
    /// The reason why the start failed. A child whose start failed is not kept.
    ///
    /// * [`Failed`](StartError::Failed) also if the start panics.
    /// * [`MaxChildren`](StartError::MaxChildren) if the supervisor has its maximum of children.
    /// * [`GivenUp`](StartError::GivenUp) if the last child of this name was given up and may not
    ///   be started yet.
    /// * [`NameReserved`](StartError::NameReserved) if the name is reserved for another child that
    ///   is being restarted.
    /// * [`Invalid`](StartError::Invalid) if the child is significant: a dynamic supervisor has no
    ///   automatic shutdown.
    /// * [`Unreachable`](StartError::Unreachable) if the supervisor is not alive, or ends before it
    ///   answers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting. The child may still be started.
    pub async fn start_child(&self, spec: impl Into<ChildSpec>) -> Result<Pid, StartError> {
        let spec = spec.into().spec;
        let answer = self.server.call_unlimited(|reply| Call::StartChild { spec, reply }).await;
        answer.map_err(StartError::Unreachable)?
    }

    /// Starts a child as [`start_child`](Self::start_child) does, and waits for the successor of the
    /// supervisor if the supervisor is being restarted, all within `limit`.
    /// [`SupervisorRef::start_child_waiting`](crate::SupervisorRef::start_child_waiting) describes
    /// the limit and the errors, and has an example.
    ///
    /// # Errors
    ///
    /// As `start_child`, and those of the limit.
    ///
    /// # Cancel safety
    ///
    /// As `start_child`.
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

    /// Starts a child that is started once. If the start is refused, the error has the child's value.
    /// [`OnceChild`] has an example.
    ///
    /// # Errors
    ///
    /// As [`start_child`](Self::start_child).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting. The child may still be started, with the value.
    pub async fn start_once<V: Send + 'static>(
        &self,
        child: OnceChild<V>,
    ) -> Result<Pid, StartOnceError<V>> {
        child.start_by(|spec| self.start_child(spec)).await
    }

    /// Starts a server as a child with all defaults, and returns a handle to this incarnation. To
    /// reach a server after its restart, give it a name. For other settings use
    /// [`start_child`](Self::start_child) and [`Runtime::server_at`].
    ///
    /// # Errors
    ///
    /// As [`start_child`](Self::start_child), and [`Unreachable`](StartError::Unreachable) if the
    /// server has already ended.
    ///
    /// # Cancel safety
    ///
    /// As [`start_child`](Self::start_child).
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Counter};
    /// use regrow::{DynamicSupervisor, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters = DynamicSupervisor::new().start(&rt).await?;
    /// let counter = counters.start_server::<Counter>(40).await?;
    /// assert_eq!(counter.call(Call::Get).await?, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn start_server<S: GenServer>(
        &self,
        args: S::Args,
    ) -> Result<ServerRef<S>, StartError>
    where
        S::Args: Clone + Sync,
    {
        let pid = self.start_child(S::child(args)).await?;
        let runtime = Runtime { kernel: self.server.kernel().clone() };
        runtime.server_at(pid).map_err(StartError::Unreachable)
    }

    /// Returns the holder of this name, or starts a child under it: a session, a room or a device
    /// by its key. The name replaces that of the [child specification](ChildSpec::named).
    ///
    /// * Concurrent calls start one child. All callers wait for the `init` of the child and get its
    ///   pid, or the error of its start.
    /// * The call waits for a holder that is in its `init`, is ending, or is being restarted, also
    ///   if another supervisor started the holder. If the start under another supervisor fails,
    ///   this supervisor attempts a start.
    /// * While a running process holds the name, the supervisor gets no request.
    /// * The holder need not be a child of this supervisor.
    /// * The pid is that of one incarnation, which may end at any time. Call again if the process
    ///   is dead.
    /// * Two servers that call this for each other's name in their `init` wait for ever, as in OTP.
    ///
    /// Elixir: `start_child` with a `:via` name, and a match on `{:already_started, pid}`.
    ///
    /// # Errors
    ///
    /// As [`start_child`](Self::start_child), and [`Invalid`](StartError::Invalid) if the child is
    /// a supervisor whose own specification gives another name.
    ///
    /// # Cancel safety
    ///
    /// As [`start_child`](Self::start_child).
    ///
    /// ```
    /// use regrow::{ChildSpec, DynamicSupervisor, Restart, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let rooms = DynamicSupervisor::new().start(&rt).await?;
    /// let room = ChildSpec::task("room", |_| std::future::pending()).restart(Restart::Temporary);
    /// let lobby = rooms.get_or_start("lobby", room.clone()).await?;
    /// assert_eq!(rooms.get_or_start("lobby", room.clone()).await?, lobby);
    /// assert_eq!(rt.whereis("lobby"), Some(lobby));
    ///
    /// rt.kill(lobby);
    /// assert_ne!(rooms.get_or_start("lobby", room).await?, lobby); // started anew
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn get_or_start(
        &self,
        name: impl Into<SharedStr>,
        spec: impl Into<ChildSpec>,
    ) -> Result<Pid, StartError> {
        consume_budget().await;
        let (name, spec) = (name.into(), spec.into().spec);
        check_single_name(&spec, &name)?;
        let kernel = self.server.kernel();
        match name_status(kernel, &name) {
            NameStatus::Held(pid) => return Ok(pid),
            // The caller itself holds the name, so a request would wait for the caller's own `init`
            // for ever.
            NameStatus::Starting(holder) if holder.pid() == current_pid(kernel.number()) => {
                return Ok(holder.pid());
            }
            _ => {}
        }
        let call = |reply| Call::GetOrStart { name, spec, reply };
        self.server.call_unlimited(call).await.map_err(StartError::Unreachable)?
    }

    /// Stops a child as its specification says, waits for its end, and removes it. Other children
    /// are started and stopped concurrently.
    ///
    /// A child is known by the pid that its first start returned, and by the pid of its last
    /// incarnation. The pids of the incarnations between them are not found.
    ///
    /// A restart that the child waits for is cancelled. If the start of a restart is in progress,
    /// it may finish within the child's [shutdown time](ChildSpec::shutdown), and the child is
    /// stopped then. A start that takes longer is dropped, and the processes that it started are
    /// killed. When this returns, no process of the child runs. The exception is a child supervisor
    /// that was killed and has not been restarted yet: processes that it left may still be ending.
    /// OTP: `supervisor:terminate_child/2`, which finds the last pid only. [`DynamicSupervisor`]
    /// has an example.
    ///
    /// [`DynamicSupervisor`]: crate::DynamicSupervisor
    ///
    /// # Errors
    ///
    /// [`NotFound`](ChildError::NotFound) if the supervisor has no child with this pid,
    /// [`Unreachable`](ChildError::Unreachable) if the supervisor is not alive, or ends before it
    /// answers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting. The child is still stopped.
    pub async fn terminate_child(&self, pid: Pid) -> Result<(), ChildError> {
        self.server.call_unlimited(|reply| Call::TerminateChild { pid, reply }).await?
    }

    /// Returns all children, in the order of their pids. [`DynamicSupervisor::child_intensity`] has
    /// an example.
    ///
    /// [`DynamicSupervisor::child_intensity`]: crate::DynamicSupervisor::child_intensity
    ///
    /// # Errors
    ///
    /// A [`CallError`] if the supervisor is not alive, or ends before it answers.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, CallError> {
        self.server.call_unlimited(Call::WhichChildren).await
    }

    /// Counts the children. A child whose first start is in progress does not count.
    /// [`DynamicSupervisor`](crate::DynamicSupervisor) has an example.
    ///
    /// # Errors
    ///
    /// A [`CallError`] if the supervisor is not alive, or ends before it answers.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn count_children(&self) -> Result<ChildCounts, CallError> {
        self.server.call_unlimited(Call::CountChildren).await
    }

    /// Stops all children concurrently, each within its own shutdown time, then the supervisor.
    /// Returns the supervisor's exit reason, [`Shutdown`](ExitReason::Shutdown).
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::stop`](crate::SupervisorRef::stop).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting. The supervisor still stops.
    pub async fn stop(&self) -> Result<ExitReason, CallError> {
        self.server.stop(ExitReason::Shutdown).await
    }

    /// Resolves with the supervisor's exit reason when the supervisor has ended. The children have
    /// ended before the supervisor, unless it was killed.
    ///
    /// # Cancel safety
    ///
    /// As [`Ended`].
    pub fn ended(&self) -> Ended {
        self.server.ended()
    }
}
