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
//! [`asked`](super::asked) limits the wait for dynamic supervisors. Each is asked once.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::node_path::ChildPaths;
use crate::base::random::MapHasher;
use crate::base::{NodePath, Pid};
use crate::observation::asked::Asked;
use crate::observation::facts::Facts;
use crate::observation::included::{Included, View};
use crate::observation::nodes::{Above, Nodes};
use crate::observation::picture::Supervision;
use crate::observation::slices::{SLICE, Slices};
use crate::observation::{Clock, Picture, PictureNode, PictureState};
use crate::runtime::Runtime;
use crate::supervisor::dynamic::fold::{Fold, FoldedChild, FoldedCounts};
use crate::supervisor::{ListedChildren, PublishedCell, PublishedState};

/// A picture that is being taken.
pub(super) struct Collector<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) view: &'a View,
    make: Nodes<'a>,
    /// The dynamic supervisors that were asked, and not visited yet.
    pub(super) asked: Asked<'a, Fold>,
    /// Whether a dynamic supervisor has not answered, perhaps one above those that are shown.
    is_partial: bool,
    included: Included,
    nodes: Vec<PictureNode>,
    /// When a program that stops kills everything below a supervisor. Only the supervisors for which
    /// this is known are here.
    due: HashMap<Pid, Instant, MapHasher>,
    /// The nodes that are still to be visited, the next one last.
    pub(super) pending: Vec<PictureNode>,
    slices: Slices,
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
    let (asked, is_partial, slices) = (Asked::new(), false, Slices::default());
    let due = HashMap::default();
    let mut collector =
        Collector { runtime, view, make, asked, is_partial, included, nodes, due, pending, slices };
    let roots = roots.iter().filter(|(pid, _)| view.shows_tree(*pid));
    let roots = roots.map(|(pid, root)| collector.make.root(*pid, root)).collect();
    collector.add(roots).await;
    collector.visit_all().await;
    let Collector { mut included, nodes, is_partial, .. } = collector;
    included.until = runtime.kernel.changes.last();
    let (counters, log_level) = (runtime.counters(), runtime.kernel.log_level());
    let (time, program) = (clock.time, runtime.kernel.instance);
    let picture = Picture { seq, time, program, log_level, nodes, counters };
    Collected { picture, included, is_partial }
}

impl Collector<'_> {
    /// Adds nodes that are to be visited next, with the facts of their processes. The picture gets
    /// the workers before the first supervisor at once: nothing comes between.
    async fn add(&mut self, mut nodes: Vec<PictureNode>) {
        nodes.retain(|node| self.view.is_visited(&node.path));
        for part in nodes.chunks_mut(SLICE) {
            self.slices.before(part.len()).await;
            let pids: Vec<Pid> = part.iter().filter_map(running).collect();
            let all = Facts::of_all(&self.runtime.kernel, &pids);
            let nodes = part.iter_mut().filter(|node| running(node).is_some());
            for (node, facts) in nodes.zip(all) {
                if let (Some(pid), Some(facts)) = (node.pid, facts) {
                    self.included.process(pid, facts.last_change);
                    (node.health, node.mailbox) = (facts.health, facts.mailbox);
                }
            }
        }
        let is_supervisor = |node: &PictureNode| node.supervision.is_some();
        let first = nodes.iter().position(is_supervisor).unwrap_or(nodes.len());
        self.pending.extend(nodes.drain(first..).rev());
        let view = self.view;
        self.nodes.extend(nodes.into_iter().filter(|node| view.shows(&node.path)));
    }

    /// Adds the pending nodes to the picture, and those below them.
    async fn visit_all(&mut self) {
        while let Some(node) = self.pending.pop() {
            self.slices.before(1).await;
            let is_shown = self.view.shows(&node.path);
            match running(&node) {
                Some(pid) if node.supervision.is_some() => {
                    self.visit_supervisor(node, pid, is_shown).await;
                }
                _ if is_shown => self.nodes.push(node),
                _ => {}
            }
        }
    }

    /// Adds a supervisor to the picture, and its children to the pending nodes.
    async fn visit_supervisor(&mut self, mut node: PictureNode, pid: Pid, is_shown: bool) {
        let mut children = Vec::new();
        if let Some(cell) = self.published(pid)
            && let Some(path) = self.runtime.kernel.supervisor_path(pid)
        {
            children = self.supervisor(&mut node, &cell, &path, pid).await;
        } else if self.runtime.kernel.find(pid).is_none() {
            // It has ended since its own supervisor was read, and the picture shows none of its
            // children. So the picture includes all changes that it has made; it makes no other.
            self.included.supervisor(pid, self.runtime.kernel.changes.last());
        }
        if is_shown {
            children.iter_mut().for_each(|child| child.parent = Some(node.path.clone()));
            self.nodes.push(node);
        }
        self.add(children).await;
    }

    pub(super) fn published(&self, pid: Pid) -> Option<Arc<PublishedCell>> {
        PublishedCell::of(&*self.runtime.kernel.find(pid)?)
    }

    /// Completes the node of a supervisor, and returns the nodes of its children.
    async fn supervisor(
        &mut self,
        node: &mut PictureNode,
        cell: &Arc<PublishedCell>,
        path: &NodePath,
        pid: Pid,
    ) -> Vec<PictureNode> {
        let fold = if serves_dynamic(cell) { self.ask(pid, cell, &node.path).await } else { None };
        let (mut state, listed, last_change) = cell.read_with_last_change();
        if node.supervisor.is_none() && state.ending.is_some() {
            self.show_stopping_root(node, pid);
        }
        let above = Above { pid, due: self.due_below(node, pid) };
        let mut supervision = self.make.supervision(above, (&state, &listed), path);
        let paths = path.children();
        let mut children: Vec<_> = match fold {
            Some(Fold { counts, worst, ended, budget, last_change }) => {
                state.ended = ended;
                self.included.supervisor(pid, last_change);
                (supervision.folded, supervision.budget) = (Some(counts), budget);
                let node = |worst: FoldedChild| {
                    self.make.folded(above, &paths, (worst.child, worst.pid, worst.is_stopping))
                };
                worst.into_iter().map(node).collect()
            }
            None if state.is_partial => {
                match state.ending {
                    // It publishes each change while it stops.
                    Some(_) => self.included.supervisor(pid, last_change),
                    None => self.is_partial = true,
                }
                let known = (state.ending.is_some(), listed);
                self.last_known(&mut supervision, known, (above, &paths, cell.count()))
            }
            None => {
                self.included.supervisor(pid, last_change);
                let node = |child| self.make.child(above, &paths, state.step, child);
                listed.into_iter().map(node).collect()
            }
        };
        node.supervision = Some(Box::new(supervision));
        children.extend(self.ended(above, &paths, &state));
        children
    }

    /// Returns the nodes of the ended children that are shown.
    fn ended(
        &self,
        above: Above,
        paths: &ChildPaths<'_>,
        state: &PublishedState,
    ) -> Vec<PictureNode> {
        let (view, now) = (self.view, self.make.clock.now);
        let ended = state.ended.last(view.ended, |ended| view.shows_ended(ended, now));
        ended.into_iter().map(|ended| self.make.ended(above, paths, ended.child.clone())).collect()
    }

    /// Returns when a program kills everything below this supervisor: at its own kill time, or at
    /// that of a supervisor above, which was visited before.
    fn due_below(&mut self, node: &PictureNode, pid: Pid) -> Option<Instant> {
        let above = node.supervisor.and_then(|above| self.due.get(&above).copied());
        let due = above.into_iter().chain(self.runtime.kernel.kill_time(pid)).min()?;
        self.due.insert(pid, due);
        Some(due)
    }

    /// Marks a topmost supervisor, which stops. Only its program can set its deadline.
    fn show_stopping_root(&self, node: &mut PictureNode, pid: Pid) {
        node.state = PictureState::Stopping;
        let due = self.runtime.kernel.kill_time(pid);
        node.deadline = due.map(|due| self.make.clock.time_at(due));
    }

    /// Completes the supervision of a dynamic supervisor that has not answered, and returns the
    /// nodes of the children that it published last. It has this number of children.
    fn last_known(
        &self,
        supervision: &mut Supervision,
        (is_ending, children_known): (bool, ListedChildren),
        (above, paths, children): (Above, &ChildPaths<'_>, usize),
    ) -> Vec<PictureNode> {
        supervision.last_known = !is_ending;
        let stopping = if is_ending { children } else { 0 };
        let counts = FoldedCounts { children, stopping, ..FoldedCounts::default() };
        supervision.folded = Some(counts);
        let listed = children_known.into_iter().take(self.view.listed);
        let node = |(key, child)| {
            self.make.folded(above, paths, (child, Pid::from_raw(key), stopping > 0))
        };
        listed.map(node).collect()
    }
}

/// Whether this is a dynamic supervisor that handles requests.
pub(super) fn serves_dynamic(cell: &PublishedCell) -> bool {
    cell.change(|state| state.is_partial && state.ending.is_none())
}

/// Returns the process of a node, if there should be one.
pub(super) fn running(node: &PictureNode) -> Option<Pid> {
    let runs = !matches!(node.state, PictureState::Ended | PictureState::Restarting);
    node.pid.filter(|_| runs)
}
