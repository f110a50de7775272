//! A picture of the trees of a runtime, as values.

use std::time::Duration;

use crate::base::{Pid, SharedStr, TimeOfDay};
use crate::observation::PicturePath;
use crate::observe::{Counters, Handling, Health, LogLevel};
use crate::restart::RestartBudget;
use crate::supervisor::Incarnation;
use crate::supervisor::dynamic::fold::FoldedCounts;

/// A picture of the observed trees. [`Observation`](crate::Observation) delivers it, and has an
/// example.
///
/// The picture includes all changes up to [`seq`](Self::seq), and perhaps some later ones, which the
/// observation then does not deliver. So each change is either in the picture or follows it, except
/// below a supervisor whose children are only [last known](Supervision::last_known): its changes
/// follow even if they are in the picture. The parts of different supervisors are of slightly different moments, because no process is paused.
///
/// The [`Display`](std::fmt::Display) is a text tree. With the feature `serde`, `to_json` returns
/// JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Picture {
    /// The number of the last change that the picture certainly includes.
    pub seq: u64,
    /// When the picture was taken, by the clock of the system.
    pub time: TimeOfDay,
    /// A random number of the runtime, below 2⁵³. A picture with another number is of another
    /// runtime, such as that of the program after its restart: there, a pid is another process.
    pub program: u64,
    /// The level of the lifecycle log.
    pub log_level: LogLevel,
    /// The supervisors and children, each supervisor before its children.
    pub nodes: Vec<PictureNode>,
    /// The counters of the runtime.
    pub counters: Counters,
}

/// One supervisor or child in a [`Picture`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PictureNode {
    /// The path, as in [`Change::path`](crate::Change::path).
    pub path: PicturePath,
    /// The id of the child, not escaped. Of a topmost supervisor, its label.
    pub id: SharedStr,
    /// The process; of a child that does not run, under a dynamic supervisor, its last process.
    pub pid: Option<Pid>,
    /// The supervisor of the child; `None` for a topmost supervisor.
    pub supervisor: Option<Pid>,
    /// The path of the supervisor, if it is in the picture.
    pub parent: Option<SharedStr>,
    /// Whether the child runs.
    pub state: PictureState,
    /// The health that the process reports; ready if it reports none or does not run.
    pub health: Health,
    /// When the start of the running incarnation began.
    pub started: Option<TimeOfDay>,
    /// When the last incarnation of a child that does not run ended, or its last start failed.
    pub ended: Option<TimeOfDay>,
    /// When a child that waits for its restart is tried next, if there is a backoff.
    pub retry_at: Option<TimeOfDay>,
    /// When the process is killed, if it is [stopping](PictureState::Stopping): by its supervisor,
    /// whose shutdown time for it is over then, or earlier by a [program](crate::Run) that stops, which
    /// at its deadline kills all that is left of its tree, or of a phase whose time is over. `None` if
    /// the stop has no limit, or the limit is not known.
    pub deadline: Option<TimeOfDay>,
    /// The number of restarts of the child by its supervisor.
    pub restarts: u32,
    /// The mailbox of the process, and what it handles.
    pub mailbox: MailboxFacts,
    /// The facts about a supervisor; `None` for a worker.
    pub supervision: Option<Box<Supervision>>,
    /// The last incarnations that ended, or did not start, oldest first: eight at most.
    pub history: Vec<PastRun>,
}

/// Whether a child runs. [`PictureNode`] has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PictureState {
    /// Its start is in progress.
    Starting,
    /// It runs.
    Running,
    /// It waits for its restart.
    Restarting,
    /// Its supervisor has asked it to stop.
    Stopping,
    /// It does not run, and its supervisor starts it only on request.
    Stopped,
    /// It was given up.
    GivenUp,
    /// It ended for good, and its supervisor has forgotten it. It stays in the picture for a while.
    Ended,
}

/// The mailbox of a process, and what the process handles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxFacts {
    /// The number of items that are queued. In a runtime without
    /// [counted mailboxes](crate::Runtime::with_mailbox_depth), the items that the process has taken
    /// over in a batch are left out. `None` if there is no process.
    pub queued: Option<usize>,
    /// How long the oldest item has been queued, if handlers are
    /// [tracked](crate::Observation::track_mailboxes).
    pub oldest: Option<Duration>,
    /// The number of messages that were lost because the mailbox was full.
    pub lost: u64,
    /// The callback that runs, if handlers are tracked.
    pub handling: Option<Handling>,
}

/// The facts about a supervisor in a [`Picture`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Supervision {
    /// The strategy as OTP spells it, or `dynamic`; empty before it is known.
    pub strategy: &'static str,
    /// The restarts that are left; `None` if there is no limit.
    pub budget: Option<RestartBudget>,
    /// What the supervisor waits for; `None` if it handles messages.
    pub step: Option<PictureStep>,
    /// When the supervisor began to stop all its children.
    pub ending_since: Option<TimeOfDay>,
    /// The counts of the children of a dynamic supervisor, of which only the worst are listed.
    pub folded: Option<FoldedCounts>,
    /// Whether a dynamic supervisor did not answer in time. Its children are shown as it last
    /// published them, and another picture follows soon.
    pub last_known: bool,
}

/// What a supervisor waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureStep {
    /// The init of the supervisor itself runs.
    Init {
        /// Since when.
        since: TimeOfDay,
    },
    /// This child starts.
    Starting {
        /// The path of the child.
        child: SharedStr,
        /// Since when.
        since: TimeOfDay,
    },
    /// This child stops. If the supervisor itself stops, this child holds the stop up.
    Stopping {
        /// The path of the child.
        child: SharedStr,
        /// Since when.
        since: TimeOfDay,
        /// When the child is killed, as [`PictureNode::deadline`] of the child says.
        deadline: Option<TimeOfDay>,
    },
}

/// One ended incarnation of a child, or one failed start, in a [`PictureNode`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PastRun {
    /// When the start began, by the clock of the system.
    pub started: TimeOfDay,
    /// When the incarnation ended, or its start failed.
    pub ended: TimeOfDay,
    /// The incarnation: its pid and its reason, the number of the start, and the delay before it.
    pub incarnation: Incarnation,
}

impl PastRun {
    /// Whether the crash that ended this incarnation has a backtrace: it is a panic,
    /// [`install_panic_hook`](crate::install_panic_hook) was called, and `RUST_BACKTRACE` enables
    /// backtraces. [`Crash::backtrace_text`](crate::Crash::backtrace_text) of its reason returns the
    /// text, and so does [`Runtime::backtrace_of`](crate::Runtime::backtrace_of) of its pid.
    pub fn has_backtrace(&self) -> bool {
        self.incarnation.reason.crash().is_some_and(|crash| crash.backtrace().is_some())
    }
}

impl Picture {
    /// Finds a node by its path. Under a dynamic supervisor several children may have one path;
    /// this finds the first.
    ///
    /// ```
    /// use regrow::{ChildSpec, PictureState, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let picture = tree.observe()?.picture().await;
    /// assert_eq!(picture.find("app/job").unwrap().state, PictureState::Running);
    /// assert_eq!(picture.to_string(), format!("\
    /// app      one_for_one  #1  running  3 of 3 restarts left
    /// app/job               #2  running"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn find(&self, path: &str) -> Option<&PictureNode> {
        self.nodes.iter().find(|node| node.path == path)
    }
}
