//! The handle of a supervisor of tasks.

use std::future::Future;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use crate::base::pid::Pid;
use crate::child::{ChildSpec, Restart, TaskContext};
use crate::exit::reason::{ExitReason, Result};
use crate::exit::shutdown::Shutdown;
use crate::runtime::Runtime;
use crate::runtime::ended::{Ended, ProcessHandle};
use crate::runtime::errors::call_error::{CallError, StartError};
use crate::runtime::inside::Inside;
use crate::runtime::spawn::{fallible, plain};
use crate::supervisor::{ChildError, ChildInfo, DynamicSupervisorRef};
use crate::task::Task;
use crate::task::supervised_start::{StartedTask, SupervisedTask};

/// What all tasks are called in trees, the log and the census. Their pids tell them apart.
const LABEL: &str = "task";

/// A handle to a running supervisor of tasks. Cheap to clone; dropping it stops nothing.
/// [`TaskSupervisor`](crate::TaskSupervisor) has an example.
#[derive(Debug, Clone)]
pub struct TaskSupervisorRef {
    supervisor: DynamicSupervisorRef,
    shutdown: Shutdown,
}

impl TaskSupervisorRef {
    pub(crate) fn new(supervisor: DynamicSupervisorRef) -> Self {
        TaskSupervisorRef { supervisor, shutdown: Shutdown::default() }
    }

    /// A handle to whichever supervisor of tasks holds the name at the time of each call, so
    /// that it lives through restarts. [`TaskSupervisor`](crate::TaskSupervisor) has an example.
    pub fn named(runtime: &Runtime, name: impl Into<String>) -> Self {
        TaskSupervisorRef::new(DynamicSupervisorRef::named(runtime, name))
    }

    /// The supervisor's pid, as [`DynamicSupervisorRef::pid`].
    pub fn pid(&self) -> Option<Pid> {
        self.supervisor.pid()
    }

    /// This handle, whose tasks are stopped so when the supervisor stops. By default they have
    /// 5 s. OTP: the `shutdown` option of each start.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime, Shutdown, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let brutal = tasks.clone().with_shutdown(Shutdown::BrutalKill);
    /// let ended = rt.ended(brutal.start_child(|_| std::future::pending()).await?);
    /// tasks.stop().await?;
    /// assert_eq!(ended.await, ExitReason::Killed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn with_shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Starts a [`Task`] under this supervisor, linked to the process this is called in as
    /// one of [`Task::spawn`] is. OTP: `Task.Supervisor.async/2`.
    ///
    /// # Errors
    ///
    /// [`StartError::Unreachable`] if there is no such supervisor,
    /// [`StartError::MaxChildren`] if it has as many as it may.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, it starts nothing, or kills what was started.
    ///
    /// ```
    /// use regrow::{Runtime, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let handle = tasks.clone();
    /// let body = rt.spawn_fallible(|ctx| async move {
    ///     let bad = handle.spawn(&ctx, |_| async { panic!("no luck") }).await?;
    ///     bad.join().await?;
    ///     unreachable!()
    /// });
    /// assert_eq!(body.join().await.crash().unwrap().message(), "no luck");
    /// assert!(rt.is_alive(tasks.pid().unwrap())); // it has nothing to do with that
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
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
        self.launch_returning(Some(caller.pid()), body).await
    }

    /// Starts a [`Task`] under this supervisor that is linked to nobody else: its crash is
    /// told by its [`join`](Task::join) alone. OTP: `Task.Supervisor.async_nolink/2`.
    /// [`TaskSupervisor`](crate::TaskSupervisor) has an example.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// As [`spawn`](Self::spawn).
    pub async fn spawn_nolink<T, F, Fut>(&self, body: F) -> Result<Task<T>, StartError>
    where
        T: Send + 'static,
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.launch_returning(None, body).await
    }

    async fn launch_returning<T, F, Fut>(
        &self,
        caller: Option<Pid>,
        body: F,
    ) -> Result<Task<T>, StartError>
    where
        T: Send + 'static,
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        self.launch(caller, |ctx, slot| body(ctx).map(|result| drop(slot.send(result)))).await
    }

    /// The body leaves its result in the slot.
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
        let body = plain(|ctx| body(TaskContext::new(ctx), slot));
        let handle = self.start_once(SupervisedTask::new(caller, body)).await?;
        Ok(Task { handle, caller, slot: Some(result) })
    }

    /// Starts a task whose result nobody waits for. It is never started again. OTP:
    /// `Task.Supervisor.start_child/2`. [`TaskSupervisor`](crate::TaskSupervisor) has an example.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, it starts nothing, or kills what was started.
    pub async fn start_child<F, Fut>(&self, body: F) -> Result<Pid, StartError>
    where
        F: FnOnce(TaskContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let body = fallible(|ctx| body(TaskContext::new(ctx)));
        Ok(self.start_once(SupervisedTask::new(None, body)).await?.pid())
    }

    /// The same, started again when it ends, as `restart` says. Each start clones the body. OTP:
    /// the `restart` option of `Task.Supervisor.start_child/3`.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, the task may have been started, or be about to.
    ///
    /// ```
    /// use regrow::{Restart, Runtime, TaskSupervisor};
    /// use tokio::sync::mpsc::unbounded_channel;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let (told, mut hear) = unbounded_channel();
    /// let pid = tasks
    ///     .start_child_with(Restart::Transient, |ctx| async move {
    ///         told.send(ctx.pid())?;
    ///         panic!("no luck")
    ///     })
    ///     .await?;
    /// assert_eq!(hear.recv().await, Some(pid));
    /// assert_ne!(hear.recv().await, Some(pid)); // it was started again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
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

    async fn start_once(
        &self,
        (task, mut handle): (SupervisedTask, oneshot::Receiver<StartedTask>),
    ) -> Result<ProcessHandle, StartError> {
        self.start(ChildSpec::new(LABEL, task).restart(Restart::Temporary)).await?;
        let started = handle.try_recv().expect("a task that was started has sent its handle");
        Ok(started.into_handle())
    }

    async fn start(&self, child: ChildSpec) -> Result<Pid, StartError> {
        self.supervisor.start_child(child.shutdown(self.shutdown)).await
    }

    /// Stops a task, as its shutdown time says, and waits for its end; it is not started
    /// again. A [`Task`] is better stopped by [`Task::shutdown`]: a caller that is linked to it
    /// falls with it here. OTP: `Task.Supervisor.terminate_child/2`.
    ///
    /// # Errors
    ///
    /// [`ChildError::NotFound`] if it is none of this supervisor's, or not any more.
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, the supervisor may still stop it.
    ///
    /// ```
    /// use regrow::{ChildError, Runtime, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let endless = tasks.start_child(|_| std::future::pending()).await?;
    /// assert_eq!(tasks.terminate_child(endless).await, Ok(()));
    /// let again = tasks.terminate_child(endless).await;
    /// assert_eq!(again, Err(ChildError::NotFound(endless.to_string())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn terminate_child(&self, task: Pid) -> Result<(), ChildError> {
        self.supervisor.terminate_child(task).await
    }

    /// The tasks that run, in the order of their pids. OTP:
    /// `Task.Supervisor.children/1`. [`TaskSupervisor`](crate::TaskSupervisor) has an example.
    ///
    /// # Errors
    ///
    /// As any call of a server: [`CallError::NoProc`] if there is no such supervisor.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only looks.
    pub async fn children(&self) -> Result<Vec<Pid>, CallError> {
        let children = self.supervisor.which_children().await?;
        Ok(children.iter().filter_map(ChildInfo::pid).collect())
    }

    /// Stops all tasks at once, each as its shutdown time says, then the supervisor. As
    /// [`DynamicSupervisorRef::stop`].
    ///
    /// # Errors
    ///
    /// As [`DynamicSupervisorRef::stop`].
    ///
    /// # Cancel safety
    ///
    /// Dropped half way, it stops all the same.
    pub async fn stop(&self) -> Result<ExitReason, CallError> {
        self.supervisor.stop().await
    }

    /// The reason of the supervisor's end, when it has come. As [`DynamicSupervisorRef::ended`].
    pub fn ended(&self) -> Ended {
        self.supervisor.ended()
    }
}
