//! Builds a snapshot from the records of the processes and the *pictures* of the supervisors: the
//! states that the supervisors have published.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::{Pid, consume_budget};
use crate::child::{ChildType, Readiness};
use crate::exit::Result;
use crate::observe::{Health, MachineStatus};
use crate::runtime::{CallError, ProcessInfo, Runtime};
use crate::snapshot::nodes::assemble;
use crate::snapshot::survey::{Answer, Survey, SurveyedSupervisor, starting_process};
use crate::snapshot::{Busy, NodeKind, NodeState, TreeNode, TreeNodes, TreeSnapshot};
use crate::supervisor::{
    DynamicSupervisorRef, History, PublishedChild, PublishedChildState, PublishedState, ReadyShare,
    Step, SupervisorRef,
};

/// The default time limit for the answers of all supervisors of a tree.
pub(crate) const LIMIT: Duration = Duration::from_millis(250);

impl SupervisorRef {
    /// Takes a snapshot of the tree below this supervisor, in 250 ms at most. [`TreeSnapshot`] and
    /// [`Busy`] have examples.
    ///
    /// Each supervisor answers after it has handled the messages that it received before the
    /// question. A supervisor that does not answer in time, for example because it starts or stops
    /// a child, is [busy](NodeState::Busy): the snapshot shows its last published state and [its
    /// current step](TreeNode::busy). The supervisors below a busy supervisor are asked as well.
    /// All supervisors are asked at once, so the time does not grow with the depth of the tree.
    ///
    /// # Errors
    ///
    /// [`NoProc`](CallError::NoProc) if this supervisor has ended, or
    /// [`Restarting`](CallError::Restarting) if the handle is a named one and the name is reserved
    /// for a successor. [`Exited`](CallError::Exited) if this supervisor ends while the snapshot is
    /// taken. [`TokioGone`](CallError::TokioGone) if the tokio runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a snapshot changes nothing.
    pub async fn tree(&self) -> Result<TreeSnapshot, CallError> {
        self.tree_within(LIMIT).await
    }

    /// Takes a snapshot as [`tree`](Self::tree) does, within this time limit. A limit of zero waits
    /// for no supervisor: a supervisor that does not answer at once is shown with its last
    /// published state.
    ///
    /// # Errors
    ///
    /// The same as those of [`tree`](Self::tree).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`tree`](Self::tree) is.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().child(job).start(&rt).await?;
    /// let snapshot = tree.tree_within(Duration::from_secs(10)).await?; // returns at once here
    /// assert!(snapshot.find("job").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn tree_within(&self, limit: Duration) -> Result<TreeSnapshot, CallError> {
        Ok(self.survey(limit).await?.tree())
    }

    pub(crate) async fn survey(&self, limit: Duration) -> Result<Survey, CallError> {
        consume_budget().await;
        let pid = self.server.reach()?;
        Survey::run(&Runtime { kernel: self.server.kernel().clone() }, pid, limit).await
    }
}

impl DynamicSupervisorRef {
    /// Takes a snapshot of the tree below this supervisor, as [`SupervisorRef::tree`] does.
    ///
    /// The snapshot shows the first hundred children of each dynamic supervisor. A dynamic
    /// supervisor that does not answer in time is shown with the children of its last answer that
    /// are still alive. A dynamic supervisor that is stopping is shown with the children that it
    /// waits for.
    ///
    /// # Errors
    ///
    /// The same as those of [`SupervisorRef::tree`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a snapshot changes nothing.
    pub async fn tree(&self) -> Result<TreeSnapshot, CallError> {
        self.tree_within(LIMIT).await
    }

    /// Takes a snapshot as [`tree`](Self::tree) does, within this time limit.
    /// [`SupervisorRef::tree_within`] has an example.
    ///
    /// # Errors
    ///
    /// The same as those of [`SupervisorRef::tree`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`tree`](Self::tree) is.
    pub async fn tree_within(&self, limit: Duration) -> Result<TreeSnapshot, CallError> {
        consume_budget().await;
        let runtime = Runtime { kernel: self.server.kernel().clone() };
        Ok(Survey::run(&runtime, self.server.reach()?, limit).await?.tree())
    }
}

impl Survey {
    /// Builds the tree from the answers of this survey. Waits for nothing.
    pub(crate) fn tree(&self) -> TreeSnapshot {
        let taken = Instant::now();
        TreeSnapshot { root: PartialNode::root(self, taken).into_tree(), taken }
    }
}

/// A child, or the root, whose node has not been built yet.
struct PartialNode<'a> {
    survey: &'a Survey,
    now: Instant,
    id: String,
    kind: ChildType,
    readiness: Readiness,
    state: NodeState,
    pid: Option<Pid>,
    started: Option<Instant>,
    restarts: u32,
    history: History,
    /// The picture and the answer, if the child is a supervisor that has published a picture.
    surveyed: Option<SurveyedSupervisor>,
}

impl<'a> PartialNode<'a> {
    /// Returns the root. No supervisor of the snapshot knows the root, so its id and state come
    /// from its own record.
    fn root(survey: &'a Survey, now: Instant) -> Self {
        let label = survey.runtime.info(survey.root).and_then(|info| info.label);
        let surveyed = survey.supervisor(survey.root);
        PartialNode {
            survey,
            now,
            id: label.unwrap_or_else(|| survey.root.to_string()),
            kind: ChildType::Supervisor,
            readiness: Readiness::Required,
            state: NodeState::Running,
            pid: Some(survey.root),
            started: surveyed.as_ref().map(|surveyed| surveyed.picture.since),
            restarts: 0,
            history: History::default(),
            surveyed,
        }
    }

    fn child(
        &self,
        supervisor: Pid,
        picture: &PublishedState,
        key: u64,
        shown: &PublishedChild,
    ) -> PartialNode<'a> {
        let (survey, now) = (self.survey, self.now);
        let (state, pid) = match (picture.step, shown.state) {
            (Step::Starting { key: starts, .. }, _) if starts == key => {
                (NodeState::Starting, starting_process(&survey.runtime, supervisor, picture))
            }
            (step, PublishedChildState::Running(pid)) => {
                // A dynamic supervisor that ends has asked all its children to stop.
                let all = picture.is_partial && picture.ending.is_some();
                let this = matches!(step, Step::Stopping { key: stops, .. } if stops == key);
                let stops = all || this;
                (if stops { NodeState::Stopping } else { NodeState::Running }, Some(pid))
            }
            (_, PublishedChildState::Restarting { due }) => {
                let retry_in = due.map(|due| due.saturating_duration_since(now));
                (NodeState::Restarting { retry_in }, None)
            }
            (_, PublishedChildState::Stopped) => (NodeState::Stopped, None),
            (_, PublishedChildState::GivenUp) => (NodeState::GivenUp, None),
        };
        let is_supervisor = shown.kind == ChildType::Supervisor;
        PartialNode {
            survey,
            now,
            id: shown.id.to_string(),
            kind: shown.kind,
            readiness: shown.readiness,
            state,
            pid,
            started: Some(shown.started),
            restarts: shown.restarts,
            history: shown.history.clone(),
            surveyed: pid.filter(|_| is_supervisor).and_then(|pid| survey.supervisor(pid)),
        }
    }

    /// Builds the node with all nodes below it. Visits the nodes in a loop, since recursion over a
    /// deep tree could overflow the stack.
    fn into_tree(self) -> TreeNode {
        let (root, children) = self.into_node();
        let mut next: Vec<(usize, PartialNode<'a>)> =
            children.into_iter().rev().map(|child| (0, child)).collect();
        let mut nodes = Vec::new();
        while let Some((parent, part)) = next.pop() {
            let (node, children) = part.into_node();
            nodes.push((parent, node));
            let number = nodes.len();
            next.extend(children.into_iter().rev().map(|child| (number, child)));
        }
        assemble(root, nodes)
    }

    /// Builds the node without its children. Also returns the children.
    fn into_node(self) -> (TreeNode, Vec<PartialNode<'a>>) {
        let runtime = &self.survey.runtime;
        let info = self.pid.and_then(|pid| runtime.info(pid));
        let busy = self.busy(info.as_ref());
        let state = match (&busy, self.pid, &info) {
            (Some(_), ..) => NodeState::Busy,
            (None, Some(_), None) => NodeState::Ended,
            (None, ..) => self.state,
        };
        let depth = info.as_ref().and_then(ProcessInfo::depth);
        let mut node = TreeNode {
            id: self.id.clone(),
            kind: self.node_kind(),
            state,
            busy,
            pid: self.pid,
            names: info.as_ref().map(|info| info.names.clone()).unwrap_or_default(),
            up: self.started.filter(|_| info.is_some()).map(|since| self.now - since),
            restarts: self.restarts,
            mailbox_depth: depth.unwrap_or(0),
            is_counted: depth.is_some(),
            health: self.health(),
            machine: self.machine(),
            readiness: self.readiness,
            history: self.history.to_vec(),
            children: TreeNodes::default(),
            more: 0,
        };
        let mut child_parts = Vec::new();
        if let (Some(SurveyedSupervisor { picture, left_out, queued_requests, .. }), Some(pid)) =
            (&self.surveyed, node.pid)
            && node.state != NodeState::Ended
        {
            node.more = *left_out;
            node.mailbox_depth = node.mailbox_depth.saturating_sub(*queued_requests);
            let children = picture.children.iter();
            child_parts.extend(children.map(|(key, shown)| self.child(pid, picture, key, shown)));
        }
        (node, child_parts)
    }

    /// Returns the health that the process reports. A dynamic supervisor of too few ready children
    /// is unready.
    fn health(&self) -> Health {
        let reported = self.pid.and_then(|pid| self.survey.runtime.health(pid)).unwrap_or_default();
        let share = self.surveyed.as_ref().and_then(|surveyed| surveyed.picture.ready_share);
        match share.filter(|share| !share.is_reached()) {
            None => reported,
            Some(ReadyShare { percent, children, ready }) => {
                let why =
                    format!("{ready} of {children} children are ready, {percent} % have to be");
                reported.max(Health::Unready(why.into()))
            }
        }
    }

    fn machine(&self) -> Option<Box<MachineStatus>> {
        let pid = self.pid.filter(|_| self.kind == ChildType::Worker)?;
        self.survey.runtime.machine_status(pid).map(Box::new)
    }

    /// Returns what keeps a live supervisor from answering: its published step, or `Unanswered`.
    /// Returns `None` for a worker, an ended process, a supervisor that answered, and a supervisor
    /// that was not asked and has published no step.
    fn busy(&self, info: Option<&ProcessInfo>) -> Option<Busy> {
        info?;
        match &self.surveyed {
            Some(SurveyedSupervisor { picture, answer, .. }) => match answer {
                Answer::Given => None,
                Answer::Late => {
                    Some(Busy::from_picture(picture, self.now).unwrap_or(Busy::Unanswered))
                }
                Answer::NotAsked => Busy::from_picture(picture, self.now),
            },
            None if self.kind == ChildType::Supervisor => Some(Busy::Unanswered),
            None => None,
        }
    }

    fn node_kind(&self) -> NodeKind {
        match (&self.surveyed, self.kind) {
            (Some(surveyed), _) => {
                let (strategy, budget) = (surveyed.picture.strategy, surveyed.picture.budget());
                NodeKind::Supervisor { strategy, budget }
            }
            (None, ChildType::Supervisor) => NodeKind::Supervisor { strategy: "", budget: None },
            (None, ChildType::Worker) => NodeKind::Worker,
        }
    }
}
