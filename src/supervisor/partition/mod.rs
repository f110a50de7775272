//! Partitions: several processes of one kind under one supervisor, and keys that choose one of
//! them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::consume_budget;
use crate::child::ChildSpec;
use crate::exit::Result;
use crate::runtime::{Runtime, StartError};
use crate::supervisor::{Partitions, Supervisor, SupervisorSpec};

pub(crate) mod key;
pub(crate) mod partitioned;
mod handle;
mod routing;

pub use handle::PartitionSupervisorRef;
use handle::partition_name;
pub use key::PartitionKey;
pub use partitioned::Partitioned;

/// A supervisor of several *partitions*: servers or
/// [`DynamicSupervisor`](crate::DynamicSupervisor)s of one kind, each with a state of its own. Each
/// key always chooses the same partition. Use partitions where one process would be a bottleneck
/// and its state can be divided by a key: counters, caches, connection pools, rate limits, many
/// children that are started at once. Don't use partitions for a state that must be read as a
/// whole.
///
/// A request whose partition does not matter goes to the next partition, or to the one with the least to
/// do: [`round_robin`](PartitionSupervisorRef::round_robin),
/// [`least_loaded`](PartitionSupervisorRef::least_loaded). The number of partitions can be changed while
/// they run: [`resize`](PartitionSupervisorRef::resize).
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
    change: Box<dyn Fn(ChildSpec) -> ChildSpec + Send + Sync>,
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
        let change = Box::new(|child| child);
        PartitionSupervisor { name, tree, partitions: None, args: Arc::new(args), change }
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

    /// Changes the specification of each partition, for example its
    /// [shutdown time](ChildSpec::shutdown), or the [bound of its
    /// mailbox](ChildSpec::mailbox_capacity), which says what happens to requests to a partition that
    /// has too many. The supervisor sets the id and the name.
    ///
    /// ```
    /// # use regrow::doc_counter::{Cast, Counter};
    /// # use regrow::Runtime;
    /// use regrow::{CallError, Overflow, PartitionSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counters = PartitionSupervisor::<Counter>::new("counters", |_| 0).partitions(1);
    /// let counters = counters.partition_spec(|child| child.mailbox_capacity(1, Overflow::Reject));
    /// let counters = counters.start(&rt).await?;
    /// assert!(counters.round_robin().try_cast(Cast::Add(1)).is_ok());
    /// let refused = counters.round_robin().try_cast(Cast::Add(2)).unwrap_err();
    /// assert_eq!(refused.reason, CallError::Overloaded);
    /// assert!(matches!(refused.cast, Cast::Add(2))); // given back
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn partition_spec(
        mut self,
        change: impl Fn(ChildSpec) -> ChildSpec + Send + Sync + 'static,
    ) -> Self {
        self.change = Box::new(change);
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
        let (name, count) = (self.name.clone(), self.count());
        self.spec()?.start(runtime).await?;
        Ok(PartitionSupervisorRef::named(runtime, name, count))
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
        let PartitionSupervisor { name, args, change, .. } = self;
        let child = move |index| {
            let args = args.clone();
            let child = change(P::partition(move || args(index)));
            child.with_id(index.to_string()).named(partition_name(&name, index))
        };
        let partitions = Partitions::new(count, child);
        let tree = partitions.children().into_iter().fold(self.tree, SupervisorSpec::child);
        Ok(SupervisorSpec { partitions: Some(Arc::new(partitions)), ..tree })
    }

    fn count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.partitions.unwrap_or_else(cores)
    }
}

impl<P: Partitioned> fmt::Debug for PartitionSupervisor<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionSupervisor").field("name", &self.name).finish_non_exhaustive()
    }
}
