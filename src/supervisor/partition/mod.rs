//! Partitions: several processes of one kind under one supervisor, and keys that choose one of
//! them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{SharedStr, consume_budget};
use crate::exit::{ExitReason, Result};
use crate::runtime::{CallError, Runtime, StartError};
use crate::supervisor::{Supervisor, SupervisorRef, SupervisorSpec};

pub(crate) mod key;
pub(crate) mod partitioned;

pub use key::PartitionKey;
pub use partitioned::Partitioned;

/// A supervisor of several *partitions*: servers or
/// [`DynamicSupervisor`](crate::DynamicSupervisor)s of one kind, each with a state of its own. Each
/// key always chooses the same partition. Use partitions where one process would be a bottleneck
/// and its state can be divided by a key: counters, caches, connection pools, rate limits, many
/// children that are started at once. Don't use partitions for a state that must be read as a
/// whole.
///
/// Each partition has a name, so a handle stays valid when the partition is restarted. The
/// supervisor is `one_for_one`, and its children are the partitions `0` to `n - 1`. Types that can
/// be partitioned implement [`Partitioned`]. Elixir: `PartitionSupervisor`.
///
/// # Examples
///
/// ```
/// use std::collections::HashMap;
/// use regrow::{GenServer, PartitionSupervisor, Reply, Result, Runtime, ServerContext};
///
/// struct Hits(HashMap<String, u64>);
///
/// impl GenServer for Hits {
///     type Args = usize; // the index of the partition
///     type Call = (String, Reply<u64>);
///     type Cast = String;
///
///     async fn init(_: usize, _: &mut ServerContext<Self>) -> Result<Self> {
///         Ok(Hits(HashMap::new()))
///     }
///
///     async fn handle_call(&mut self, (page, reply): Self::Call, _: &mut ServerContext<Self>) -> Result {
///         reply.send(self.0.get(&page).copied().unwrap_or(0));
///         Ok(())
///     }
///
///     async fn handle_cast(&mut self, page: String, _: &mut ServerContext<Self>) -> Result {
///         *self.0.entry(page).or_default() += 1;
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let hits = PartitionSupervisor::<Hits>::new("hits", |index| index).partitions(4).start(&rt).await?;
/// for page in ["/", "/about", "/"] {
///     hits.partition(page).cast(page.to_owned());
/// }
/// let count = hits.partition("/").call(|reply| ("/".to_owned(), reply)).await?;
/// assert_eq!((count, hits.partitions()), (2, 4));
/// hits.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[must_use = "it does nothing until started"]
pub struct PartitionSupervisor<P: Partitioned> {
    name: String,
    /// The supervisor, without its children.
    tree: SupervisorSpec,
    partitions: Option<usize>,
    args: Arc<dyn Fn(usize) -> P::Args + Send + Sync>,
}

impl<P: Partitioned> PartitionSupervisor<P> {
    /// Describes partitions under a supervisor of this name. `args` returns the arguments of the
    /// partition with the given index. If the partitions are servers, `args` is called at each
    /// start. [`PartitionSupervisor`] has an example.
    pub fn new(
        name: impl Into<String>,
        args: impl Fn(usize) -> P::Args + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        let tree = Supervisor::one_for_one().named(name.clone());
        PartitionSupervisor { name, tree, partitions: None, args: Arc::new(args) }
    }

    /// Sets the number of partitions. By default it is the number of cores that the program may
    /// use. [`PartitionSupervisor`] has an example.
    pub fn partitions(mut self, partitions: usize) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Sets how many restarts the supervisor allows within any `period`, for all partitions
    /// together. By default it allows three in five seconds.
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.tree = self.tree.intensity(restarts, period);
        self
    }

    /// Starts all partitions, in the order of their indexes. [`PartitionSupervisor`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// [`StartError::Invalid`] if the number of partitions is zero. Otherwise the errors of
    /// [`SupervisorSpec::start`].
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless an earlier use of `runtime` was inside one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the start kills the supervisor, and with it all its partitions.
    pub async fn start(self, runtime: &Runtime) -> Result<PartitionSupervisorRef<P>, StartError> {
        consume_budget().await;
        let (name, partitions) = (self.name.clone(), self.count());
        let tree = self.spec()?.start(runtime).await?;
        Ok(PartitionSupervisorRef {
            tree,
            ..PartitionSupervisorRef::named(runtime, name, partitions)
        })
    }

    /// Returns the description of the supervisor and its partitions, for a child of another
    /// supervisor. [`PartitionSupervisorRef::named`] returns a handle to these partitions.
    ///
    /// # Errors
    ///
    /// [`StartError::Invalid`] if the number of partitions is zero.
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
    /// use regrow::{PartitionSupervisor, PartitionSupervisorRef, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters = PartitionSupervisor::<Counter>::new("counters", |index| index as u64);
    /// let tree = Supervisor::one_for_one().child(counters.partitions(3).spec()?).start(&rt).await?;
    /// let counters = PartitionSupervisorRef::<Counter>::named(&rt, "counters", 3);
    /// assert_eq!(counters.partition(7).call(|reply| reply).await?, 1); // the index is 7 modulo 3
    /// tree.stop().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn spec(self) -> Result<SupervisorSpec, StartError> {
        let count = self.count();
        if count == 0 {
            let what = "no partitions at all: give `partitions` a number above zero";
            return Err(StartError::Invalid(what.to_owned()));
        }
        let child = |index| {
            let args = self.args.clone();
            let child = P::partition(move || args(index)).with_id(index.to_string());
            child.named(partition_name(&self.name, index))
        };
        Ok((0..count).map(child).fold(self.tree, SupervisorSpec::child))
    }

    fn count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.partitions.unwrap_or_else(cores)
    }
}

fn partition_name(name: &str, index: usize) -> String {
    format!("{name}/{index}")
}

/// A handle to running partitions. The handle is cheap to clone, and dropping it stops nothing.
/// [`PartitionSupervisor`] has an example.
pub struct PartitionSupervisorRef<P: Partitioned> {
    runtime: Runtime,
    tree: SupervisorRef,
    name: SharedStr,
    /// One handle for each partition, so that choosing a partition allocates no name.
    handles: Arc<[P::Handle]>,
}

impl<P: Partitioned> PartitionSupervisorRef<P> {
    /// Returns a handle to the partitions that run, or will run, under this name. `partitions` must
    /// be the number of partitions that are started: with another number, keys choose other
    /// partitions. [`PartitionSupervisor::spec`] has an example.
    pub fn named(runtime: &Runtime, name: impl Into<String>, partitions: usize) -> Self {
        let name = SharedStr::from(name.into());
        let handle = |index| P::handle(runtime, partition_name(&name, index));
        let handles = (0..partitions.max(1)).map(handle).collect();
        let tree = SupervisorRef::named(runtime, name.to_string());
        PartitionSupervisorRef { runtime: runtime.clone(), tree, name, handles }
    }

    /// Returns a handle to the partition of this key. The index is a number modulo the number of
    /// partitions: the absolute value of an integer, the number of a pid, or for any other key a
    /// hash that is the same in every run of one build. [`PartitionSupervisor`] has an example.
    pub fn partition(&self, key: impl Into<PartitionKey>) -> P::Handle {
        self.at(key.into().index(self.handles.len()))
    }

    /// Returns a handle to the partition with this index, counted from 0. If there is no such
    /// partition, calls return [`NoHolder`](CallError::NoHolder).
    pub fn at(&self, index: usize) -> P::Handle {
        let unknown = || P::handle(&self.runtime, partition_name(&self.name, index));
        self.handles.get(index).cloned().unwrap_or_else(unknown)
    }

    /// Returns the number of partitions. [`PartitionSupervisor`] has an example.
    pub fn partitions(&self) -> usize {
        self.handles.len()
    }

    /// Returns a handle to each partition, in the order of the indexes. Use this to call all
    /// partitions, or to add up their counts. [`Partitioned`] has an example.
    pub fn all(&self) -> &[P::Handle] {
        &self.handles
    }

    /// Returns a handle to the supervisor of the partitions.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.tree
    }

    /// Stops all partitions, the last one first, then the supervisor. [`PartitionSupervisor`] has
    /// an example.
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
            handles: self.handles.clone(),
        }
    }
}

impl<P: Partitioned> fmt::Debug for PartitionSupervisorRef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionSupervisorRef({:?}, {})", self.name, self.handles.len())
    }
}

impl<P: Partitioned> fmt::Debug for PartitionSupervisor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionSupervisor").field("name", &self.name).finish_non_exhaustive()
    }
}
