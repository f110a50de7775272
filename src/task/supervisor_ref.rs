//! The handle to a supervisor of tasks.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::base::Pid;
use crate::child::{ChildSpec, OnceChild, Restart, StartOnceError, TaskContext};
use crate::exit::{ExitReason, Result, Shutdown};
use crate::runtime::spawn::plain;
use crate::runtime::{CallError, Ended, Inside, ProcessHandle, Runtime, StartError, fallible};
use crate::supervisor::{ChildError, ChildInfo, DynamicSupervisorRef};
use crate::task::Task;
use crate::task::start::deliver;
use crate::task::supervised_start::{StartedTask, SupervisedTask};

/// The label of all tasks in trees, the log and the census. The pids distinguish the tasks.
const LABEL: &str = "task";

/// A handle to a running supervisor of tasks, cheap to clone. Dropping a handle stops nothing.
/// [`TaskSupervisor`](crate::TaskSupervisor) has an example.
#[derive(Debug, Clone)]
pub struct TaskSupervisorRef {
    pub(crate) supervisor: DynamicSupervisorRef,
    shutdown: Shutdown,
}

impl TaskSupervisorRef {
    pub(crate) fn new(supervisor: DynamicSupervisorRef) -> Self {
        TaskSupervisorRef { supervisor, shutdown: Shutdown::default() }
    }

    /// Returns a handle to the holder of this name. Each use of the handle looks the name up, so
    /// the handle is valid after restarts. [`TaskSupervisor`](crate::TaskSupervisor) has an
    /// example.
    pub fn named(runtime: &Runtime, name: impl Into<String>) -> Self {
        TaskSupervisorRef::new(DynamicSupervisorRef::named(runtime, name))
    }

    /// Returns the supervisor's pid, as [`DynamicSupervisorRef::pid`] does.
    pub fn pid(&self) -> Option<Pid> {
        self.supervisor.pid()
    }

    /// Sets how the tasks that this handle starts are stopped when the supervisor stops. By default
    /// each task has 5 s to stop. OTP: the `shutdown` option of each start.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime, Shutdown, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let brutal = tasks.clone().with_shutdown(Shutdown::BrutalKill);
    /// let ended = rt.ended(brutal.start_child(|_| std::future::pending()).await?);
    /// tasks.stop().await?;
    /// assert_eq!(ended.await, ExitReason::Killed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn with_shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Starts a [`Task`] under this supervisor, linked to the process of `caller` as with
    /// [`Task::spawn`]. OTP: `Task.Supervisor.async/2`.
    ///
    /// # Errors
    ///
    /// [`StartError::Unreachable`] if the supervisor is not alive, [`StartError::MaxChildren`] if
    /// the supervisor has its maximum of tasks.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no task is started, or the started task is killed.
    ///
    /// ```
    /// use regrow::{Runtime, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let handle = tasks.clone();
    /// let body = rt.spawn_fallible(|ctx| async move {
    ///     let bad = handle.spawn(&ctx, |_| async { panic!("no luck") }).await?;
    ///     bad.join().await?;
    ///     unreachable!()
    /// });
    /// assert_eq!(body.join().await.crash().unwrap().message(), "no luck");
    /// assert!(rt.is_alive(tasks.pid().unwrap())); // not affected
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn spawn<T, F, Fut>(
        &self,
        caller: &impl Inside,
        body: F,
    ) -> Result<Task<T>, StartError>
    where
        T: Send + 'static,
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.launch(Some(caller.pid()), |ctx, slot| body(ctx).map(deliver(slot))).await
    }

    /// Starts a [`Task`] under this supervisor, without a link to a caller: only its
    /// [`join`](Task::join) returns its crash. OTP: `Task.Supervisor.async_nolink/2`.
    /// [`TaskSupervisor`](crate::TaskSupervisor) has an example.
    ///
    /// # Errors
    ///
    /// The same as those of [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has the same effect as for [`spawn`](Self::spawn).
    pub async fn spawn_nolink<T, F, Fut>(&self, body: F) -> Result<Task<T>, StartError>
    where
        T: Send + 'static,
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.launch(None, |ctx, slot| body(ctx).map(deliver(slot))).await
    }

    /// Starts a task whose body puts the result into the slot.
    pub(crate) async fn launch<T, F, Fut>(
        &self,
        caller: Option<Pid>,
        body: F,
    ) -> Result<Task<T>, StartError>
    where
        T: Send + 'static,
        F: FnOnce(TaskContext, oneshot::Sender<T>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (slot, result) = oneshot::channel();
        let metadata = self.supervisor.server.kernel().captured();
        let body = plain(move |ctx| {
            metadata.hand_on(async move { body(TaskContext::new(ctx), slot).await })
        });
        let handle = self.start_task(SupervisedTask::new(caller, body)).await?;
        Ok(Task { handle, caller, slot: Some(result) })
    }

    /// Starts a task without a result, which is never restarted. OTP:
    /// `Task.Supervisor.start_child/2`. [`TaskSupervisor`](crate::TaskSupervisor) has an example.
    ///
    /// # Errors
    ///
    /// The same as those of [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no task is started, or the started task is killed.
    pub async fn start_child<F, Fut>(&self, body: F) -> Result<Pid, StartError>
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let metadata = self.supervisor.server.kernel().captured();
        let body =
            fallible(move |ctx| metadata.hand_on(async move { body(TaskContext::new(ctx)).await }));
        Ok(self.start_task(SupervisedTask::new(None, body)).await?.pid())
    }

    /// Starts a task as [`start_child`](Self::start_child) does, and waits for the successor of the
    /// supervisor if the supervisor is being restarted, all within `limit`.
    /// [`SupervisorRef::start_child_waiting`](crate::SupervisorRef::start_child_waiting) describes
    /// the limit and the errors, and has an example.
    ///
    /// # Errors
    ///
    /// The same as those of [`spawn`](Self::spawn), and those of the limit.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no task is started, or the started task is killed.
    pub async fn start_child_waiting<F, Fut>(
        &self,
        body: F,
        limit: Duration,
    ) -> Result<Pid, StartError>
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let metadata = self.supervisor.server.kernel().captured();
        let body =
            fallible(move |ctx| metadata.hand_on(async move { body(TaskContext::new(ctx)).await }));
        let (task, handle) = SupervisedTask::new(None, body);
        let child = ChildSpec::new(LABEL, task).restart(Restart::Temporary);
        let child = child.shutdown(self.shutdown);
        self.supervisor.start_child_waiting(child, limit).await?;
        Ok(started(handle).pid())
    }

    /// Starts a child that is started once. If the start is refused, the error has the child's value.
    /// The [shutdown](Self::with_shutdown) of this handle applies, unless the child has its own.
    /// [`OnceChild`] has an example.
    ///
    /// # Errors
    ///
    /// As [`DynamicSupervisorRef::start_once`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting. The child may still be started, with the value.
    pub async fn start_once<V: Send + 'static>(
        &self,
        child: OnceChild<V>,
    ) -> Result<Pid, StartOnceError<V>> {
        self.supervisor.start_once(child.or_shutdown(self.shutdown)).await
    }

    /// Starts a task as [`start_child`](Self::start_child) does, and restarts it as `restart` says.
    /// Each start clones the body. OTP: the `restart` option of `Task.Supervisor.start_child/3`.
    ///
    /// # Errors
    ///
    /// The same as those of [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting. The task may still be started.
    ///
    /// ```
    /// use regrow::{Restart, Runtime, TaskSupervisor};
    /// use tokio::sync::mpsc::unbounded_channel;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let (sender, mut receiver) = unbounded_channel();
    /// let pid = tasks
    ///     .start_child_with(Restart::Transient, |ctx| async move {
    ///         sender.send(ctx.pid())?;
    ///         panic!("no luck")
    ///     })
    ///     .await?;
    /// assert_eq!(receiver.recv().await, Some(pid));
    /// assert_ne!(receiver.recv().await, Some(pid)); // it was started again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn start_child_with<F, Fut>(
        &self,
        restart: Restart,
        body: F,
    ) -> Result<Pid, StartError>
    where
        F: FnOnce(TaskContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        self.start(ChildSpec::task(LABEL, body).restart(restart)).await
    }

    async fn start_task(
        &self,
        (task, handle): (SupervisedTask, oneshot::Receiver<StartedTask>),
    ) -> Result<ProcessHandle, StartError> {
        self.start(ChildSpec::new(LABEL, task).restart(Restart::Temporary)).await?;
        Ok(started(handle))
    }

    async fn start(&self, child: ChildSpec) -> Result<Pid, StartError> {
        self.supervisor.start_child(child.shutdown(self.shutdown)).await
    }

    /// Stops a task within its shutdown time, and waits for its end. The task is not restarted. For
    /// a [`Task`] prefer [`Task::shutdown`]: this function also ends a caller that is linked to the
    /// task and does not trap exits. OTP: `Task.Supervisor.terminate_child/2`.
    ///
    /// # Errors
    ///
    /// [`ChildError::NotFound`] if the supervisor has no such task, or no longer has it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting. The task may still be stopped.
    ///
    /// ```
    /// use regrow::{ChildError, Runtime, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let endless = tasks.start_child(|_| std::future::pending()).await?;
    /// assert_eq!(tasks.terminate_child(endless).await, Ok(()));
    /// let again = tasks.terminate_child(endless).await;
    /// assert_eq!(again, Err(ChildError::NotFound(endless.to_string())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn terminate_child(&self, task: Pid) -> Result<(), ChildError> {
        self.supervisor.terminate_child(task).await
    }

    /// Returns the running tasks, in the order of their pids. OTP: `Task.Supervisor.children/1`.
    /// [`TaskSupervisor`](crate::TaskSupervisor) has an example.
    ///
    /// # Errors
    ///
    /// The errors of a call to a server; [`CallError::NoProc`] if the supervisor is not alive.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the query changes nothing.
    pub async fn children(&self) -> Result<Vec<Pid>, CallError> {
        let children = self.supervisor.which_children().await?;
        Ok(children.iter().filter_map(ChildInfo::pid).collect())
    }

    /// Stops all tasks concurrently, each within its own shutdown time, then the supervisor, as
    /// [`DynamicSupervisorRef::stop`] does.
    ///
    /// # Errors
    ///
    /// The same as those of [`DynamicSupervisorRef::stop`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops waiting. The supervisor still stops.
    pub async fn stop(&self) -> Result<ExitReason, CallError> {
        self.supervisor.stop().await
    }

    /// Resolves with the supervisor's exit reason when the supervisor has ended, as
    /// [`DynamicSupervisorRef::ended`] does.
    pub fn ended(&self) -> Ended {
        self.supervisor.ended()
    }
}

/// Returns the handle of a task that was started.
fn started(mut handle: oneshot::Receiver<StartedTask>) -> ProcessHandle {
    let started = handle.try_recv().ok().and_then(|mut started| started.take_handle());
    started.expect("a task that was started has sent its handle")
}
