//! A running tree as a value: which processes there are, in which state, with which history; and as
//! text, JSON, a graph and HTTP routes.
//!
//! **Uses** `base`, `exit`, `time`, `observe`, `process`, `runtime`, `child`, `supervisor`.
//! **Knows nothing of** programs.
//!
//! A snapshot stops no process. All supervisors are asked at once, under one deadline, so the parts
//! of a snapshot are of slightly different moments. A supervisor that does not answer in time, because
//! it is starting or stopping a child, is shown as it last published itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason;
use crate::observe::health::Health;
use crate::supervisor::{Incarnation, RestartBudget};

mod elapsed;
mod busy;
mod nodes;
mod survey;
pub(crate) mod collect;
mod text;
mod graph;
mod health;
#[cfg(feature = "serde")]
mod json;
#[cfg(feature = "axum")]
pub(crate) mod routes;

use nodes::numbered;

pub use busy::Busy;
pub use health::TreeHealth;
pub use nodes::TreeNodes;

/// A supervision tree at one moment. Its [`Display`](std::fmt::Display) is a text tree;
/// [`to_dot`](Self::to_dot) and [`to_mermaid`](Self::to_mermaid) are pictures, and with the
/// feature `serde` it serializes. [`SupervisorRef::tree`](crate::SupervisorRef::tree) takes
/// it. OTP: what `observer` shows under *Applications*.
///
/// Text and pictures are for people: each node is one line, or one box. Ids, names and reasons
/// are shown without line breaks, escape sequences and other controls, which are written as
/// `\n` or `\u{1b}`; an empty id is `""`; of a long one the first 64 characters are shown, of a
/// reason the first 256, and `…` stands for the rest. The values here, and JSON, have all of it.
/// `? queued` says that what is queued is not [counted](TreeNode::depth). A node more than 32
/// levels below the root is not indented further: its level is shown, as in `[33]`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::{ChildSpec, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(async {
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
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TreeSnapshot {
    /// The supervisor that was asked first, and below it all the others.
    pub root: TreeNode,
    /// When it was taken.
    pub taken: Instant,
}

/// One supervisor or child in a [`TreeSnapshot`], which has an example.
#[non_exhaustive]
pub struct TreeNode {
    /// Its id; the root's is its name, or its label.
    pub id: String,
    /// Worker or supervisor.
    pub kind: NodeKind,
    /// What it is doing.
    pub state: NodeState,
    /// What keeps it from answering, if it is a supervisor whose state is
    /// [`Busy`](NodeState::Busy); then this node and its children are as it last published them.
    pub busy: Option<Busy>,
    /// Its pid, if it runs.
    pub pid: Option<Pid>,
    /// The names it holds.
    pub names: Vec<String>,
    /// How long this incarnation has been running.
    pub up: Option<Duration>,
    /// How often its supervisor started it again; as in
    /// [`ChildInfo::restarts`](crate::ChildInfo::restarts), starts that were asked for don't count.
    pub restarts: u32,
    /// How much is queued in its mailbox; 0 also where that is not counted: see
    /// [`depth`](Self::depth).
    pub mailbox_depth: usize,
    /// Whether that is counted.
    is_counted: bool,
    /// How it says it is doing; ready, if it says nothing.
    pub health: Health,
    /// Its last incarnations that are over, oldest first.
    pub history: Vec<Incarnation>,
    /// Those below it, in start order.
    pub children: TreeNodes,
    /// How many more there are below it, of a supervisor with very many.
    pub more: usize,
}

/// What a node of a tree is. [`TreeSnapshot`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeKind {
    /// It supervises nobody.
    Worker,
    /// It supervises others.
    Supervisor {
        /// As OTP spells it: `one_for_one`, …; empty if it has not begun to start its children.
        strategy: &'static str,
        /// What it still allows; `None` if any number of restarts, or if it has not begun to
        /// start its children. Of one that did not answer at least this, as of its last restart.
        budget: Option<RestartBudget>,
    },
}

/// What a node of a tree is doing. [`TreeSnapshot`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeState {
    /// It runs.
    Running,
    /// It ended and will be started again.
    Restarting {
        /// In how long, if it backs off.
        retry_in: Option<Duration>,
    },
    /// It does not run, and will not by itself.
    Stopped,
    /// Its supervisor starts it: its init has not returned, or it is not ready yet.
    Starting,
    /// Its supervisor waits for it to stop.
    Stopping,
    /// Its process has ended, and its supervisor has yet to handle that.
    Ended,
    /// A supervisor that did not answer in time. It is shown as it last published itself, and
    /// [`TreeNode::busy`] says what it is doing. [`Busy`] has an example.
    Busy,
}

impl TreeSnapshot {
    /// The node at this path of ids below the root, separated by `/`. [`TreeSnapshot`] has
    /// an example.
    pub fn find(&self, path: &str) -> Option<&TreeNode> {
        path.split('/')
            .try_fold(&self.root, |node, id| node.children.iter().find(|child| child.id == id))
    }

    /// All nodes, each before those below it.
    ///
    /// ```
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().named("app").child(job).start(&rt).await?;
    /// let snapshot = tree.tree().await?;
    /// let ids: Vec<&str> = snapshot.nodes().iter().map(|node| node.id.as_str()).collect();
    /// assert_eq!(ids, ["app", "job"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn nodes(&self) -> Vec<&TreeNode> {
        numbered(&self.root).into_iter().map(|(_, node)| node).collect()
    }
}

impl TreeNode {
    /// How much is queued in its mailbox; `None` where the child does not run or the messages of its
    /// mailbox are not counted. They are counted in a runtime
    /// [that counts it](crate::Runtime::with_mailbox_depth), and in a mailbox with a bound.
    /// [`ProcessInfo::depth`](crate::ProcessInfo::depth) has an example.
    pub fn depth(&self) -> Option<usize> {
        self.is_counted.then_some(self.mailbox_depth)
    }

    /// What it still allows, if it is a supervisor that limits restarts. [`TreeSnapshot`]
    /// has an example.
    pub fn budget(&self) -> Option<RestartBudget> {
        match self.kind {
            NodeKind::Supervisor { budget, .. } => budget,
            NodeKind::Worker => None,
        }
    }

    /// Why its last incarnation ended, or did not start; `None` of the first.
    pub fn last_reason(&self) -> Option<&ExitReason> {
        self.history.last().map(|last| &last.reason)
    }
}
