//! Several trees that are started in order, as one program.
//!
//! The phases are the children of one root supervisor, so their order, the stop of the earlier ones
//! after a failed start, their paths in reports and their nodes in snapshots are those of any
//! supervisor. The root restarts nothing: a phase that ends ends the program, as its setting says.
//!
//! In a stop that the run begins, the run enforces the time of a phase to stop, because a supervisor
//! that kills a supervisor can't name the processes below it. A stop that begins inside the tree,
//! after the end of a phase or a failed start, is not the run's: there the root enforces the time, as
//! the shutdown time of the phase. It is [`KILL_WAIT`] longer, so that the run is always first.

use std::time::Duration;

use crate::child::{ChildSpec, Restart};
use crate::exit::Shutdown;
use crate::program::{KILL_WAIT, Run};
use crate::supervisor::{AutoShutdown, Supervisor, SupervisorSpec};

/// Several trees that start in order and stop in reverse order, as one program.
///
/// A phase starts when all children of the phases before it have started, and are
/// [ready](ChildSpec::ready_within) where that is asked for. If a phase does not start, the phases
/// before it are stopped in reverse order, and the run returns the error. At a stop, a phase is
/// stopped when the phase after it has ended.
///
/// A phase is a whole tree with restarts of its own. When a phase ends, nothing restarts it:
///
/// | the phase is | it ends cleanly | it gives up, crashes or is killed |
/// |---|---|---|
/// | permanent, the default | the other phases are stopped in reverse order, and the program ends as a tree that ended: exit code 0 | the other phases are stopped, and the run returns the error: exit code 1 |
/// | [transient](Phase::transient) | the others continue | as above |
/// | [temporary](Phase::temporary) | the others continue | the others continue |
///
/// The id of a phase is the first part of the paths below the root: in the report of a stop, in a
/// [`TreeSnapshot`](crate::TreeSnapshot), in the answers of `/readyz` and `/tree`, and for
/// [`Run::restart_on_hangup`].
///
/// OTP: the applications of a release, in the order of their dependencies, with their types
/// `permanent`, `transient` and `temporary`. There a clean end of a permanent application is a
/// failure as well.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, Phase, Phases, Run, Supervisor};
/// use tokio_util::sync::CancellationToken;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let tree = |child: &str| {
///     Supervisor::one_for_one().child(ChildSpec::task(child, |_| std::future::pending()))
/// };
/// let shop = Phases::new("shop")
///     .phase("storage", tree("journal"))
///     .phase("web", Phase::new(tree("listener")).stop_within(Duration::from_secs(10)))
///     .phase("reports", Phase::new(tree("nightly")).temporary());
///
/// let stop = CancellationToken::new();
/// let run = Run::from(shop).without_signals().stop_on(stop.clone());
/// let program = tokio::spawn(run.run());
/// tokio::time::sleep(Duration::from_millis(1)).await;
/// stop.cancel();
/// let report = program.await??;
/// let paths: Vec<&str> = report.children.iter().map(|child| child.path.as_str()).collect();
/// assert_eq!(
///     paths,
///     [
///         "shop/reports/nightly", "shop/reports", "shop/web/listener", "shop/web",
///         "shop/storage/journal", "shop/storage",
///     ]
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is run"]
pub struct Phases {
    name: String,
    phases: Vec<(String, Phase)>,
}

/// One tree of [`Phases`], with its settings. [`Phases`] has an example.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is run"]
pub struct Phase {
    tree: SupervisorSpec,
    restart: Restart,
    significant: bool,
    start_within: Option<Duration>,
    stop_within: Option<Duration>,
}

impl From<SupervisorSpec> for Phase {
    fn from(tree: SupervisorSpec) -> Self {
        Phase::new(tree)
    }
}

impl Phase {
    /// Creates a permanent phase of this tree, whose start and stop take as long as its children
    /// say. [`Phases`] has an example.
    pub fn new(tree: impl Into<SupervisorSpec>) -> Self {
        Phase {
            tree: tree.into(),
            restart: Restart::Transient,
            significant: true,
            start_within: None,
            stop_within: None,
        }
    }

    /// Lets the other phases continue if this phase ends cleanly, for example a migration that is
    /// done. [`Phases`] has the table.
    pub fn transient(mut self) -> Self {
        self.significant = false;
        self
    }

    /// Lets the other phases continue however this phase ends. [`Phases`] has the table, and an
    /// example.
    pub fn temporary(mut self) -> Self {
        self.restart = Restart::Temporary;
        self.transient()
    }

    /// Sets how long the start of this phase may take, with all its children. After that the phase
    /// is killed, and the start of the program fails. By default there is no limit.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, Phase, Phases, RunError, StartError, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let journal = ChildSpec::task("journal", |_| std::future::pending()); // is never ready
    /// let journal = journal.ready_within(Duration::from_secs(3600));
    /// let storage = Phase::new(Supervisor::one_for_one().child(journal));
    /// let shop = Phases::new("shop").phase("storage", storage.start_within(Duration::from_secs(60)));
    /// let error = regrow::run(shop).await.unwrap_err();
    /// assert!(matches!(error, RunError::Start(StartError::Child { id, .. }) if id == "storage"));
    /// # }));
    /// ```
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = Some(limit);
        self
    }

    /// Sets how long the stop of this phase may take, within the deadline of the whole stop. After
    /// that all processes of the phase are killed, the report names each of them, and the phase
    /// before it is stopped. By default only the [deadline of the run](Run::deadline) and the
    /// shutdown times of the children apply. [`Phases`] has an example.
    ///
    /// If the program ends because of another phase, no deadline and no report apply: then this phase
    /// is killed one second after its time.
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.stop_within = Some(limit);
        self
    }

    fn child(&self, id: &str) -> ChildSpec {
        let child = ChildSpec::from(self.tree.clone()).with_id(id);
        let child = child.restart(self.restart).significant(self.significant);
        match self.start_within {
            Some(limit) => child.init_timeout(limit),
            None => child,
        }
    }
}

impl Phases {
    /// Creates a program without phases. The name is that of the root supervisor, and the first part
    /// of all paths. [`Phases`] has an example.
    pub fn new(name: impl Into<String>) -> Self {
        Phases { name: name.into(), phases: Vec::new() }
    }

    /// Adds a phase, which starts after the phases that were added before: a tree, or a [`Phase`]
    /// with its settings. Two phases with the same id fail the start. [`Phases`] has an example.
    pub fn phase(mut self, id: impl Into<String>, phase: impl Into<Phase>) -> Self {
        self.phases.push((id.into(), phase.into()));
        self
    }

    /// Returns the description of the root supervisor, for a test that starts the phases without a
    /// program, or for [`lint`](SupervisorSpec::lint). The time of a phase to stop is the shutdown
    /// time of its supervisor here.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Phase, Phases, Supervisor};
    ///
    /// let web = Phase::new(Supervisor::one_for_one()).stop_within(Duration::from_secs(10));
    /// let lint = Phases::new("shop").phase("web", web).tree().lint();
    /// assert_eq!(lint.worst_stop, Some(Duration::from_secs(10)));
    /// ```
    pub fn tree(&self) -> SupervisorSpec {
        self.root(|phase, child| match phase.stop_within {
            Some(limit) => child.shutdown(Shutdown::Timeout(limit)),
            None => child,
        })
    }

    fn root(&self, finish: impl Fn(&Phase, ChildSpec) -> ChildSpec) -> SupervisorSpec {
        let root = Supervisor::one_for_one()
            .named(self.name.clone())
            .intensity(0, Duration::from_secs(1))
            .auto_shutdown(AutoShutdown::AnySignificant);
        let add = |root: SupervisorSpec, (id, phase): &(String, Phase)| {
            root.child(finish(phase, phase.child(id)))
        };
        self.phases.iter().fold(root, add)
    }
}

impl From<Phases> for Run {
    fn from(phases: Phases) -> Self {
        let tree = phases.root(|phase, child| match phase.stop_within {
            Some(limit) => child.shutdown(Shutdown::Timeout(limit.saturating_add(KILL_WAIT))),
            None => child,
        });
        let mut run = Run::new(tree);
        run.phases = phases.phases.into_iter().map(|(id, phase)| (id, phase.stop_within)).collect();
        run
    }
}
