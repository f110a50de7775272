//! The handle of a dynamic supervisor.

use std::sync::Arc;

use crate::base::coop::consume_budget;
use crate::base::current_process::current_pid;
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::child::ChildSpec;
use crate::exit::reason::{ExitReason, Result};
use crate::kernel::Kernel;
use crate::runtime::Runtime;
use crate::runtime::ended::Ended;
use crate::runtime::errors::call_error::{CallError, StartError};
use crate::server::{GenServer, ServerRef};
use crate::supervisor::dynamic::get_or_start::{NameStatus, name_status};
use crate::supervisor::dynamic::server::{Call, DynamicServer};
use crate::supervisor::info::{ChildCounts, ChildError, ChildInfo};
use crate::supervisor::spec::one_name;

/// A handle to a running dynamic supervisor. Cheap to clone; dropping it stops nothing. A
/// named one reaches whoever holds the name at each call. Its calls have no time limit.
/// [`DynamicSupervisor`](crate::DynamicSupervisor) has an example.
#[derive(Clone, Debug)]
pub struct DynamicSupervisorRef {
    server: ServerRef<DynamicServer>,
}

impl DynamicSupervisorRef {
    pub(crate) fn new(server: ServerRef<DynamicServer>) -> Self {
        DynamicSupervisorRef { server }
    }

    pub(crate) fn kernel(&self) -> &Arc<Kernel> {
        self.server.kernel()
    }

    /// A handle to whoever holds this name, resolved anew at each call. Nobody need hold it
    /// now. [`DynamicSupervisor`](crate::DynamicSupervisor) has an example.
    pub fn named(runtime: &Runtime, name: impl Into<String>) -> Self {
        DynamicSupervisorRef { server: runtime.server_named(name.into()) }
    }

    /// Its pid, as [`SupervisorRef::pid`](crate::SupervisorRef::pid) gives it.
    pub fn pid(&self) -> Option<Pid> {
        self.server.pid()
    }

    /// Whether it is there, as [`SupervisorRef::is_alive`](crate::SupervisorRef::is_alive) says.
    pub fn is_alive(&self) -> bool {
        self.server.is_there()
    }

    /// The process that a call made now would reach, dead or alive.
    pub(crate) fn reach(&self) -> Result<Pid, CallError> {
        self.server.reach()
    }

    /// Starts a child, and returns when it is ready. Others are started and stopped
    /// meanwhile. OTP: `supervisor:start_child/2`. [`DynamicSupervisor`] has an example.
    ///
    /// [`DynamicSupervisor`]: crate::DynamicSupervisor
    ///
    /// # Errors
    ///
    /// Why the child was not started; then nothing of it is kept. A panic of its start is a
    /// [`Failed`](StartError::Failed) one. [`MaxChildren`](StartError::MaxChildren) if there
    /// are as many as there may be, [`GivenUp`](StartError::GivenUp) if the last child of its
    /// name was given up and may not be started yet,
    /// [`NameReserved`](StartError::NameReserved) if its name is that of another child, which is
    /// being restarted, [`Invalid`](StartError::Invalid) if it is
    /// significant, which means nothing here, and [`Unreachable`](StartError::Unreachable) if the
    /// supervisor is dead or dies.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the child may still be started.
    pub async fn start_child(&self, spec: impl Into<ChildSpec>) -> Result<Pid, StartError> {
        let spec = spec.into().spec;
        let answer = self.server.call_unlimited(|reply| Call::StartChild { spec, reply }).await;
        answer.unwrap_or_else(|error| Err(StartError::Unreachable(error)))
    }

    /// Starts a server as a child, with all defaults, and gives a direct handle to it: of this
    /// very incarnation. For one that is restarted, give it a name, or for more than the
    /// defaults use [`start_child`](Self::start_child) and [`Runtime::server_at`].
    ///
    /// # Errors
    ///
    /// As [`start_child`](Self::start_child); and [`Unreachable`](StartError::Unreachable) if
    /// the server has ended by now.
    ///
    /// # Cancel safety
    ///
    /// As [`start_child`](Self::start_child).
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, ServerContext};
    /// # struct Counter(u64);
    /// # impl GenServer for Counter {
    /// #     type Args = u64;
    /// #     type Call = Reply<u64>;
    /// #     type Cast = ();
    /// #     async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Counter(start))
    /// #     }
    /// #     async fn handle_call(&mut self, reply: Reply<u64>, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(self.0);
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// # }
    /// use regrow::{DynamicSupervisor, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let counters = DynamicSupervisor::new().start(&rt).await?;
    /// let counter = counters.start_server::<Counter>(40).await?;
    /// assert_eq!(counter.call(|reply| reply).await?, 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn start_server<S: GenServer>(
        &self,
        args: S::Args,
    ) -> Result<ServerRef<S>, StartError>
    where
        S::Args: Clone + Sync,
    {
        let pid = self.start_child(S::child(args)).await?;
        let runtime = Runtime { kernel: self.kernel().clone() };
        runtime.server_at(pid).map_err(StartError::Unreachable)
    }

    /// The holder of this name, or else a child that is started under it: a session, a room, a
    /// device by its key. The name replaces that of the [child specification](ChildSpec::named).
    /// However many callers ask at once, one child is started; all others wait for its `init` and
    /// get its pid, or its error. A holder that is in its `init`, is just ending, or is being
    /// restarted, is waited for, also where another supervisor started it; if its start fails, a
    /// caller that asked another supervisor than the one that tried has it tried again. While
    /// there is a holder, the supervisor is not asked.
    ///
    /// Two servers that ask for each other in their `init`s wait for ever, as in OTP.
    ///
    /// The pid is of this very incarnation, which may end at any time: who finds it dead asks
    /// again. The holder need not be a child of this supervisor. Elixir: `start_child` with a
    /// `:via` name, and a look at `{:already_started, pid}`.
    ///
    /// # Errors
    ///
    /// As [`start_child`](Self::start_child); and [`Invalid`](StartError::Invalid) if it is a
    /// supervisor whose own description gives another name.
    ///
    /// # Cancel safety
    ///
    /// As [`start_child`](Self::start_child).
    ///
    /// ```
    /// use regrow::{ChildSpec, DynamicSupervisor, Restart, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let rooms = DynamicSupervisor::new().start(&rt).await?;
    /// let room = ChildSpec::task("room", |_| std::future::pending()).restart(Restart::Temporary);
    /// let lobby = rooms.get_or_start("lobby", room.clone()).await?;
    /// assert_eq!(rooms.get_or_start("lobby", room.clone()).await?, lobby);
    /// assert_eq!(rt.whereis("lobby"), Some(lobby));
    ///
    /// rt.kill(lobby);
    /// assert_ne!(rooms.get_or_start("lobby", room).await?, lobby); // it was waited out
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn get_or_start(
        &self,
        name: impl Into<SharedStr>,
        spec: impl Into<ChildSpec>,
    ) -> Result<Pid, StartError> {
        consume_budget().await;
        let (name, spec) = (name.into(), spec.into().spec);
        one_name(&spec, &name)?;
        let kernel = self.server.kernel();
        match name_status(kernel, &name) {
            NameStatus::Held(pid) => return Ok(pid),
            // It asks for itself, and would wait for ever.
            NameStatus::Starting(holder) if holder.pid() == current_pid(kernel.number()) => {
                return Ok(holder.pid());
            }
            _ => {}
        }
        let answer =
            self.server.call_unlimited(|reply| Call::GetOrStart { name, spec, reply }).await;
        answer.unwrap_or_else(|error| Err(StartError::Unreachable(error)))
    }

    /// Stops a child as its spec says, and waits for its end; then it is forgotten. A child goes
    /// by the pid that its start returned, however often it was restarted since, and by its last
    /// one; those in between are not found. Others are started and stopped meanwhile.
    ///
    /// If the child waits for its restart, the restart is called off. If it is being started again
    /// at that moment, the start may come to its end within the child's
    /// [shutdown time](ChildSpec::shutdown), and the child is stopped then; a start that takes
    /// longer is dropped, and what it began is killed. In any case nothing of the child runs when
    /// this returns. OTP: `supervisor:terminate_child/2`, which knows the last pid only.
    /// [`DynamicSupervisor`] has an example.
    ///
    /// [`DynamicSupervisor`]: crate::DynamicSupervisor
    ///
    /// # Errors
    ///
    /// [`NotFound`](ChildError::NotFound) if this is no child of it,
    /// [`Unreachable`](ChildError::Unreachable) if the supervisor is dead or dies.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the child is still stopped.
    pub async fn terminate_child(&self, pid: Pid) -> Result<(), ChildError> {
        self.server.call_unlimited(|reply| Call::TerminateChild { pid, reply }).await?
    }

    /// All children, in the order of their pids. [`DynamicSupervisor::child_intensity`] has an
    /// example.
    ///
    /// [`DynamicSupervisor::child_intensity`]: crate::DynamicSupervisor::child_intensity
    ///
    /// # Errors
    ///
    /// If the supervisor is dead or dies: [`CallError`] tells which.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, CallError> {
        self.server.call_unlimited(Call::WhichChildren).await
    }

    /// How many children there are; those that are still starting are not counted.
    /// [`DynamicSupervisor`](crate::DynamicSupervisor) has an example.
    ///
    /// # Errors
    ///
    /// If the supervisor is dead or dies: [`CallError`] tells which.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn count_children(&self) -> Result<ChildCounts, CallError> {
        self.server.call_unlimited(Call::CountChildren).await
    }

    /// Stops all children, side by side and each in its own time, then the supervisor, with
    /// [`Shutdown`](ExitReason::Shutdown), which is returned.
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::stop`](crate::SupervisorRef::stop).
    ///
    /// # Cancel safety
    ///
    /// A stop that is dropped stops waiting; the supervisor still stops.
    pub async fn stop(&self) -> Result<ExitReason, CallError> {
        self.server.stop(ExitReason::Shutdown).await
    }

    /// Resolves with the reason when the supervisor has ended, and all its children before it;
    /// only one that was killed ends before its children do.
    ///
    /// # Cancel safety
    ///
    /// As [`Ended`].
    pub fn ended(&self) -> Ended {
        self.server.ended()
    }
}
