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
//! | a dynamic supervisor does not answer in time | its last published children are shown, marked as last known; it has no number, so all its changes follow, and then another picture |
//!
//! The wait for dynamic supervisors has a limit for the whole picture. One that does not answer uses
//! half of what is left, so that others, which answer at once, are still asked.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::vec::IntoIter;

use tokio::time::Instant;

use crate::base::node_path::ChildPaths;
use crate::base::{NodePath, Pid, consume_budget};
use crate::observation::facts::Facts;
use crate::observation::included::{Included, View};
use crate::observation::nodes::Nodes;
use crate::observation::picture::Supervision;
use crate::observation::{Clock, Picture, PictureNode, PictureState};
use crate::runtime::{Runtime, until};
use crate::supervisor::dynamic::fold::{Fold, FoldedCounts};
use crate::supervisor::dynamic::server::{Call, DynamicServer};
use crate::supervisor::{PublishedCell, PublishedState};

/// How long a picture waits for the answers of all dynamic supervisors together.
const LIMIT: Duration = Duration::from_millis(250);

/// The number of nodes that count as one unit of tokio's budget: a node takes less than a
/// microsecond, and a task yields after 128 units.
const NODES_OF_BUDGET: usize = 4;

/// A picture that is being taken.
struct Collector<'a> {
    runtime: &'a Runtime,
    view: &'a View,
    make: Nodes<'a>,
    /// How long the picture may still wait for dynamic supervisors.
    wait_left: Duration,
    /// Whether a dynamic supervisor has not answered, perhaps one above those that are shown.
    is_partial: bool,
    included: Included,
    nodes: Vec<PictureNode>,
    /// The nodes that are still to be visited: the rest of the children of each supervisor on the way
    /// down from the top.
    pending: Vec<IntoIter<PictureNode>>,
}

/// A picture, and what it includes.
pub(super) struct Collected {
    pub(super) picture: Picture,
    pub(super) included: Included,
    /// Whether a dynamic supervisor has not answered in time.
    pub(super) is_partial: bool,
}

/// Takes a picture.
pub(super) async fn collect(runtime: &Runtime, view: &View) -> Collected {
    let (clock, seq) = (Clock::read(), runtime.kernel.changes.last());
    let (roots, last_root) = runtime.kernel.changes.roots();
    let included = Included {
        seq,
        roots: last_root,
        live_roots: roots.iter().map(|(pid, _)| *pid).collect(),
        ..Included::default()
    };
    let (nodes, pending) = (Vec::new(), Vec::new());
    let make = Nodes { kernel: &runtime.kernel, clock };
    let (wait_left, is_partial) = (LIMIT, false);
    let mut collector =
        Collector { runtime, view, make, wait_left, is_partial, included, nodes, pending };
    let roots = roots.iter().filter(|(pid, _)| view.shows_tree(*pid));
    let roots: Vec<_> = roots.map(|(pid, root)| collector.make.root(*pid, root)).collect();
    collector.pending.push(roots.into_iter());
    collector.visit_all().await;
    let Collector { mut included, nodes, is_partial, .. } = collector;
    included.until = runtime.kernel.changes.last();
    let counters = runtime.counters();
    let picture = Picture { seq, time: clock.time, nodes, counters };
    Collected { picture, included, is_partial }
}

impl Collector<'_> {
    /// Completes the pending nodes, and those below them.
    async fn visit_all(&mut self) {
        let mut visited = 0_usize;
        while let Some(siblings) = self.pending.last_mut() {
            let Some(mut node) = siblings.next() else {
                self.pending.pop();
                continue;
            };
            visited += 1;
            if visited.is_multiple_of(NODES_OF_BUDGET) {
                consume_budget().await;
            }
            let is_shown = self.view.shows(&node.path);
            if !is_shown && !self.view.leads_through(&node.path) {
                continue;
            }
            let running = self.complete(&mut node);
            if let (Some(pid), Some(_)) = (running, &node.supervision) {
                self.visit_supervisor(node, pid, is_shown).await;
            } else if is_shown {
                self.nodes.push(node);
            }
        }
    }

    /// Adds the facts of its process to a node. Returns the process, if there should be one.
    fn complete(&mut self, node: &mut PictureNode) -> Option<Pid> {
        let runs = !matches!(node.state, PictureState::Ended | PictureState::Restarting);
        let pid = node.pid.filter(|_| runs)?;
        if let Some(facts) = Facts::of(&self.runtime.kernel, pid) {
            self.included.process(pid, facts.last_change);
            (node.health, node.mailbox) = (facts.health, facts.mailbox);
        }
        Some(pid)
    }

    /// Adds a supervisor to the picture, and its children to the pending nodes.
    async fn visit_supervisor(&mut self, mut node: PictureNode, pid: Pid, is_shown: bool) {
        let mut children = Vec::new();
        if let Some(cell) = self.published(pid)
            && let Some(path) = self.runtime.kernel.supervisor_path(pid)
        {
            children = self.supervisor(&mut node, &cell, &path, pid).await;
        }
        if is_shown {
            children.iter_mut().for_each(|child| child.parent = Some(node.path.clone()));
            self.nodes.push(node);
        }
        self.pending.push(children.into_iter());
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
        let fold = if is_dynamic { self.ask(pid, cell, &node.path).await } else { None };
        let (mut state, last_change) = cell.read_with_last_change();
        if node.supervisor.is_none() && state.ending.is_some() {
            node.state = PictureState::Stopping;
        }
        let mut supervision = self.make.supervision(&state, path);
        let paths = path.children();
        let children = match fold {
            Some(Fold { counts, worst, ended, budget, last_change }) => {
                state.ended = ended;
                self.included.supervisor(pid, last_change);
                (supervision.folded, supervision.budget) = (Some(counts), budget);
                let node = |listed| self.make.folded(pid, &paths, listed);
                worst
                    .iter()
                    .map(|listed| node((&listed.child, listed.pid, listed.is_stopping)))
                    .collect()
            }
            None if state.is_partial => {
                match state.ending {
                    // It publishes each change while it stops.
                    Some(_) => self.included.supervisor(pid, last_change),
                    None => self.is_partial = true,
                }
                self.last_known(&mut supervision, &state, (pid, &paths, cell.count()))
            }
            None => {
                self.included.supervisor(pid, last_change);
                let node =
                    |(key, child): (&u64, _)| self.make.child(pid, &paths, &state, (*key, child));
                state.children.iter().map(node).collect::<Vec<_>>()
            }
        };
        node.supervision = Some(supervision);
        let ended = state.ended.last(self.view.ended);
        children
            .into_iter()
            .chain(ended.map(|(_, child)| self.make.ended(pid, &paths, child)))
            .collect()
    }

    /// Completes the supervision of a dynamic supervisor that has not answered, and returns the
    /// nodes of the children that it published last. It has this number of children.
    fn last_known(
        &self,
        supervision: &mut Supervision,
        state: &PublishedState,
        (pid, paths, children): (Pid, &ChildPaths<'_>, usize),
    ) -> Vec<PictureNode> {
        supervision.last_known = state.ending.is_none();
        let stopping = if state.ending.is_some() { children } else { 0 };
        let counts = FoldedCounts { children, stopping, ..FoldedCounts::default() };
        supervision.folded = Some(counts);
        let listed = state.children.iter().take(self.view.listed);
        let node = |(key, child): (&u64, _)| {
            self.make.folded(pid, paths, (child, Pid::from_raw(*key), stopping > 0))
        };
        listed.map(node).collect()
    }

    /// Asks the dynamic supervisor with this path for its children.
    async fn ask(&mut self, pid: Pid, cell: &PublishedCell, path: &str) -> Option<Fold> {
        let server = self.runtime.server_at::<DynamicServer>(pid).ok()?;
        let (most, only) = (self.view.listed, self.view.child_below(path));
        let began = Instant::now();
        let asked = pin!(async {
            let turn = cell.permit().await?;
            server.call_unlimited(|reply| Call::Fold { reply, most, only, turn }).await.ok()
        });
        let fold = until(&self.runtime.kernel, Some(began + self.wait_left / 2), asked).await;
        self.wait_left = self.wait_left.saturating_sub(began.elapsed());
        fold?
    }
}
