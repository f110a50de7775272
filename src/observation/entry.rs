//! The ways to begin an observation.

use crate::base::Pid;
use crate::exit::Result;
use crate::observation::Observation;
use crate::runtime::{CallError, Runtime};
use crate::supervisor::{DynamicSupervisorRef, PartitionSupervisorRef, Partitioned, SupervisorRef};
use crate::task::TaskSupervisorRef;

impl Runtime {
    /// Observes all trees of the runtime, also those that start later.
    ///
    /// ```
    /// use regrow::{Observed, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut observation = rt.observe();
    /// let Some(Observed::Picture(picture)) = observation.next().await else { panic!() };
    /// assert!(picture.nodes.is_empty());
    ///
    /// let tree = Supervisor::one_for_one().named("app").start(&rt).await?;
    /// let Some(Observed::Change(change)) = observation.next().await else { panic!() };
    /// assert_eq!((change.path.as_str(), change.kind.name()), ("app", "added"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn observe(&self) -> Observation {
        Observation::new(self, None)
    }
}

impl SupervisorRef {
    /// Observes the tree below this supervisor, and no other tree, even if it has the same path. If this supervisor is restarted, the observation
    /// continues with its successor. It ends when the whole tree has ended, whose top may be another
    /// supervisor. [`Observation`] has an example.
    ///
    /// # Errors
    ///
    /// [`NoProc`](CallError::NoProc) if the supervisor is not alive, and
    /// [`Restarting`](CallError::Restarting) if its name is reserved for a successor. To observe a
    /// tree that is not up yet, use [`Runtime::observe`] and [`Observation::below`].
    pub fn observe(&self) -> Result<Observation, CallError> {
        let pid = self.server.reach()?;
        observe(&Runtime { kernel: self.server.kernel().clone() }, pid)
    }
}

impl DynamicSupervisorRef {
    /// Observes the tree below this supervisor, as [`SupervisorRef::observe`] does.
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::observe`].
    pub fn observe(&self) -> Result<Observation, CallError> {
        let pid = self.server.reach()?;
        observe(&Runtime { kernel: self.server.kernel().clone() }, pid)
    }
}

impl TaskSupervisorRef {
    /// Observes the tree below this supervisor, as [`SupervisorRef::observe`] does: its tasks.
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::observe`].
    ///
    /// ```
    /// use regrow::{Runtime, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let pid = tasks.start_child(|_| std::future::pending()).await?;
    /// let picture = tasks.observe()?.picture().await;
    /// assert_eq!(picture.nodes[1].pid, Some(pid));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn observe(&self) -> Result<Observation, CallError> {
        self.supervisor.observe()
    }
}

impl<P: Partitioned> PartitionSupervisorRef<P> {
    /// Observes the partitions and the supervisor above them, as [`SupervisorRef::observe`] does.
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::observe`].
    ///
    /// ```
    /// use regrow::{DynamicSupervisor, PartitionSupervisor, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let rooms = PartitionSupervisor::<DynamicSupervisor>::new("rooms", |_| DynamicSupervisor::new());
    /// let rooms = rooms.partitions(2).start(&rt).await?;
    /// let picture = rooms.observe()?.picture().await;
    /// assert_eq!(picture.nodes.len(), 3); // the partitions and the supervisor above them
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn observe(&self) -> Result<Observation, CallError> {
        self.supervisor().observe()
    }
}

/// Observes the tree of this supervisor, at and below its path.
fn observe(runtime: &Runtime, supervisor: Pid) -> Result<Observation, CallError> {
    let kernel = &runtime.kernel;
    let path = kernel.supervisor_path(supervisor);
    let path = path.ok_or_else(|| CallError::no_proc(kernel))?;
    let mut top = supervisor;
    while let Some(above) = kernel.find(top).and_then(|top| kernel.supervisor_of(&*top)) {
        top = above;
    }
    Ok(Observation::new(runtime, Some(top)).below(path.text().as_str()))
}
