//! Takes a picture.
//!
//! **Steps**
//! 1. Read the number of the last change: the picture includes all changes up to it.
//! 2. Read the list of the topmost supervisors, and then each supervisor before its children: its
//!    published state, and under the same lock the number of the last change. A dynamic supervisor
//!    that serves is asked for its children, and answers with that number.
//! 3. Read the record of the process of each listed child, and under its lock the number again.
//!
//! [`Included`] keeps these numbers. A change that is made after step 1 is delivered only if it is
//! later than the number for its maker.
//!
//! **What happens if** …
//!
//! | | |
//! |---|---|
//! | a child ends after its supervisor was read | the picture shows it as running, without a mailbox; its end follows as a change |
//! | a supervisor starts after the supervisor above was read | the picture shows it as starting or not at all; it has no number, so all its changes follow |
//! | a supervisor is restarted after the supervisor above was read | the picture shows the old one without children; its end, the new one and its children follow |
//! | the tree ends | as above, and the end of the topmost supervisor is the last change |
//! | a dynamic supervisor does not answer in time | its last published children are shown, marked as last known, and another picture follows |

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::random::MapHasher;
use crate::base::{NodePath, Pid, SharedStr, consume_budget};
use crate::child::ChildType;
use crate::observation::facts::Facts;
use crate::observation::picture::PastRun;
use crate::observation::{Clock, MailboxFacts, Picture, PictureNode, PictureState, PictureStep, Supervision};
use crate::observe::Health;
use crate::observe::change::{Change, Origin};
use crate::observe::change_log::Root;
use crate::process::ChildSlot;
use crate::runtime::{Runtime, until};
use crate::supervisor::dynamic::fold::{Fold, FoldedCounts};
use crate::supervisor::dynamic::server::{Call, DynamicServer};
use crate::supervisor::{History, PublishedCell, PublishedChild, PublishedChildState, PublishedState, Step};

/// How long a picture waits for the answers of all dynamic supervisors together.
const LIMIT: Duration = Duration::from_millis(250);

/// The number of the last change of each maker that a picture includes.
#[derive(Debug, Default)]
pub(super) struct Included {
    roots: u64,
    live_roots: Vec<Pid>,
    supervisors: HashMap<Pid, u64, MapHasher>,
    processes: HashMap<Pid, u64, MapHasher>,
    /// Later changes are in no part of the picture.
    until: u64,
}

impl Included {
    /// Whether this topmost supervisor was alive when the picture was taken.
    pub(super) fn has_root(&self, pid: Pid) -> bool {
        self.live_roots.contains(&pid)
    }

    /// Whether the picture includes this change, which is later than the number of the picture.
    pub(super) fn includes(&self, change: &Change) -> bool {
        let of = |numbers: &HashMap<Pid, u64, MapHasher>, pid| numbers.get(&pid).copied();
        let number = match change.origin {
            Origin::Roots => Some(self.roots),
            Origin::Supervisor(pid) => of(&self.supervisors, pid),
            Origin::Process(pid) => of(&self.processes, pid),
        };
        number.is_some_and(|number| change.seq <= number)
    }

    /// Forgets the numbers, if all changes after this one are in no part of the picture.
    pub(super) fn forget_after(&mut self, seq: u64) {
        if seq >= self.until && self.until > 0 {
            *self = Included::default();
        }
    }
}

/// What a picture shows.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Only this path and the paths below it.
    pub(super) below: Option<SharedStr>,
    /// How many children of a dynamic supervisor are listed.
    pub(super) listed: usize,
    /// How many ended children of a supervisor are shown.
    pub(super) ended: usize,
}

impl View {
    /// Whether a node of this path is shown.
    pub(super) fn shows(&self, path: &str) -> bool {
        self.below.as_deref().is_none_or(|below| is_at_or_below(path, below))
    }

    /// Whether a node of this path may be above one that is shown.
    fn leads_through(&self, path: &str) -> bool {
        self.below.as_deref().is_none_or(|below| is_at_or_below(below, path))
    }
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A picture that is being taken.
struct Collector<'a> {
    runtime: &'a Runtime,
    view: &'a View,
    clock: Clock,
    /// When the picture no longer waits for dynamic supervisors.
    due: Instant,
    included: Included,
    nodes: Vec<PictureNode>,
    /// The nodes that are still to be visited, the next one last.
    pending: Vec<PictureNode>,
}

/// Takes a picture.
pub(super) async fn collect(runtime: &Runtime, view: &View) -> (Picture, Included) {
    let (clock, seq) = (Clock::read(), runtime.kernel.changes.last());
    let due = clock.now + LIMIT;
    let (roots, last_root) = runtime.kernel.changes.roots();
    let included = Included {
        roots: last_root,
        live_roots: roots.iter().map(|(pid, _)| *pid).collect(),
        ..Included::default()
    };
    let (nodes, pending) = (Vec::new(), Vec::new());
    let mut collector = Collector { runtime, view, clock, due, included, nodes, pending };
    for (pid, root) in roots.iter().rev() {
        collector.pending.push(collector.root(*pid, root));
    }
    while let Some(node) = collector.pending.pop() {
        consume_budget().await;
        collector.visit(node).await;
    }
    let Collector { mut included, nodes, .. } = collector;
    included.until = runtime.kernel.changes.last();
    let counters = runtime.counters();
    (Picture { seq, time: clock.system, nodes, counters }, included)
}

impl Collector<'_> {
    fn root(&self, pid: Pid, root: &Root) -> PictureNode {
        let state =
            if root.has_started { PictureState::Running } else { PictureState::Starting };
        PictureNode {
            path: root.path.text(),
            id: root.path.id().clone(),
            pid: Some(pid),
            supervisor: None,
            parent: None,
            state,
            health: Health::default(),
            started: Some(self.clock.system(root.since)),
            retry_at: None,
            restarts: 0,
            mailbox: MailboxFacts::default(),
            supervision: Some(Supervision::unknown()),
            history: Vec::new(),
        }
    }

    /// Completes a node, and adds its children to the pending ones.
    async fn visit(&mut self, mut node: PictureNode) {
        let is_shown = self.view.shows(&node.path);
        if !is_shown && !self.view.leads_through(&node.path) {
            return;
        }
        let runs = !matches!(node.state, PictureState::Ended | PictureState::Restarting);
        let running = node.pid.filter(|_| runs);
        if let Some(facts) = running.and_then(|pid| Facts::of(&self.runtime.kernel, pid)) {
            self.included.processes.extend(node.pid.map(|pid| (pid, facts.last_change)));
            (node.health, node.mailbox) = (facts.health, facts.mailbox);
        }
        let mut children = Vec::new();
        if let (Some(pid), Some(_)) = (running, &node.supervision)
            && let Some(cell) = self.published(pid)
            && let Some(path) = self.runtime.kernel.supervisor_path(pid)
        {
            children = self.supervisor(&mut node, &cell, &path, pid).await;
        }
        let parent = is_shown.then(|| node.path.clone());
        if is_shown {
            self.nodes.push(node);
        }
        children.iter_mut().for_each(|child| child.parent.clone_from(&parent));
        self.pending.extend(children.into_iter().rev());
    }

    fn published(&self, pid: Pid) -> Option<Arc<PublishedCell>> {
        PublishedCell::of(&*self.runtime.kernel.find(pid)?)
    }

    /// Completes the node of a supervisor, and returns the nodes of its children.
    async fn supervisor(
        &mut self,
        node: &mut PictureNode,
        cell: &PublishedCell,
        path: &NodePath,
        pid: Pid,
    ) -> Vec<PictureNode> {
        let is_dynamic = cell.change(|state| state.is_partial && state.ending.is_none());
        let fold = if is_dynamic { self.ask(pid).await } else { None };
        let (mut state, last_change) = cell.read_with_last_change();
        if node.supervisor.is_none() && state.ending.is_some() {
            node.state = PictureState::Stopping;
        }
        let mut supervision = self.supervision(&state, path);
        let children = match fold {
            Some(Fold { counts, worst, ended, budget, last_change }) => {
                state.ended = ended;
                self.included.supervisors.insert(pid, last_change);
                (supervision.folded, supervision.budget) = (Some(counts), budget);
                let node = |listed| self.folded(pid, path, listed);
                worst.iter().map(|listed| node((&listed.child, listed.pid, listed.is_stopping))).collect()
            }
            None if state.is_partial => {
                self.included.supervisors.insert(pid, last_change);
                supervision.last_known = state.ending.is_none();
                let children = cell.count();
                let stopping = if state.ending.is_some() { children } else { 0 };
                let counts = FoldedCounts { children, stopping, ..FoldedCounts::default() };
                supervision.folded = Some(counts);
                let listed = state.children.iter().take(self.view.listed);
                let node = |(key, child): (&u64, _)| {
                    self.folded(pid, path, (child, Pid::from_raw(*key), stopping > 0))
                };
                listed.map(node).collect()
            }
            None => {
                self.included.supervisors.insert(pid, last_change);
                let node = |(key, child): (&u64, _)| self.child(pid, path, &state, (*key, child));
                state.children.iter().map(node).collect::<Vec<_>>()
            }
        };
        node.supervision = Some(supervision);
        let ended = state.ended.last(self.view.ended);
        children.into_iter().chain(ended.map(|(_, child)| self.ended(pid, path, child))).collect()
    }

    /// Asks a dynamic supervisor for its children.
    async fn ask(&self, pid: Pid) -> Option<Fold> {
        let server = self.runtime.server_at::<DynamicServer>(pid).ok()?;
        let most = self.view.listed;
        let asked = pin!(server.call_unlimited(|reply| Call::Fold(reply, most)));
        until(&self.runtime.kernel, Some(self.due), asked).await?.ok()
    }

    fn supervision(&self, state: &PublishedState, path: &NodePath) -> Supervision {
        let child = |key| state.children.get(&key).map(|child| path.child(&child.id));
        let step = match state.step {
            Step::Serving => None,
            Step::RunningInit { since } => {
                Some(PictureStep::Init { since: self.clock.system(since) })
            }
            Step::Starting { key, since, .. } => child(key)
                .map(|child| PictureStep::Starting { child, since: self.clock.system(since) }),
            Step::Stopping { key, since } => child(key)
                .map(|child| PictureStep::Stopping { child, since: self.clock.system(since) }),
        };
        Supervision {
            strategy: state.strategy,
            budget: state.budget(),
            step,
            ending_since: state.ending.map(|since| self.clock.system(since)),
            ..Supervision::unknown()
        }
    }

    /// Returns the node of a child of a declared list.
    fn child(
        &self,
        supervisor: Pid,
        path: &NodePath,
        state: &PublishedState,
        (key, child): (u64, &PublishedChild),
    ) -> PictureNode {
        let mut node = self.node(supervisor, path, child);
        match (state.step, child.state) {
            (Step::Starting { key: starts, start, .. }, _) if starts == key => {
                let slot = ChildSlot { child: key, start };
                node.state = PictureState::Starting;
                node.pid = self.runtime.kernel.child_at(supervisor, slot);
                node.started = Some(self.clock.system(child.started));
            }
            (Step::Stopping { key: stops, .. }, PublishedChildState::Running(_))
                if stops == key =>
            {
                node.state = PictureState::Stopping;
            }
            _ => {}
        }
        node
    }

    /// Returns the node of a child of a dynamic supervisor.
    fn folded(
        &self,
        supervisor: Pid,
        path: &NodePath,
        (child, pid, is_stopping): (&PublishedChild, Pid, bool),
    ) -> PictureNode {
        let mut node = self.node(supervisor, path, child);
        node.pid = Some(pid);
        if is_stopping && node.state == PictureState::Running {
            node.state = PictureState::Stopping;
        }
        node
    }

    /// Returns the node of a child that its supervisor has forgotten.
    fn ended(&self, supervisor: Pid, path: &NodePath, child: &PublishedChild) -> PictureNode {
        let mut node = self.node(supervisor, path, child);
        (node.state, node.retry_at) = (PictureState::Ended, None);
        node.pid = child.history.last().and_then(|last| last.pid);
        node
    }

    fn node(&self, supervisor: Pid, path: &NodePath, child: &PublishedChild) -> PictureNode {
        let (state, pid, due) = match child.state {
            PublishedChildState::Running(pid) => (PictureState::Running, Some(pid), None),
            PublishedChildState::Restarting { due } => (PictureState::Restarting, None, due),
            PublishedChildState::Stopped => (PictureState::Stopped, None, None),
            PublishedChildState::GivenUp => (PictureState::GivenUp, None, None),
        };
        let is_supervisor = child.kind == ChildType::Supervisor;
        PictureNode {
            path: path.child(&child.id),
            id: child.id.clone(),
            pid,
            supervisor: Some(supervisor),
            parent: None,
            state,
            health: Health::default(),
            started: pid.map(|_| self.clock.system(child.started)),
            retry_at: due.map(|due| self.clock.system(due)),
            restarts: child.restarts,
            mailbox: MailboxFacts::default(),
            supervision: is_supervisor.then(Supervision::unknown),
            history: past_runs(&child.history, self.clock),
        }
    }
}

fn past_runs(history: &History, clock: Clock) -> Vec<PastRun> {
    let run = |incarnation: &crate::supervisor::Incarnation| PastRun {
        started: clock.system(incarnation.started),
        ended: clock.system(incarnation.ended),
        incarnation: incarnation.clone(),
    };
    history.iter().map(run).collect()
}

impl Supervision {
    /// Returns the facts about a supervisor that has published nothing.
    fn unknown() -> Self {
        Supervision {
            strategy: "",
            budget: None,
            step: None,
            ending_since: None,
            folded: None,
            last_known: false,
        }
    }
}
