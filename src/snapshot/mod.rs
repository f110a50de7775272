//! A running tree as a value, with the state and history of each process. The value can be shown as
//! text, as JSON and as a graph, and HTTP routes can serve it.
//!
//! **Uses** `base`, `exit`, `time`, `observe`, `process`, `runtime`, `child`, `supervisor`.
//! **Knows nothing of** programs.
//!
//! Taking a snapshot pauses no process, so the parts of a snapshot are of slightly different
//! moments. All supervisors are asked at once, under one deadline. A supervisor that does not
//! answer in time, for example because it starts or stops a child, is shown with its last published
//! state.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::Pid;
use crate::child::Readiness;
use crate::exit::ExitReason;
use crate::observe::{Health, MachineStatus};
use crate::supervisor::{Incarnation, RestartBudget};

mod elapsed;
mod busy;
mod nodes;
pub(crate) mod survey;
pub(crate) mod collect;
mod text;
mod graph;
mod health;
#[cfg(feature = "serde")]
pub(crate) mod json;
#[cfg(feature = "axum")]
pub(crate) mod routes;

use elapsed::short_elapsed;
#[cfg(feature = "serde")]
pub(crate) use json::escape_controls;
use nodes::numbered;

pub use busy::Busy;
pub use health::TreeHealth;
pub use nodes::TreeNodes;

/// A snapshot of a supervision tree. [`SupervisorRef::tree`](crate::SupervisorRef::tree) takes one.
/// OTP: the view of `observer` under *Applications*.
///
/// The [`Display`](std::fmt::Display) is a text tree. [`to_dot`](Self::to_dot) and
/// [`to_mermaid`](Self::to_mermaid) return graphs. With the feature `serde` a snapshot can be
/// serialized.
///
/// Text and graphs are for people: each node is one line, or one box.
///
/// * Line breaks, escape sequences and other control characters in ids, names and reasons are
///   written as `\n` or `\u{1b}`. An empty id is `""`.
/// * An id or a name is cut after 64 characters and a reason after 256; `…` stands for the rest.
///   The fields of this value, and JSON, have the complete texts.
/// * `? queued` means that the queued messages are not [counted](TreeNode::depth).
/// * A node more than 32 levels below the root is not indented further. Its level is shown, as in
///   `[33]`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::with_mailbox_depth();
/// let idle = |id| ChildSpec::task(id, |_| std::future::pending());
/// let ingest = Supervisor::rest_for_one().with_id("ingest").child(idle("feed")).child(idle("parser"));
/// let tree = Supervisor::one_for_one().named("app").child(idle("kv")).child(ingest).start(&rt).await?;
/// let feed = tree.tree().await?.find("ingest/feed").unwrap().pid.unwrap();
/// tokio::time::sleep(Duration::from_secs(3)).await;
/// rt.kill(feed);
/// tokio::time::sleep(Duration::from_secs(1)).await;
///
/// let snapshot = tree.tree().await?;
/// assert_eq!(snapshot.root.budget().unwrap().left, 3);
/// assert_eq!(snapshot.find("ingest").unwrap().budget().unwrap().left, 2);
/// let expected = "\
/// app           one_for_one   #1  up 4.0s  3 of 3 restarts left
/// ├─ kv                       #2  up 4.0s
/// └─ ingest     rest_for_one  #3  up 4.0s  2 of 3 restarts left
///    ├─ feed                  #6  up 1.0s  1 restart, last: killed
///    └─ parser                #7  up 1.0s  1 restart, last: shutdown";
/// assert_eq!(snapshot.to_string(), expected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TreeSnapshot {
    /// The supervisor that the snapshot was taken of, with all nodes below it.
    pub root: TreeNode,
    /// The moment at which the snapshot was taken.
    pub taken: Instant,
}

/// One supervisor or child in a [`TreeSnapshot`], which has an example.
#[non_exhaustive]
pub struct TreeNode {
    /// The id of the child. For the root it is the label of the root's process, or its pid if it
    /// has no label.
    pub id: String,
    /// Worker or supervisor.
    pub kind: NodeKind,
    /// The state of the child.
    pub state: NodeState,
    /// The activity of a supervisor that did not answer in time, if its state is
    /// [`Busy`](NodeState::Busy). Such a node and its children are shown as the supervisor last
    /// published them.
    pub busy: Option<Busy>,
    /// The pid of the child's process; `None` if the child has no process.
    pub pid: Option<Pid>,
    /// The names that the process holds.
    pub names: Vec<String>,
    /// The time since this incarnation was started, if the process is alive.
    pub up: Option<Duration>,
    /// The number of restarts of the child by its supervisor. As in
    /// [`ChildInfo::restarts`](crate::ChildInfo::restarts), starts on request don't count.
    pub restarts: u32,
    /// The number of messages that are queued in the mailbox; 0 also where messages are not
    /// counted. See [`depth`](Self::depth).
    pub mailbox_depth: usize,
    /// Whether the queued messages are counted.
    is_counted: bool,
    /// The health that the process reports; ready if the process reports none.
    pub health: Health,
    /// The state and the last changes of a [state machine](crate::StateMachine); `None` for any other
    /// process. [`StateMachine::child`](crate::StateMachine::child) has an example.
    pub machine: Option<Box<MachineStatus>>,
    /// Whether the health of this node and of the nodes below it counts for the health of the tree.
    /// For the children of a dynamic supervisor it never does: the supervisor's own health says
    /// whether [enough of them](crate::DynamicSupervisor::ready_share) are ready.
    pub readiness: Readiness,
    /// The latest incarnations that ended or failed to start, oldest first.
    pub history: Vec<Incarnation>,
    /// The children, in start order.
    pub children: TreeNodes,
    /// The number of children that are left out of `children`, for a supervisor with very many
    /// children.
    pub more: usize,
}

/// The kind of a node. [`TreeSnapshot`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeKind {
    /// A child that is no supervisor.
    Worker,
    /// A supervisor.
    Supervisor {
        /// The strategy as OTP spells it, `one_for_one` for example; empty if the supervisor has
        /// not begun to start its children.
        strategy: &'static str,
        /// The restarts that the supervisor still allows; `None` if the supervisor allows any
        /// number, or has not begun to start its children. For a supervisor that did not answer in
        /// time the number is a lower bound, as of its last restart.
        budget: Option<RestartBudget>,
    },
}

/// The state of a node. [`TreeSnapshot`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeState {
    /// The child runs.
    Running,
    /// The child ended and will be restarted.
    Restarting {
        /// The time until the restart, if there is a backoff.
        retry_in: Option<Duration>,
    },
    /// The child does not run: it was not started yet, or its supervisor starts it only on request.
    Stopped,
    /// The child was given up: it used up its own restart budget, or asked not to be restarted. Its
    /// supervisor starts it only on request.
    GivenUp,
    /// The supervisor starts the child: its init has not returned, or it is not ready yet.
    Starting,
    /// The supervisor waits for the child to stop.
    Stopping,
    /// The process has ended, and its supervisor has not handled the end yet.
    Ended,
    /// The supervisor did not answer in time. Its last published state is shown, and
    /// [`TreeNode::busy`] has its activity. [`Busy`] has an example.
    Busy,
}

impl TreeSnapshot {
    /// Finds a node by its path: the ids from below the root, separated by `/`. [`TreeSnapshot`]
    /// has an example.
    pub fn find(&self, path: &str) -> Option<&TreeNode> {
        path.split('/')
            .try_fold(&self.root, |node, id| node.children.iter().find(|child| child.id == id))
    }

    /// Returns all nodes, each supervisor before its children.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let snapshot = tree.tree().await?;
    /// let ids: Vec<&str> = snapshot.nodes().iter().map(|node| node.id.as_str()).collect();
    /// assert_eq!(ids, ["app", "job"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn nodes(&self) -> Vec<&TreeNode> {
        numbered(&self.root).into_iter().map(|(_, node)| node).collect()
    }
}

impl TreeNode {
    /// Returns the number of messages that are queued in the mailbox; `None` if the child does not
    /// run or its messages are not counted. Messages are counted in a runtime [with mailbox
    /// depths](crate::Runtime::with_mailbox_depth), and in a mailbox with a bound.
    /// [`ProcessInfo::depth`](crate::ProcessInfo::depth) has an example.
    pub fn depth(&self) -> Option<usize> {
        self.is_counted.then_some(self.mailbox_depth)
    }

    /// Returns the restarts that are left, if this is a supervisor that limits them.
    /// [`TreeSnapshot`] has an example.
    pub fn budget(&self) -> Option<RestartBudget> {
        match self.kind {
            NodeKind::Supervisor { budget, .. } => budget,
            NodeKind::Worker => None,
        }
    }

    /// Returns why the latest incarnation in the history ended or did not start; `None` if the
    /// history is empty.
    pub fn last_reason(&self) -> Option<&ExitReason> {
        self.history.last().map(|last| &last.reason)
    }
}
