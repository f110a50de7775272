//! A write of a reading to a recorder.
//!
//! **Invariants**
//! 1. A counter is written as a total, so a write that is missed or repeated changes nothing.
//! 2. The restarts and give-ups of a live child are written from its first write on, as zeros. A rate
//!    then includes its first restart, which a series that begins at 1 would hide.
//! 3. A gauge whose process is gone becomes 0, since a recorder keeps the last value. A restart budget
//!    keeps its size, and none of it is used.

use std::collections::BTreeMap;

use metrics::{Label, Recorder, SharedString};

use crate::base::SharedStr;
use crate::metrics::labels::{Labels, NONE};
use crate::metrics::meter::METADATA;
use crate::metrics::names::{
    self, BUDGET, BUDGET_USED, CHILDREN, DROPPED, ENDED, FOLDED, GIVE_UPS, Metric, OLDEST,
    PROCESSES, QUEUED, REFUSED, RESTARTS, RESUMED, SPAWNED, TIMED_OUT, UNHANDLED,
};
use crate::metrics::reading::{Budget, PathFacts, Reading};
use crate::observe::{ChildCounters, Counters, EndedCounts, ExitClass};

/// The gauges that the last write has set, by path.
pub(super) type Shown = BTreeMap<SharedString, PathFacts>;

/// A write of metrics with these labels.
struct Push<'a> {
    recorder: &'a dyn Recorder,
    labels: &'a Labels,
}

/// Writes a reading. `shown` are the gauges of the last write.
pub(super) fn push(recorder: &dyn Recorder, labels: &Labels, reading: &Reading, shown: &mut Shown) {
    names::describe(recorder);
    let push = Push { recorder, labels };
    push.totals(&reading.counters);
    push.children(&reading.counters.children, reading.paths.keys());
    push.gauge(&PROCESSES, None, reading.processes as f64);
    let now = by_label(labels, &reading.paths);
    for (path, facts) in merged(shown, now) {
        push.path(&path, &facts);
        shown.insert(path, facts);
    }
    push.counter(&FOLDED, None, labels.folded());
}

/// Adds up the facts of the paths that share a label.
fn by_label(labels: &Labels, paths: &BTreeMap<SharedStr, PathFacts>) -> Shown {
    let mut now = Shown::new();
    for (path, facts) in paths {
        now.entry(labels.path(path)).or_default().add(facts);
    }
    now
}

/// Adds the gauges that were shown before and are gone, as zeros.
fn merged(shown: &Shown, mut now: Shown) -> Shown {
    for (path, old) in shown {
        let facts = now.entry(path.clone()).or_default();
        let budget = old.budget.map(|Budget { allowed, .. }| Budget { used: 0, allowed });
        facts.oldest = facts.oldest.or(old.oldest.map(|_| Default::default()));
        facts.children = facts.children.or(old.children.map(|_| 0));
        facts.budget = facts.budget.or(budget);
    }
    now
}

impl Push<'_> {
    fn totals(&self, counters: &Counters) {
        let Counters { spawned, ended, refused, dropped, unhandled, timed_out, resumed, .. } =
            counters;
        self.counter(&SPAWNED, None, *spawned);
        self.ended(ended);
        self.counter(&REFUSED, None, *refused);
        self.counter(&DROPPED, None, *dropped);
        self.counter(&UNHANDLED, None, *unhandled);
        self.counter(&TIMED_OUT, None, *timed_out);
        self.counter(&RESUMED, None, *resumed);
    }

    /// Writes the counters of all children, and of what is alive.
    fn children<'a>(&self, children: &[ChildCounters], alive: impl Iterator<Item = &'a SharedStr>) {
        let mut by_label = BTreeMap::<SharedString, [u64; 2]>::new();
        for ChildCounters { path, restarts, give_ups } in children {
            let sums = by_label.entry(self.labels.path(path)).or_default();
            sums[0] += restarts;
            sums[1] += give_ups;
        }
        for path in alive.filter(|path| path.as_str() != NONE) {
            by_label.entry(self.labels.path(path)).or_default();
        }
        for (path, [restarts, give_ups]) in by_label {
            let label = Label::new("path", path);
            self.counter(&RESTARTS, Some(label.clone()), restarts);
            self.counter(&GIVE_UPS, Some(label), give_ups);
        }
    }

    fn ended(&self, ended: &EndedCounts) {
        let EndedCounts { normal, shutdown, error, panic, killed, no_process } = *ended;
        let classes = [
            (ExitClass::Normal, normal),
            (ExitClass::Shutdown, shutdown),
            (ExitClass::Error, error),
            (ExitClass::Panic, panic),
            (ExitClass::Killed, killed),
            (ExitClass::NoProcess, no_process),
        ];
        for (class, count) in classes {
            self.counter(&ENDED, Some(Label::new("class", class.to_string())), count);
        }
    }

    fn path(&self, path: &SharedString, facts: &PathFacts) {
        let label = || Some(Label::new("path", path.clone()));
        self.gauge(&QUEUED, label(), facts.queued as f64);
        if let Some(oldest) = facts.oldest {
            self.gauge(&OLDEST, label(), oldest.as_secs_f64());
        }
        if let Some(children) = facts.children {
            self.gauge(&CHILDREN, label(), children as f64);
        }
        if let Some(Budget { used, allowed }) = facts.budget {
            self.gauge(&BUDGET_USED, label(), f64::from(used));
            self.gauge(&BUDGET, label(), f64::from(allowed));
        }
    }

    fn counter(&self, metric: &Metric, label: Option<Label>, total: u64) {
        let key = self.labels.key(metric, label);
        self.recorder.register_counter(&key, &METADATA).absolute(total);
    }

    fn gauge(&self, metric: &Metric, label: Option<Label>, value: f64) {
        let key = self.labels.key(metric, label);
        self.recorder.register_gauge(&key, &METADATA).set(value);
    }
}
