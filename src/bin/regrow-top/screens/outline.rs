//! Which nodes have a row in the tree, and which entries have one in the history. Both lists are
//! computed again only after an item, a change of a filter, or a fold. So a frame of a tree with a
//! hundred thousand nodes lays out only the visible rows.

use crate::model::{At, Model, Node};
use crate::view::{Screen, View};

/// How many children of a dynamic supervisor are listed at first.
pub(crate) const WORST: usize = 5;

/// The deepest level whose nodes have rows for their children.
const DEEPEST: usize = 1000;

/// A row of the tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Branch {
    Node {
        at: At,
        level: usize,
    },
    /// The last row below a dynamic supervisor. `all` is the number of its children. `known` is the
    /// number of its children in the model.
    More {
        above: At,
        level: usize,
        all: u64,
        known: usize,
    },
}

/// The numbers in the title.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) processes: u64,
    pub(crate) restarts: u64,
    pub(crate) unwell: u64,
}

/// The rows of the tree and of the history.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    made_for: Option<(u64, u64)>,
    pub(crate) tree: Vec<Branch>,
    /// The indexes of the entries that match the filter.
    pub(crate) history: Vec<usize>,
    pub(crate) summary: Summary,
}

impl Outline {
    /// Computes the lists, unless they are those of the present revisions of the model and the
    /// view.
    pub(crate) fn update(&mut self, model: &Model, view: &View) {
        let state = (model.revision, view.revision);
        if self.made_for == Some(state) {
            return;
        }
        self.made_for = Some(state);
        let of = |screen| view.filter_of(screen).trim().to_lowercase();
        self.tree = tree(model, view, &of(Screen::Tree));
        let filter = of(Screen::History);
        let entries = model.history.entries.iter().enumerate();
        let wanted = entries.filter(|(_, entry)| {
            (filter.is_empty() || entry.contains(&filter))
                && (!view.failures_only || entry.is_failure())
        });
        self.history = wanted.map(|(at, _)| at).collect();
        self.summary = summary(model);
    }
}

fn tree(model: &Model, view: &View, filter: &str) -> Vec<Branch> {
    let wanted = (!filter.is_empty()).then(|| wanted(model, filter));
    let mut rows = Vec::new();
    let mut left: Vec<_> =
        model.roots.iter().rev().map(|at| Branch::Node { at: *at, level: 0 }).collect();
    while let Some(branch) = left.pop() {
        let Branch::Node { at, level } = branch else {
            rows.push(branch);
            continue;
        };
        let Some(node) = model.get(at) else { continue };
        if wanted.as_ref().is_some_and(|wanted| !wanted[at]) {
            continue;
        }
        rows.push(branch);
        let is_folded = wanted.is_none() && view.folded.contains(&model.key_of(node));
        if node.children.is_empty() || is_folded || level > DEEPEST {
            continue;
        }
        let is_whole = wanted.is_some();
        let below = below(model, view, at, is_whole);
        left.extend(below.into_iter().rev().map(|branch| match branch {
            Branch::Node { at, .. } => Branch::Node { at, level: level + 1 },
            Branch::More { above, all, known, .. } => {
                Branch::More { above, level: level + 1, all, known }
            }
        }));
    }
    rows
}

/// Returns the rows of the children of a node. Below a dynamic supervisor only the [`WORST`] worst
/// children have rows. All its children have rows if the user has opened the supervisor, or if
/// `is_whole` is true.
fn below(model: &Model, view: &View, above: At, is_whole: bool) -> Vec<Branch> {
    let Some(node) = model.get(above) else { return Vec::new() };
    let mut children = node.children.clone();
    let is_short = node.is_dynamic() && !is_whole;
    let known = children.len();
    if node.is_dynamic() {
        children.sort_by_key(|at| model.get(*at).map(worst_first));
    }
    let is_open = is_short && view.opened.contains(&model.key_of(node));
    if is_short && !is_open {
        children.truncate(WORST);
    }
    let rows = children.into_iter().map(|at| Branch::Node { at, level: 0 });
    let all = node.folded.map_or(0, |folded| folded.children).max(known as u64);
    let more = is_short && all > WORST as u64;
    rows.chain(more.then_some(Branch::More { above, level: 0, all, known })).collect()
}

fn worst_first(node: &Node) -> impl Ord + use<> {
    use std::cmp::Reverse;
    let queued = node.mailbox.queued.unwrap_or(0);
    (Reverse(node.badness()), Reverse(queued), Reverse(node.restarts), node.pid)
}

/// Returns for each node whether the filter matches the node or one of its descendants.
fn wanted(model: &Model, filter: &str) -> Vec<bool> {
    let mut wanted = Vec::new();
    for node in model.nodes().filter(|node| contains(node, filter)) {
        let mut next = model.find(&model.key_of(node));
        while let Some(at) = next {
            if wanted.len() <= at {
                wanted.resize(at + 1, false);
            }
            if std::mem::replace(&mut wanted[at], true) {
                break;
            }
            next = model.get(at).and_then(|node| node.above);
        }
    }
    let last = model.roots.iter().chain(model.nodes().flat_map(|node| &node.children)).max();
    wanted.resize(wanted.len().max(last.map_or(0, |last| last + 1)), false);
    wanted
}

fn contains(node: &Node, filter: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(filter);
    has(&node.path)
        || has(&node.id)
        || has(node.condition().0)
        || node.health_text.as_deref().is_some_and(has)
        || node.history.last().is_some_and(|run| has(&run.reason))
        || node.pid.is_some_and(|pid| filter.strip_prefix('#') == Some(&pid.to_string()))
}

fn summary(model: &Model) -> Summary {
    let mut summary = Summary::default();
    for node in model.nodes() {
        summary.processes += u64::from(node.is_alive());
        summary.restarts += node.restarts;
        summary.unwell += u64::from(node.badness() >= 4);
        let hidden = node.folded.map_or(0, |all| all.children);
        summary.processes += hidden.saturating_sub(node.children.len() as u64);
    }
    summary
}
