//! Where a supervisor's description begins: with what restarts whom.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::base::catch::CaughtDrop;
use crate::exit::reason::Result;
use crate::supervisor::context::SupervisorContext;
use crate::supervisor::spec::strategy::Strategy;
use crate::supervisor::spec::{Init, SupervisorSpec};

/// Where supervisors come from. OTP: `supervisor`.
///
/// | children that | strategy |
/// |---|---|
/// | need nothing of each other | [`one_for_one`](Self::one_for_one) |
/// | all need each other | [`one_for_all`](Self::one_for_all) |
/// | need those before them | [`rest_for_one`](Self::rest_for_one) |
#[derive(Debug, Clone, Copy)]
pub struct Supervisor;

impl Supervisor {
    /// A supervisor that starts again just the child that ended.
    ///
    /// It starts its children in order, each after the one before is ready; stops them
    /// one at a time in reverse; and gives up when they end too often. It is a process, linked
    /// to its children: if it is killed, they end with it, and a supervisor above it starts it
    /// anew when they have ended: those that trap exits may take their shutdown times for that,
    /// and one with [`Shutdown::Infinity`](crate::Shutdown::Infinity) as long as it likes. OTP:
    /// `one_for_one`, which does not wait for them.
    ///
    /// Not for children that need each other's state: when one of those ends the others would
    /// go on with what is no more. Put them in one process, or let the one hold the name by
    /// which the others find it.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let tree = Supervisor::one_for_one()
    ///     .child(ChildSpec::task("first", |_| std::future::pending()))
    ///     .child(ChildSpec::task("second", |_| std::future::pending()))
    ///     .start(&rt)
    ///     .await?;
    /// assert_eq!(tree.count_children().await?.active, 2);
    /// tree.stop().await?;
    /// assert_eq!(rt.process_count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn one_for_one() -> SupervisorSpec {
        SupervisorSpec::new(Strategy::OneForOne)
    }

    /// A supervisor that starts all its children again when one of them is to be: the others
    /// are stopped in reverse, each to its very end, and then all are started in order, as at
    /// first. Temporary ones are stopped, and don't come back. OTP: `one_for_all`.
    ///
    /// For children that can't go on without each other. A child that ends for good, as its
    /// [`Restart`](crate::Restart) says, disturbs nobody. If a start fails in a restart, that is
    /// tried again, and whoever was started by then is stopped again first; each attempt
    /// counts.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let child = |id: &str| ChildSpec::task(id, |_| std::future::pending());
    /// let spec = Supervisor::one_for_all().child(child("a")).child(child("b")).child(child("c"));
    /// let tree = spec.start(&rt).await?;
    /// let pids = async || {
    ///     let children = tree.which_children().await?;
    ///     Ok::<_, regrow::CallError>(children.iter().map(|c| c.pid().unwrap()).collect::<Vec<_>>())
    /// };
    /// let before = pids().await?;
    /// let ended = rt.ended(before[1]);
    /// rt.kill(before[1]);
    /// ended.await;
    /// let after = pids().await?; // answered after the restart
    /// assert!(before.iter().all(|&old| !rt.is_alive(old)));
    /// assert!(after.is_sorted()); // in order
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn one_for_all() -> SupervisorSpec {
        SupervisorSpec::new(Strategy::OneForAll)
    }

    /// A supervisor that starts the child that ended and those after it again; those before
    /// it go on. All else is as with [`one_for_all`](Self::one_for_all). OTP: `rest_for_one`.
    ///
    /// For children that need those before them: a connection, then what uses it.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let child = |id: &str| ChildSpec::task(id, |_| std::future::pending());
    /// let spec = Supervisor::rest_for_one().child(child("a")).child(child("b")).child(child("c"));
    /// let tree = spec.start(&rt).await?;
    /// let before = tree.which_children().await?;
    /// let ended = rt.ended(before[1].pid().unwrap());
    /// rt.kill(before[1].pid().unwrap());
    /// ended.await;
    /// let after = tree.which_children().await?; // answered after the restart
    /// assert_eq!(after[0].pid(), before[0].pid());
    /// assert!(after[1].pid() > before[2].pid() && after[2].pid() > after[1].pid());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn rest_for_one() -> SupervisorSpec {
        SupervisorSpec::new(Strategy::RestForOne)
    }

    /// A supervisor that is described by an init of its own, inside of its process and
    /// before its first child, each time it is started: for a tree that depends on what is
    /// only known then. It may choose not to run, by [`SupervisorContext::ignore`].
    ///
    /// The description that the init returns counts, except for name and id, which are needed
    /// before it: set those here. If the init returns a description with another name, the start
    /// is refused. An error or a panic of the init is a failed start. Each start clones the closure
    /// and calls the clone. OTP: a supervisor's `init/1`.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, StartError, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let workers = |count: usize| {
    ///     Supervisor::with_init(move |ctx| async move {
    ///         assert!(ctx.runtime().is_alive(ctx.pid()) && ctx.start_cause().restarts() == 0);
    ///         if count == 0 {
    ///             return Err(ctx.ignore());
    ///         }
    ///         let worker = |n| ChildSpec::task(format!("worker {n}"), |_| std::future::pending());
    ///         Ok((0..count).map(worker).fold(Supervisor::one_for_all(), |tree, w| tree.child(w)))
    ///     })
    /// };
    /// let tree = workers(4).named("workers").start(&rt).await?;
    /// assert_eq!(tree.count_children().await?.active, 4);
    ///
    /// assert_eq!(workers(0).start(&rt).await.unwrap_err(), StartError::Ignored);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn with_init<F, Fut>(init: F) -> SupervisorSpec
    where
        F: FnOnce(SupervisorContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<SupervisorSpec>> + Send + 'static,
    {
        let init: Init = Arc::new(move |ctx| init.clone()(ctx).boxed());
        SupervisorSpec {
            init: Some(CaughtDrop::new(init)),
            ..SupervisorSpec::new(Strategy::OneForOne)
        }
    }
}
