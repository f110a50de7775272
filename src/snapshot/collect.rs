//! Asking every supervisor of a tree for what it has.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;

use crate::call_error::CallError;
use crate::child::ChildType;
use crate::exit::Result;
use crate::pid::Pid;
use crate::runtime::Runtime;
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot};
use crate::supervisor::describe::Description;
use crate::supervisor::dynamic::nursery::{self, Nursery};
use crate::supervisor::tree::{Call, Tree};
use crate::supervisor::{ChildInfo, ChildState, DynamicSupervisorRef, SupervisorRef};
use crate::turn::turn;

/// How long a supervisor may take to answer before it counts as busy.
const PATIENCE: Duration = Duration::from_secs(1);

impl SupervisorRef {
    /// The tree below this supervisor as it is now. A supervisor in it that does not answer
    /// within a second is [busy](NodeState::Busy), and told without its children.
    /// [`TreeSnapshot`] has an example.
    ///
    /// # Errors
    ///
    /// If this supervisor itself can't be asked: [`CallError`] tells why, and
    /// [`Timeout`](CallError::Timeout) that it is busy.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn tree(&self) -> Result<TreeSnapshot, CallError> {
        take(&Runtime { kernel: self.kernel().clone() }, self.pid()).await
    }
}

impl DynamicSupervisorRef {
    /// The tree below this supervisor as it is now, as [`SupervisorRef::tree`] takes it; of
    /// very many children the first hundred.
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::tree`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn tree(&self) -> Result<TreeSnapshot, CallError> {
        take(&Runtime { kernel: self.kernel().clone() }, self.pid()).await
    }
}

async fn take(runtime: &Runtime, pid: Pid) -> Result<TreeSnapshot, CallError> {
    turn().await;
    let described = describe(runtime, pid).await?;
    let root = root_info(runtime, pid, described.since);
    let root = node(runtime, root, Some(described)).await;
    Ok(TreeSnapshot { root, taken: Instant::now() })
}

async fn describe(runtime: &Runtime, pid: Pid) -> Result<Description, CallError> {
    match runtime.server_at::<Tree>(pid) {
        Ok(tree) => tree.call_timeout(Call::Describe, PATIENCE).await,
        Err(CallError::WrongType) => {
            let nursery = runtime.server_at::<Nursery>(pid)?;
            nursery.call_timeout(nursery::Call::Describe, PATIENCE).await
        }
        Err(error) => Err(error),
    }
}

/// The node of this child, and all that is below it.
fn node(
    runtime: &Runtime,
    info: ChildInfo,
    described: Option<Description>,
) -> BoxFuture<'_, TreeNode> {
    async move {
        let described = match (described, info.kind, info.pid()) {
            (None, ChildType::Supervisor, Some(pid)) => describe(runtime, pid).await.ok(),
            (described, ..) => described,
        };
        let mut tree = leaf(runtime, &info);
        if let Some(Description { strategy, budget, children, more, .. }) = described {
            tree.kind = NodeKind::Supervisor { strategy, budget };
            tree.more = more;
            let below = children.into_iter().map(|child| node(runtime, child, None));
            tree.children = join_all(below).await;
        } else if info.kind == ChildType::Supervisor && info.pid().is_some() {
            tree.state = NodeState::Busy;
        }
        tree
    }
    .boxed()
}

fn leaf(runtime: &Runtime, info: &ChildInfo) -> TreeNode {
    let process = info.pid().and_then(|pid| runtime.info(pid));
    TreeNode {
        id: info.id.clone(),
        kind: match info.kind {
            ChildType::Worker => NodeKind::Worker,
            ChildType::Supervisor => NodeKind::Supervisor { strategy: "", budget: None },
        },
        state: match info.state {
            ChildState::Running(_) => NodeState::Running,
            ChildState::Restarting { retry_in } => NodeState::Restarting { retry_in },
            ChildState::Stopped => NodeState::Stopped,
        },
        pid: info.pid(),
        names: process.as_ref().map(|process| process.names.clone()).unwrap_or_default(),
        up: info.since.filter(|_| info.pid().is_some()).map(|since| since.elapsed()),
        restarts: info.restarts,
        mailbox_depth: process.map_or(0, |process| process.mailbox_depth),
        health: info.pid().and_then(|pid| runtime.health(pid)).unwrap_or_default(),
        history: info.history.to_vec(),
        children: Vec::new(),
        more: 0,
    }
}

/// A root is nobody's child: it and its record alone tell of it.
fn root_info(runtime: &Runtime, pid: Pid, since: Instant) -> ChildInfo {
    let label = runtime.info(pid).and_then(|info| info.label);
    ChildInfo {
        id: label.unwrap_or_else(|| pid.to_string()),
        state: ChildState::Running(pid),
        kind: ChildType::Supervisor,
        restarts: 0,
        since: Some(since),
        history: Default::default(),
    }
}
