//! The handle of partitions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::base::{Pid, PlainMutex, SharedStr, consume_budget};
use crate::exit::{ExitReason, Result};
use crate::runtime::{CallError, Runtime, StartError};
use crate::supervisor::{
    ChildError, ChildState, PartitionKey, Partitioned, Partitions, PublishedCell, SupervisorRef,
};

/// A handle to running partitions. The handle is cheap to clone, and dropping it stops nothing.
/// [`PartitionSupervisor`](crate::PartitionSupervisor) has an example.
pub struct PartitionSupervisorRef<P: Partitioned> {
    runtime: Runtime,
    tree: SupervisorRef,
    name: SharedStr,
    /// The number of partitions, as long as the supervisor has not been found.
    declared: usize,
    /// The supervisor that was found last under the name, and its partitions.
    known: PlainMutex<Option<(Pid, Arc<Partitions>)>>,
    /// One handle for each declared partition, so that choosing a partition allocates no name.
    handles: Arc<[P::Handle]>,
    /// The handles of the partitions above these, which a resize has added.
    added: Arc<PlainMutex<Vec<P::Handle>>>,
    /// The number of requests that were spread over all partitions.
    pub(super) turn: Arc<AtomicUsize>,
}

impl<P: Partitioned> PartitionSupervisorRef<P> {
    /// Returns a handle to the partitions that run, or will run, under this name. `partitions` is the
    /// number of partitions until their supervisor runs. From then on the handle has the real number,
    /// also after a [resize](Self::resize), and after another supervisor was started under the name.
    /// [`PartitionSupervisor::spec`](crate::PartitionSupervisor::spec) has an example.
    pub fn named(runtime: &Runtime, name: impl Into<String>, partitions: usize) -> Self {
        let (name, declared) = (SharedStr::from(name.into()), partitions.max(1));
        let handle = |index| P::handle(runtime, partition_name(&name, index));
        let handles = (0..declared).map(handle).collect();
        let tree = SupervisorRef::named(runtime, name.to_string());
        PartitionSupervisorRef {
            runtime: runtime.clone(),
            tree,
            name,
            declared,
            known: PlainMutex::new(None),
            handles,
            added: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// Returns a handle to the partition of this key. The index is a number modulo the number of
    /// partitions: the absolute value of an integer, the number of a pid, or for any other key a
    /// hash that is the same in every run of one build.
    /// [`PartitionSupervisor`](crate::PartitionSupervisor) has an example.
    ///
    /// After a [resize](Self::resize) most keys choose another partition. With
    /// [`consistent`](Self::consistent), few do.
    pub fn partition(&self, key: impl Into<PartitionKey>) -> P::Handle {
        self.at(key.into().index(self.partitions()))
    }

    /// Returns a handle to the partition of this key, by a consistent hash: when a
    /// [resize](Self::resize) adds a partition, the new partition takes an equal share of the keys from
    /// each of the others, and all other keys stay. The hash is the same in every run of one build. Use
    /// either this method or [`partition`](Self::partition) for all requests of one kind. Elixir has no
    /// counterpart.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::Runtime;
    /// use regrow::PartitionSupervisor;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters = PartitionSupervisor::<Counter>::new("counters", |_| 0).partitions(4);
    /// let counters = counters.start(&rt).await?;
    /// let pids = || (0..1_000).map(|key| counters.consistent(key).pid()).collect::<Vec<_>>();
    /// let before = pids();
    /// counters.resize(5).await?;
    /// let moved = pids().iter().zip(&before).filter(|(now, before)| now != before).count();
    /// assert!((100..300).contains(&moved)); // about a fifth
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn consistent(&self, key: impl Into<PartitionKey>) -> P::Handle {
        self.at(key.into().consistent_index(self.partitions()))
    }

    /// Returns a handle to the partition with this index, counted from 0. If there is no such
    /// partition, calls return [`NoHolder`](CallError::NoHolder).
    pub fn at(&self, index: usize) -> P::Handle {
        if let Some(handle) = self.handles.get(index) {
            return handle.clone();
        }
        let handle = |index| P::handle(&self.runtime, partition_name(&self.name, index));
        if index >= self.partitions() {
            return handle(index);
        }
        let above = index - self.handles.len();
        if let Some(handle) = self.added.lock().get(above) {
            return handle.clone();
        }
        // A handle is made without the lock: `Partitioned` may be implemented by a user.
        let new = handle(index);
        let mut added = self.added.lock();
        if added.len() == above {
            added.push(new.clone());
        }
        new
    }

    /// Returns the number of partitions.
    /// [`PartitionSupervisor`](crate::PartitionSupervisor) has an example.
    pub fn partitions(&self) -> usize {
        self.read(|shared| shared.count()).unwrap_or(self.declared)
    }

    /// Returns a handle to each partition, in the order of the indexes. Use this to call all
    /// partitions, or to add up their counts. [`Partitioned`] has an example.
    pub fn all(&self) -> Vec<P::Handle> {
        (0..self.partitions()).map(|index| self.at(index)).collect()
    }

    /// Changes the number of partitions while they run. All handles use the new number at once, and a
    /// supervisor that is restarted starts as many partitions.
    ///
    /// * More: the new partitions are started one after the other. Keys choose a partition from the
    ///   moment at which it runs.
    /// * Fewer: from now on no key chooses the partitions with the largest indexes. They are then
    ///   stopped like any child, the last one first. A call to a partition that is stopped before it has
    ///   handled the call fails with [`Exited`](CallError::Exited), and its state is lost: a partition
    ///   that has to finish its work should [drain](crate::ServerContext::drain_on_stop).
    /// * Keys move, with [`partition`](Self::partition) most of them, with
    ///   [`consistent`](Self::consistent) few. The state of a key does not move with it.
    ///
    /// Resizes of the same partitions take turns. Elixir: `PartitionSupervisor.resize!/2`, which does not
    /// go above the number of partitions at the start, and whose number a restart resets.
    ///
    /// # Errors
    ///
    /// * [`ChildError::NotStarted`] with [`StartError::Invalid`] for zero partitions, and with the reason
    ///   if a new partition can't be started; the partitions before it run.
    /// * [`ChildError::Unreachable`] if the supervisor is not alive, or ends before it answers.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the partitions that have been started run, and keys choose them.
    /// Partitions that were to be stopped may run on without being chosen, until the next resize.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::Runtime;
    /// use regrow::PartitionSupervisor;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters = PartitionSupervisor::<Counter>::new("counters", |_| 0).partitions(2);
    /// let counters = counters.start(&rt).await?;
    /// counters.resize(4).await?;
    /// assert_eq!((counters.partitions(), counters.all().len()), (4, 4));
    /// counters.resize(1).await?;
    /// assert_eq!(counters.supervisor().count_children().await?.active, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn resize(&self, partitions: usize) -> Result<(), ChildError> {
        consume_budget().await;
        if partitions == 0 {
            let what = "no partitions at all: give `resize` a number above zero";
            return Err(ChildError::NotStarted(StartError::Invalid(what.to_owned())));
        }
        loop {
            let Some(shared) = self.read(Arc::clone) else {
                let name = self.name.clone();
                return Err(ChildError::Unreachable(CallError::NoHolder(name)));
            };
            let _turn = shared.resizing.lock().await;
            // Another supervisor may have been started under the name meanwhile.
            if self.read(|now| Arc::ptr_eq(now, &shared)) == Some(true) {
                return self.resize_in_turn(&shared, partitions).await;
            }
        }
    }

    /// Resizes these partitions, while no other resize of them runs.
    async fn resize_in_turn(
        &self,
        shared: &Partitions,
        partitions: usize,
    ) -> Result<(), ChildError> {
        if partitions < shared.count() {
            shared.set_count(partitions);
        }
        let mut known = self.known_partitions().await?;
        while let Some((last, _)) = known.pop_if(|(index, _)| *index >= partitions) {
            let id = last.to_string();
            done_or_gone(self.tree.terminate_child(&id).await)?;
            done_or_gone(self.tree.delete_child(&id).await)?;
        }
        for index in 0..partitions {
            match known.binary_search_by_key(&index, |(index, _)| *index).map(|at| known[at].1) {
                Ok(true) => {}
                Ok(false) => drop(self.tree.restart_child(&index.to_string()).await?),
                Err(_) => drop(self.tree.start_child(shared.child(index)).await?),
            }
            shared.set_count(shared.count().max(index + 1));
        }
        Ok(())
    }

    /// Returns the indexes of the partitions that the supervisor knows, in order, and whether each
    /// runs or is being restarted. A resize that was dropped leaves a partition that does not run.
    async fn known_partitions(&self) -> Result<Vec<(usize, bool)>, ChildError> {
        let children = self.tree.which_children().await?.into_iter();
        let up = |state| !matches!(state, ChildState::Stopped | ChildState::GivenUp);
        let known = children.filter_map(|child| Some((child.id.parse().ok()?, up(child.state))));
        let mut known: Vec<_> = known.collect();
        known.sort_unstable();
        Ok(known)
    }

    /// Reads the partitions of the supervisor that holds the name. While no supervisor is found, or
    /// one that has not come to its partitions, reads those of the last one: it may be restarted.
    /// Returns `None` if no supervisor was ever found.
    fn read<R>(&self, read: impl Fn(&Arc<Partitions>) -> R) -> Option<R> {
        let process = self.tree.server.resolve().ok();
        let pid = process.as_ref().map(|process| process.pid());
        if let Some((of, known)) = &*self.known.lock()
            && pid.is_none_or(|pid| pid == *of)
        {
            return Some(read(known));
        }
        let cell = process.and_then(|process| PublishedCell::of(&**process));
        match (pid, cell.as_ref().and_then(|cell| cell.partitions())) {
            (Some(pid), Some(found)) => {
                let before = self.known.lock().replace((pid, found.clone()));
                drop(before);
                Some(read(found))
            }
            _ => self.known.lock().as_ref().map(|(_, known)| read(known)),
        }
    }

    pub(super) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns a handle to the supervisor of the partitions.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.tree
    }

    /// Stops all partitions, the last one first, then the supervisor.
    /// [`PartitionSupervisor`](crate::PartitionSupervisor) has an example.
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::stop`].
    ///
    /// # Cancel safety
    ///
    /// As [`SupervisorRef::stop`].
    pub async fn stop(&self) -> Result<ExitReason, CallError> {
        self.tree.stop().await
    }
}

impl<P: Partitioned> Clone for PartitionSupervisorRef<P> {
    fn clone(&self) -> Self {
        PartitionSupervisorRef {
            runtime: self.runtime.clone(),
            tree: self.tree.clone(),
            name: self.name.clone(),
            declared: self.declared,
            known: PlainMutex::new(self.known.lock().clone()),
            handles: self.handles.clone(),
            added: self.added.clone(),
            turn: self.turn.clone(),
        }
    }
}

impl<P: Partitioned> fmt::Debug for PartitionSupervisorRef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionSupervisorRef({:?}, {})", self.name, self.partitions())
    }
}

/// The name of the partition with this index.
pub(super) fn partition_name(name: &str, index: usize) -> String {
    format!("{name}/{index}")
}

/// A restart of the supervisor during a resize may have removed the partition already.
fn done_or_gone(removed: Result<(), ChildError>) -> Result<(), ChildError> {
    match removed {
        Err(ChildError::NotFound(_)) => Ok(()),
        other => other,
    }
}
