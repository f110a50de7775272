//! A reading: the counters of a runtime, and the sums of what its processes show now.
//!
//! A reading visits the record of each process once, so that the sums include each child of a
//! dynamic supervisor, however many there are. A picture lists only the worst of them.
//!
//! The processes are visited one after the other while they run on, with pauses. A process that ends
//! meanwhile is left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::random::Map;
use crate::base::{NodePath, Pid, SharedStr, consume_budget};
use crate::kernel::Kernel;
use crate::metrics::labels::NONE;
use crate::observation::{MailboxFacts, mailbox_facts};
use crate::observe::Counters;
use crate::process::{AnyProcess, Locked, Place};
use crate::runtime::Runtime;
use crate::supervisor::PublishedCell;

/// The state of a runtime.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) counters: Counters,
    pub(super) processes: usize,
    pub(super) paths: BTreeMap<SharedStr, PathFacts>,
}

/// The facts about all processes that are counted at one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PathFacts {
    /// The number of items in the mailboxes.
    pub(super) queued: usize,
    /// The age of the oldest item; `None` if no process is tracked.
    pub(super) oldest: Option<Duration>,
    /// The number of children; `None` if no process is a supervisor.
    pub(super) children: Option<usize>,
    /// The restart budget of the supervisor that has used the largest share.
    pub(super) budget: Option<Budget>,
}

/// The restart budget of a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) used: u32,
    pub(super) allowed: u32,
}

impl Budget {
    /// Returns the budget of which the larger share is used.
    fn tighter(self, other: Self) -> Self {
        let [one, two] = [(self, other), (other, self)]
            .map(|(this, that)| u64::from(this.used) * u64::from(that.allowed.max(1)));
        if two > one { other } else { self }
    }
}

impl PathFacts {
    /// Adds the facts about further processes.
    pub(super) fn add(&mut self, other: &Self) {
        self.queued += other.queued;
        self.oldest = self.oldest.max(other.oldest);
        self.children = sum(self.children, other.children);
        self.budget = match (self.budget, other.budget) {
            (Some(one), Some(other)) => Some(one.tighter(other)),
            (one, other) => one.or(other),
        };
    }
}

fn sum(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}

/// Reads the state of a runtime.
pub(super) async fn read(runtime: &Runtime) -> Reading {
    let mut sums = Sums::default();
    for pid in runtime.list() {
        consume_budget().await;
        if let Some((place, facts)) = visit(&runtime.kernel, pid) {
            sums.add(place.as_ref(), &facts);
        }
    }
    let paths = sums.paths();
    // The counters last: they are then as fresh as they can be.
    let (counters, processes) = (runtime.counters(), runtime.process_count());
    Reading { counters, processes, paths }
}

/// The sums of the processes that were visited.
#[derive(Default)]
struct Sums {
    paths: BTreeMap<SharedStr, PathFacts>,
    /// The sums below each dynamic supervisor, by its address: of a hundred thousand children, one
    /// text is made. The path is kept, so that no other has its address meanwhile.
    folded: Map<usize, (Arc<NodePath>, PathFacts)>,
}

impl Sums {
    fn add(&mut self, place: Option<&Place>, facts: &PathFacts) {
        let sum = match place.map(|place| (place, place.folded_below())) {
            Some((_, Some(dynamic))) => {
                let new = || (dynamic.clone(), PathFacts::default());
                &mut self.folded.entry(Arc::as_ptr(dynamic).addr()).or_insert_with(new).1
            }
            Some((place, None)) => self.paths.entry(place.counted()).or_default(),
            None => self.paths.entry(NONE.into()).or_default(),
        };
        sum.add(facts);
    }

    fn paths(mut self) -> BTreeMap<SharedStr, PathFacts> {
        for (dynamic, facts) in self.folded.into_values() {
            self.paths.entry(dynamic.folded().clone()).or_default().add(&facts);
        }
        self.paths
    }
}

/// Reads the record of one process. Returns its place and the facts about it.
fn visit(kernel: &Kernel, pid: Pid) -> Option<(Option<Place>, PathFacts)> {
    let process = kernel.find(pid)?;
    let read = |locked: &mut Locked| {
        let place = locked.core().relations().and_then(|relations| relations.place());
        (place, locked.core().tracked, mailbox_facts(locked))
    };
    let (place, tracked, mailbox) = process.with(read);
    let MailboxFacts { queued, oldest, .. } = mailbox;
    let mut facts = PathFacts {
        queued: queued.unwrap_or_default(),
        oldest: tracked.then(|| oldest.unwrap_or_default()),
        ..PathFacts::default()
    };
    if place.as_ref().is_some_and(|place| place.is_supervisor()) {
        supervision(&*process, &mut facts);
    }
    Some((place, facts))
}

fn supervision(process: &dyn AnyProcess, facts: &mut PathFacts) {
    let Some(cell) = PublishedCell::of(process) else { return };
    let (listed, budget) =
        cell.change(|state| ((!state.is_partial).then_some(state.children.len()), state.budget()));
    facts.children = Some(listed.unwrap_or_else(|| cell.count()));
    facts.budget = budget.map(|budget| Budget {
        used: budget.restarts.saturating_sub(budget.left),
        allowed: budget.restarts,
    });
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn the_tighter_budget_is_the_one_of_which_more_is_used() {
        let budget = |used, allowed| Budget { used, allowed };
        let (loose, tight, none) = (budget(5, 100), budget(2, 3), budget(0, 0));
        assert_eq!(loose.tighter(tight), tight);
        assert_eq!(tight.tighter(loose), tight);
        assert_eq!(none.tighter(tight), tight);
        assert_eq!(tight.tighter(none), tight);
    }
}
