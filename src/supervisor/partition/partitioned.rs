//! The types that can be partitioned.

use crate::child::ChildSpec;
use crate::runtime::Runtime;
use crate::server::{GenServer, ServerRef};
use crate::supervisor::{DynamicSupervisor, DynamicSupervisorRef};

/// A type that a [`PartitionSupervisor`](crate::PartitionSupervisor) can start several times: every
/// [`GenServer`], [`DynamicSupervisor`] and [`TaskSupervisor`](crate::TaskSupervisor). The two
/// supervisors are started from a value of their own type, which is their [`Args`](Self::Args).
///
/// # Examples
///
/// Children that many callers start at once, spread over four supervisors:
///
/// ```
/// use regrow::{ChildSpec, DynamicSupervisor, PartitionSupervisor, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let spec = |_| DynamicSupervisor::new().max_children(1_000);
/// let sessions = PartitionSupervisor::<DynamicSupervisor>::new("sessions", spec);
/// let sessions = sessions.partitions(4).start(&rt).await?;
/// for user in ["ann", "bob", "eve"] {
///     let session = ChildSpec::task(user, |_| std::future::pending());
///     sessions.partition(user).get_or_start(user, session).await?;
/// }
/// let mut active = 0;
/// for partition in sessions.all() {
///     active += partition.count_children().await?.active;
/// }
/// assert_eq!(active, 3);
/// sessions.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub trait Partitioned: 'static {
    /// The arguments with which one partition is started.
    type Args;

    /// The handle of one partition. Each use of the handle reaches the process that holds the
    /// partition's name at that time.
    type Handle: Clone + Send + Sync;

    /// Returns one partition as a child. The supervisor sets the id and the name of the child
    /// afterwards.
    fn partition(args: impl Fn() -> Self::Args + Send + Sync + 'static) -> ChildSpec;

    /// Returns the handle of the partition with this name.
    fn handle(runtime: &Runtime, name: String) -> Self::Handle;

    /// Lets the handle find its partition once, so that its copies need not.
    #[doc(hidden)]
    #[inline]
    fn find(_handle: &Self::Handle) {}
}

impl<S: GenServer> Partitioned for S {
    type Args = S::Args;
    type Handle = ServerRef<S>;

    fn partition(args: impl Fn() -> S::Args + Send + Sync + 'static) -> ChildSpec {
        S::child_with(args)
    }

    fn handle(runtime: &Runtime, name: String) -> ServerRef<S> {
        runtime.server(name)
    }

    #[inline]
    fn find(handle: &ServerRef<S>) {
        handle.find();
    }
}

impl Partitioned for DynamicSupervisor {
    type Args = DynamicSupervisor;
    type Handle = DynamicSupervisorRef;

    fn partition(args: impl Fn() -> DynamicSupervisor + Send + Sync + 'static) -> ChildSpec {
        args().into()
    }

    fn handle(runtime: &Runtime, name: String) -> DynamicSupervisorRef {
        DynamicSupervisorRef::named(runtime, name)
    }
}
