//! The constructors of a supervisor's description: one for each strategy, and one for an init.

use std::sync::Arc;

use futures_util::FutureExt;

use crate::base::CaughtDrop;
use crate::exit::Result;
use crate::supervisor::spec::Init;
use crate::supervisor::{Strategy, SupervisorContext, SupervisorSpec};

/// The constructors of a supervisor's description: one for each strategy, and
/// [`with_init`](Self::with_init). OTP: `supervisor`.
///
/// | children that | strategy |
/// |---|---|
/// | need nothing of each other | [`one_for_one`](Self::one_for_one) |
/// | all need each other | [`one_for_all`](Self::one_for_all) |
/// | need those before them | [`rest_for_one`](Self::rest_for_one) |
#[derive(Debug, Clone, Copy)]
pub struct Supervisor;

impl Supervisor {
    /// Describes a supervisor that restarts only the child that ended.
    ///
    /// The supervisor starts its children in order, each after the one before is ready; stops them
    /// one at a time in reverse order; and gives up when they end too often. The supervisor is a
    /// process that is linked to its children. If the supervisor is killed, its children end as
    /// well, and a supervisor above starts it again when they have ended. Children that trap exits
    /// may take their shutdown times to end, and a child with
    /// [`Shutdown::Infinity`](crate::Shutdown::Infinity) any time. OTP: `one_for_one`; there the
    /// successor of a killed supervisor does not wait for these children.
    ///
    /// Don't use this for children that depend on each other's state: when one of them ends, the
    /// others would continue with state that no longer exists. Put such children in one process, or
    /// give a name to the child that the others need, so that they find its next incarnation.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
    /// # })).unwrap();
    /// ```
    pub fn one_for_one() -> SupervisorSpec {
        SupervisorSpec::new(Strategy::OneForOne)
    }

    /// Describes a supervisor that restarts all its children when one of them is to be restarted.
    /// The others are stopped in reverse order, one at a time, and then all children are started in
    /// order. Temporary children are stopped, and are not started again. OTP: `one_for_all`.
    ///
    /// Use this for children that can't continue without each other. If a child ends for good, as
    /// its [`Restart`](crate::Restart) type says, the others keep running. If a start fails in a
    /// restart, the children that were started by then are stopped, and the restart is attempted
    /// again, until it succeeds or the supervisor gives up. Each attempt counts, unless it waits
    /// for a [`Backoff`](crate::Backoff).
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
    /// assert!(after.is_sorted()); // started in order
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn one_for_all() -> SupervisorSpec {
        SupervisorSpec::new(Strategy::OneForAll)
    }

    /// Describes a supervisor that restarts the child that ended and the children after it. The
    /// children before it keep running. Otherwise this strategy is like
    /// [`one_for_all`](Self::one_for_all). OTP: `rest_for_one`.
    ///
    /// Use this for children that need the children before them: a connection, then the users of
    /// the connection.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
    /// # })).unwrap();
    /// ```
    pub fn rest_for_one() -> SupervisorSpec {
        SupervisorSpec::new(Strategy::RestForOne)
    }

    /// Describes a supervisor with an init. The init computes the children and the settings at each
    /// start, inside of the supervisor's process, before the first child is started. Use this for a
    /// tree that depends on values that are not known earlier. The init may choose not to run the
    /// supervisor, by [`SupervisorContext::ignore`].
    ///
    /// The supervisor follows the description that the init returns, except for the name and the
    /// id. These two are needed earlier: set them on the value that `with_init` returns. If the
    /// init returns a description with another name, the start is refused. An error or a panic of
    /// the init is a failed start. Each start clones the closure and calls the clone. OTP: a
    /// supervisor's `init/1`.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, StartError, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
    /// # })).unwrap();
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
