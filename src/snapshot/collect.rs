//! Taking a snapshot: what the supervisors told, and what is known of each process.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::coop::consume_budget;
use crate::base::pid::Pid;
use crate::child::ChildType;
use crate::exit::reason::Result;
use crate::runtime::Runtime;
use crate::runtime::errors::call_error::CallError;
use crate::runtime::info::ProcessInfo;
use crate::snapshot::busy::Busy;
use crate::snapshot::nodes::{TreeNodes, assembled};
use crate::snapshot::survey::{Answer, Known, Survey, half_started};
use crate::snapshot::{NodeKind, NodeState, TreeNode, TreeSnapshot};
use crate::supervisor::published_state::{
    PublishedChild, PublishedChildState, PublishedState, Step,
};
use crate::supervisor::{DynamicSupervisorRef, History, SupervisorRef};

/// How long all supervisors of a tree may take to answer, if nothing else is said.
pub(crate) const LIMIT: Duration = Duration::from_millis(250);

impl SupervisorRef {
    /// The tree below this supervisor as it is now, in 250 ms at most. Each supervisor in it
    /// answers after it has handled what it had received before. One that does not answer in
    /// time, since it starts or stops a child, is [busy](NodeState::Busy): it is shown as it
    /// last published itself, with [what it does](TreeNode::busy), and those below it are asked
    /// all the same. All are asked at once, so the time does not grow with the depth of the
    /// tree. [`TreeSnapshot`] has an example, and [`Busy`] another.
    ///
    /// # Errors
    ///
    /// If this supervisor is not there: [`NoProc`](CallError::NoProc), or
    /// [`Restarting`](CallError::Restarting) if the handle is a named one and the name is
    /// reserved for a successor; [`Exited`](CallError::Exited) if it ends meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn tree(&self) -> Result<TreeSnapshot, CallError> {
        self.tree_within(LIMIT).await
    }

    /// As [`tree`](Self::tree), in this time at most. Nobody is waited for if it is zero: those
    /// that do not answer at once are shown as they last published themselves.
    ///
    /// # Errors
    ///
    /// As [`tree`](Self::tree).
    ///
    /// # Cancel safety
    ///
    /// As [`tree`](Self::tree).
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{ChildSpec, Runtime, Supervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let job = ChildSpec::task("job", |_| std::future::pending());
    /// let tree = Supervisor::one_for_one().child(job).start(&rt).await?;
    /// let snapshot = tree.tree_within(Duration::from_secs(10)).await?; // one answers: at once
    /// assert!(snapshot.find("job").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn tree_within(&self, limit: Duration) -> Result<TreeSnapshot, CallError> {
        Ok(self.survey(limit).await?.tree())
    }

    pub(crate) async fn survey(&self, limit: Duration) -> Result<Survey, CallError> {
        consume_budget().await;
        let pid = self.reach()?;
        Survey::take(&Runtime { kernel: self.kernel().clone() }, pid, limit).await
    }
}

impl DynamicSupervisorRef {
    /// The tree below this supervisor as it is now, as [`SupervisorRef::tree`] takes it; of
    /// very many children the first hundred. One that does not answer in time is shown with
    /// those of its children that it showed when it last answered this, and that are still
    /// alive; while it stops, with those that it waits for.
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::tree`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    pub async fn tree(&self) -> Result<TreeSnapshot, CallError> {
        self.tree_within(LIMIT).await
    }

    /// As [`tree`](Self::tree), in this time at most; [`SupervisorRef::tree_within`] has an
    /// example.
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::tree`].
    ///
    /// # Cancel safety
    ///
    /// As [`tree`](Self::tree).
    pub async fn tree_within(&self, limit: Duration) -> Result<TreeSnapshot, CallError> {
        consume_budget().await;
        let runtime = Runtime { kernel: self.kernel().clone() };
        Ok(Survey::take(&runtime, self.reach()?, limit).await?.tree())
    }
}

impl Survey {
    /// The tree that came of it. It waits for nothing.
    pub(crate) fn tree(&self) -> TreeSnapshot {
        let taken = Instant::now();
        TreeSnapshot { root: Part::root(self, taken).tree(), taken }
    }
}

/// One child, or the root, on its way to be a node.
struct Part<'a> {
    survey: &'a Survey,
    now: Instant,
    id: String,
    kind: ChildType,
    state: NodeState,
    pid: Option<Pid>,
    started: Option<Instant>,
    restarts: u32,
    history: History,
    /// If it is a supervisor that has begun.
    known: Option<Known>,
}

impl<'a> Part<'a> {
    /// A root is nobody's child: it and its record alone tell of it.
    fn root(survey: &'a Survey, now: Instant) -> Self {
        let label = survey.runtime.info(survey.root).and_then(|info| info.label);
        let known = survey.known(survey.root);
        Part {
            survey,
            now,
            id: label.unwrap_or_else(|| survey.root.to_string()),
            kind: ChildType::Supervisor,
            state: NodeState::Running,
            pid: Some(survey.root),
            started: known.as_ref().map(|known| known.picture.since),
            restarts: 0,
            history: History::default(),
            known,
        }
    }

    fn child(
        &self,
        above: Pid,
        picture: &PublishedState,
        key: u64,
        shown: &PublishedChild,
    ) -> Part<'a> {
        let (survey, now) = (self.survey, self.now);
        let (state, pid) = match (picture.step, shown.state) {
            (Step::Starting { key: starts, .. }, _) if starts == key => {
                (NodeState::Starting, half_started(&survey.runtime, above, picture))
            }
            (step, PublishedChildState::Running(pid)) => {
                // A dynamic supervisor that ends has asked all of them to stop.
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
        };
        let is_supervisor = shown.kind == ChildType::Supervisor;
        Part {
            survey,
            now,
            id: shown.id.to_string(),
            kind: shown.kind,
            state,
            pid,
            started: Some(shown.started),
            restarts: shown.restarts,
            history: shown.history.clone(),
            known: pid.filter(|_| is_supervisor).and_then(|pid| survey.known(pid)),
        }
    }

    /// The node of it, with all that is below it.
    fn tree(self) -> TreeNode {
        let (root, below) = self.node();
        let mut next: Vec<(usize, Part<'a>)> = below.into_iter().rev().map(|p| (0, p)).collect();
        let mut nodes = Vec::new();
        while let Some((above, part)) = next.pop() {
            let (node, below) = part.node();
            nodes.push((above, node));
            let number = nodes.len();
            next.extend(below.into_iter().rev().map(|part| (number, part)));
        }
        assembled(root, nodes)
    }

    /// The node of it, without any below it, and those.
    fn node(self) -> (TreeNode, Vec<Part<'a>>) {
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
            health: self.pid.and_then(|pid| runtime.health(pid)).unwrap_or_default(),
            history: self.history.to_vec(),
            children: TreeNodes::default(),
            more: 0,
        };
        let mut below = Vec::new();
        if let (Some(Known { picture, more, questions, .. }), Some(pid)) = (&self.known, node.pid)
            && node.state != NodeState::Ended
        {
            node.more = *more;
            node.mailbox_depth = node.mailbox_depth.saturating_sub(*questions);
            let children = picture.children.iter();
            below.extend(children.map(|(key, shown)| self.child(pid, picture, *key, shown)));
        }
        (node, below)
    }

    /// What keeps it from answering, if it is a supervisor and alive.
    fn busy(&self, info: Option<&ProcessInfo>) -> Option<Busy> {
        info?;
        match &self.known {
            Some(Known { picture, answer, .. }) => match answer {
                Answer::Given => None,
                Answer::Late => Some(Busy::with(picture, self.now).unwrap_or(Busy::Unanswered)),
                Answer::NotAsked => Busy::with(picture, self.now),
            },
            None if self.kind == ChildType::Supervisor => Some(Busy::Unanswered),
            None => None,
        }
    }

    fn node_kind(&self) -> NodeKind {
        match (&self.known, self.kind) {
            (Some(known), _) => {
                let (strategy, budget) = (known.picture.strategy, known.picture.budget());
                NodeKind::Supervisor { strategy, budget }
            }
            (None, ChildType::Supervisor) => NodeKind::Supervisor { strategy: "", budget: None },
            (None, ChildType::Worker) => NodeKind::Worker,
        }
    }
}
