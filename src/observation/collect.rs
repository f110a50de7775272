//! Takes a picture.
//!
//! **Steps**
//! 1. Read the number of the last change: the picture includes all changes up to it.
//! 2. Read the list of the topmost supervisors, and then each supervisor before its children: its
//!    published state, and under the same lock the number of the last change. A dynamic supervisor
//!    that serves is asked for its children, and answers with that number; if there are very many, in
//!    [parts](crate::supervisor::dynamic::fold), each with its own number.
//! 3. Read the record of the process of each listed child, and under its lock the number again.
//!
//! [`Included`] keeps these numbers. A change that is made after step 1 is delivered only if it is
//! later than the number for its maker. For a supervisor that was not visited, this is the number of the
//! nearest visited supervisor above it. **Proof.** Let that one be *v*, and let a supervisor *s* below it
//! make the change *c*. Let *x* be *s* or the supervisor above *s* that is a child of *v*, and *n* the number
//! of *v* for *x*: the same for all its children, unless *v* has answered in parts. *x* is alive when *c* is
//! made, and the picture has not visited *x*.
//!
//! * If *c* ≤ *n*, *x* was alive before *v* was read. Had *v* not recorded its end by then, the picture
//!   would have visited *x*, or have noted that *x* has ended. So the picture shows *v* without *x*: *c*,
//!   whose effect ended with *x*, is no news.
//! * If *c* > *n*, *c* was made after *v* was read. Either *x* started after that, and its start follows,
//!   as does *c*; or *x* is killed, and *c* is the end of an orphan below it.
//!
//! Of a child that a dynamic supervisor counts and does not list, and of what is below that child, the
//! picture has nothing.
//!
//! **What happens if** …
//!
//! | | |
//! |---|---|
//! | a child ends after its supervisor was read | the picture shows it as running, without a mailbox; its end follows as a change |
//! | a supervisor starts after the supervisor above was read | the picture shows it as starting or not at all; it has no number, so all its changes follow |
//! | a supervisor is restarted after the supervisor above was read | the picture shows the old one without children; its end, the new one and its children follow |
//! | a supervisor is restarted before the supervisor above is read | the picture shows the new one. The old one and those below it are not visited: their changes are earlier than the number of the supervisor above |
//! | the tree ends | as above, and the end of the topmost supervisor is the last change |
//! | a dynamic supervisor does not answer in time | its last published children are shown, marked as last known; it has no number, so all its changes follow, and then another picture |
//!
//! [`asked`](super::asked) limits the wait for dynamic supervisors. Each is asked once.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::random::MapHasher;
use crate::base::{NodePath, Pid};
use crate::observation::answers::{Fold, WorstFirst};
use crate::observation::asked::Asked;
use crate::observation::child_counters::add_slice;
use crate::observation::included::{Included, View};
use crate::observation::nodes::{Above, Nodes};
use crate::observation::picture::Supervision;
use crate::observation::slices::{SLICE, Slices};
use crate::observation::{Clock, Picture, PictureNode, PictureState};
use crate::observe::Counters;
use crate::process::AnyProcess;
use crate::runtime::Runtime;
use crate::supervisor::dynamic::fold::FoldedCounts;
use crate::supervisor::{ListedChildren, PublishedCell, PublishedChild, PublishedState, Step};

/// For how many nodes there is room at first, if there are so many processes.
const MOST_RESERVED: usize = 1 << 17;

/// A picture that is being taken.
pub(super) struct Collector<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) view: &'a View,
    pub(super) make: Nodes<'a>,
    /// The dynamic supervisors that were asked, and not visited yet.
    pub(super) asked: Asked<'a, Fold>,
    /// Whether a dynamic supervisor has not answered, perhaps one above those that are shown.
    is_partial: bool,
    pub(super) included: Included,
    pub(super) nodes: Vec<PictureNode>,
    /// When a program that stops kills everything below a supervisor. Only the supervisors for which
    /// this is known are here.
    due: HashMap<Pid, Instant, MapHasher>,
    /// The nodes that are still to be visited, the next one last.
    pub(super) pending: Vec<Pending>,
    /// The memory for the children of one supervisor.
    pub(super) listed: ListedChildren,
    pub(super) slices: Slices,
}

/// A node that is still to be visited: a supervisor, or a node that follows one.
pub(super) struct Pending {
    pub(super) node: PictureNode,
    /// The process of the node, if it was alive.
    pub(super) process: Option<Arc<dyn AnyProcess>>,
}

/// The children of a supervisor.
pub(super) enum Children {
    /// Those of a declared list, and the step of the supervisor.
    Listed(ListedChildren, Step),
    /// The answer of a dynamic supervisor.
    Folded(WorstFirst),
    /// Those that a dynamic supervisor published last, and whether it stops them.
    LastKnown(ListedChildren, bool),
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
    let mut collector = Collector::new(runtime, view, clock, seq);
    if view.shows_all() {
        // A vector that grows is copied again and again.
        collector.nodes.reserve(runtime.process_count().min(MOST_RESERVED));
    }
    collector.included.roots = last_root;
    collector.included.live_roots = roots.iter().map(|(pid, _)| *pid).collect();
    for (pid, root) in roots.iter().filter(|(pid, _)| view.shows_tree(*pid)) {
        collector.add(collector.make.root(*pid, root), None, 0);
    }
    collector.pending.reverse();
    collector.visit_all().await;
    let Collector { mut included, mut nodes, is_partial, mut slices, .. } = collector;
    if nodes.len() < nodes.capacity() / 2 {
        nodes.shrink_to_fit();
    }
    included.until = runtime.kernel.changes.last();
    let mut children = Vec::new();
    while add_slice(&runtime.kernel, &mut children) {
        slices.before(SLICE).await;
    }
    let counters = Counters { children, ..runtime.totals() };
    let log_level = runtime.kernel.log_level();
    let (time, program) = (clock.time, runtime.kernel.instance);
    let picture = Picture { seq, time, program, log_level, nodes, counters };
    Collected { picture, included, is_partial }
}

impl<'a> Collector<'a> {
    /// Begins a picture with this number.
    fn new(runtime: &'a Runtime, view: &'a View, clock: Clock, seq: u64) -> Self {
        Collector {
            runtime,
            view,
            make: Nodes { kernel: &runtime.kernel, clock },
            asked: Asked::new(),
            is_partial: false,
            included: Included { seq, ..Included::default() },
            nodes: Vec::new(),
            due: HashMap::default(),
            pending: Vec::new(),
            listed: Vec::new(),
            slices: Slices::default(),
        }
    }

    /// Adds the pending nodes to the picture, and those below them.
    async fn visit_all(&mut self) {
        while let Some(Pending { node, process }) = self.pending.pop() {
            self.slices.before_node().await;
            let is_shown = self.view.shows(&node.path);
            match running(&node) {
                Some(pid) if node.supervision.is_some() => {
                    self.visit_supervisor(node, (pid, process), is_shown).await;
                }
                _ if is_shown => self.nodes.push(node),
                _ => {}
            }
        }
    }

    /// Adds a supervisor to the picture, and its children to the picture or to the pending nodes.
    async fn visit_supervisor(
        &mut self,
        mut node: PictureNode,
        (pid, process): (Pid, Option<Arc<dyn AnyProcess>>),
        is_shown: bool,
    ) {
        let place = process
            .as_deref()
            .and_then(|process| Some((PublishedCell::of(process)?, path_of(process)?)));
        let Some((cell, path)) = place else {
            let process = process.or_else(|| self.runtime.kernel.find(pid));
            if process.is_none_or(|process| !process.with(|locked| locked.core().is_open())) {
                // It has ended since its own supervisor was read. What is below it is no news: its
                // end follows. If it is still open, its changes follow, since it has made none yet.
                self.included.ended(pid);
            }
            self.nodes.extend(is_shown.then_some(node));
            return;
        };
        let (due, text) = (self.due_below(&node, pid), node.path.text().clone());
        let above = Above { pid, due, path, text, is_shown };
        let (children, ended) = self.supervisor(&mut node, &cell, &above).await;
        self.nodes.extend(is_shown.then_some(node));
        let pending = self.pending.len();
        self.add_children(&above, children, pending).await;
        for child in ended {
            self.slices.before_node().await;
            self.add(self.make.ended(&above, child), None, pending);
        }
        // The first of them is visited first.
        self.pending[pending..].reverse();
    }

    /// Completes the node of a supervisor. Returns its children, and those that ended and are shown.
    async fn supervisor(
        &mut self,
        node: &mut PictureNode,
        cell: &Arc<PublishedCell>,
        above: &Above,
    ) -> (Children, Vec<PublishedChild>) {
        let pid = above.pid;
        let fold = if serves_dynamic(cell) { self.ask(pid, cell, &above.text).await } else { None };
        let mut listed = std::mem::take(&mut self.listed);
        let (mut state, last_change) = cell.read_with_last_change(&mut listed);
        if fold.is_some() {
            // If it has begun to stop, that was after its answer: the change follows.
            state.ending = None;
        }
        if node.supervisor.is_none() && state.ending.is_some() {
            self.show_stopping_root(node, pid);
        }
        let mut supervision = self.make.supervision(above, (&state, &listed));
        let children = match fold {
            Some(Fold { counts, worst, ended, budget, last_change, parts, .. }) => {
                state.ended = ended;
                self.included.dynamic(pid, last_change, parts);
                (supervision.folded, supervision.budget) = (Some(counts), budget);
                Children::Folded(worst)
            }
            None if state.is_partial => {
                match state.ending {
                    // It publishes each change while it stops.
                    Some(_) => self.included.supervisor(pid, last_change),
                    None => {
                        self.included.inexact(pid);
                        self.is_partial = true;
                    }
                }
                let is_ending = state.ending.is_some();
                self.last_known(&mut supervision, (is_ending, &mut listed), cell.count());
                Children::LastKnown(listed, is_ending)
            }
            None => {
                self.included.supervisor(pid, last_change);
                Children::Listed(listed, state.step)
            }
        };
        node.supervision = Some(Box::new(supervision));
        (children, self.ended(&state))
    }

    /// Returns the ended children that are shown.
    fn ended(&self, state: &PublishedState) -> Vec<PublishedChild> {
        let (view, now) = (self.view, self.make.clock.now);
        let ended = state.ended.last(view.ended, |ended| view.shows_ended(ended, now));
        ended.into_iter().map(|ended| ended.child.clone()).collect()
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

    /// Completes the supervision of a dynamic supervisor that has not answered. `listed` are the
    /// children that it published last; it has this number of children.
    fn last_known(
        &self,
        supervision: &mut Supervision,
        (is_ending, listed): (bool, &mut ListedChildren),
        children: usize,
    ) {
        supervision.last_known = !is_ending;
        let stopping = if is_ending { children } else { 0 };
        supervision.folded = Some(FoldedCounts { children, stopping, ..FoldedCounts::default() });
        listed.truncate(self.view.listed);
    }
}

/// Returns the place of a supervisor in its tree.
fn path_of(process: &dyn AnyProcess) -> Option<Arc<NodePath>> {
    process.with(|locked| locked.core().supervisor_record()?.path.clone())
}

/// Whether this is a dynamic supervisor that handles requests.
pub(super) fn serves_dynamic(cell: &Arc<PublishedCell>) -> bool {
    cell.change(|state| state.is_partial && state.ending.is_none())
}

/// Returns the process of a node, if there should be one.
pub(super) fn running(node: &PictureNode) -> Option<Pid> {
    let runs = !matches!(node.state, PictureState::Ended | PictureState::Restarting);
    node.pid.filter(|_| runs)
}
