//! The specification of a supervisor of tasks.

use std::time::Duration;

use crate::child::ChildSpec;
use crate::exit::Result;
use crate::runtime::{Runtime, StartError};
use crate::supervisor::{DynamicSupervisor, Partitioned};
use crate::task::TaskSupervisorRef;

/// The specification of a supervisor of tasks, a dynamic supervisor whose children are tasks. The
/// supervisor stops its tasks before it ends, so the stop of a tree includes them. Each task is
/// shown in the tree with its pid and the label `task`; a child of
/// [`start_once`](TaskSupervisorRef::start_once) has its own id. OTP: Elixir's `Task.Supervisor`.
///
/// | setting | default |
/// |---|---|
/// | [`named`](Self::named) | no name |
/// | [`intensity`](Self::intensity) | 3 restarts in 5 s |
/// | [`max_children`](Self::max_children) | any number |
///
/// # Examples
///
/// ```
/// use regrow::{Runtime, Supervisor, TaskSupervisor, TaskSupervisorRef};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let tasks = TaskSupervisor::new().named("tasks");
/// let tree = Supervisor::one_for_one().child(tasks).start(&rt).await?;
///
/// let tasks = TaskSupervisorRef::named(&rt, "tasks"); // also valid after a restart
/// let answer = tasks.spawn_nolink(|_| async { 6 * 7 }).await?;
/// assert_eq!(answer.join().await?, 42);
///
/// let endless = tasks.start_child(|_| std::future::pending()).await?;
/// assert_eq!(tasks.children().await?, [endless]);
/// tree.stop().await?;
/// assert!(!rt.is_alive(endless));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until started"]
pub struct TaskSupervisor {
    spec: DynamicSupervisor,
}

impl Default for TaskSupervisor {
    fn default() -> Self {
        TaskSupervisor::new()
    }
}

impl TaskSupervisor {
    /// Returns a specification with all defaults. [`TaskSupervisor`] has an example.
    pub fn new() -> Self {
        TaskSupervisor { spec: DynamicSupervisor::new().with_id("TaskSupervisor") }
    }

    /// Sets the name that the supervisor is registered under, which is also its id. By default the
    /// supervisor has no name. [`TaskSupervisor`] has an example.
    pub fn named(self, name: impl Into<String>) -> Self {
        TaskSupervisor { spec: self.spec.named(name) }
    }

    /// Sets the number of restarts that the supervisor allows within any `period`, as
    /// [`DynamicSupervisor::intensity`] does. Only tasks of
    /// [`start_child_with`](TaskSupervisorRef::start_child_with) are restarted. The default is 3 in
    /// 5 s.
    pub fn intensity(self, restarts: u32, period: Duration) -> Self {
        TaskSupervisor { spec: self.spec.intensity(restarts, period) }
    }

    /// Sets the maximum number of tasks. The start of another one fails with
    /// [`StartError::MaxChildren`]. By default there is no maximum. OTP: `max_children`.
    ///
    /// ```
    /// use regrow::{Runtime, Shutdown, StartError, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().max_children(1).start(&rt).await?;
    /// let first = tasks.spawn_nolink(|_| std::future::pending::<()>()).await?;
    /// let second = tasks.spawn_nolink(|_| async {}).await;
    /// assert_eq!(second.unwrap_err(), StartError::MaxChildren(1));
    /// assert_eq!(first.shutdown(Shutdown::BrutalKill).await, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn max_children(self, most: usize) -> Self {
        TaskSupervisor { spec: self.spec.max_children(most) }
    }

    /// Starts the supervisor without a link. In a program prefer to make the supervisor a child of
    /// another supervisor. OTP: `Task.Supervisor.start_link/1`, without the link.
    ///
    /// # Errors
    ///
    /// The same as those of [`DynamicSupervisor::start`].
    ///
    /// # Panics
    ///
    /// In the same cases as [`DynamicSupervisor::start`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the supervisor.
    ///
    /// ```
    /// use regrow::{ExitReason, Runtime, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// assert_eq!(tasks.stop().await?, ExitReason::Shutdown);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn start(self, runtime: &Runtime) -> Result<TaskSupervisorRef, StartError> {
        Ok(TaskSupervisorRef::new(self.spec.start(runtime).await?))
    }
}

/// Specifies a child that runs the supervisor of tasks.
impl From<TaskSupervisor> for ChildSpec {
    fn from(supervisor: TaskSupervisor) -> Self {
        supervisor.spec.into()
    }
}

impl Partitioned for TaskSupervisor {
    type Args = TaskSupervisor;
    type Handle = TaskSupervisorRef;

    fn partition(args: impl Fn() -> TaskSupervisor + Send + Sync + 'static) -> ChildSpec {
        args().into()
    }

    fn handle(runtime: &Runtime, name: String) -> TaskSupervisorRef {
        TaskSupervisorRef::named(runtime, name)
    }
}
