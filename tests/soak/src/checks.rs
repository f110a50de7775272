//! The comparison of all numbers, while no step of the load is in progress.

use std::sync::Arc;
use std::time::Duration;

use regrow::Runtime;
use regrow::metrics::Exporter;
use tokio::time::{Instant, sleep};

use crate::changes::running;
use crate::events::Heard;
use crate::machine;
use crate::model::{Ledger, Model, Running};
use crate::recorder::Recorded;
use crate::spans::Spans;
use crate::truth::Truth;

/// How long the numbers may take to agree after the last step.
const SETTLE: Duration = Duration::from_secs(30);

/// The supervisors of the tree, its observer, and the exporter of metrics.
const OTHERS: u64 = 9;

/// What the readers have found. This outlives the runtime, whose end is found as well.
#[derive(Clone)]
pub(crate) struct Readers {
    pub(crate) plain: Arc<Model>,
    pub(crate) page: Arc<Model>,
    pub(crate) load: Arc<Model>,
    pub(crate) ledger: Arc<Ledger>,
}

impl Readers {
    /// Returns the faults since the last call, each once.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.ledger.check();
        for model in [&self.plain, &self.page, &self.load] {
            faults.extend(model.take_faults());
        }
        faults
    }
}

/// All that is compared.
pub(crate) struct Checks {
    pub(crate) rt: Runtime,
    pub(crate) truth: Arc<Truth>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) spans: Spans,
    pub(crate) readers: Readers,
    pub(crate) exporter: Exporter,
    pub(crate) recorded: Recorded,
    /// The processes of the tree without load.
    pub(crate) processes: usize,
    /// The file descriptors without load, with one page open.
    pub(crate) descriptors: usize,
}

impl Checks {
    /// Waits until all numbers agree. Returns those that do not in time, and the faults of the readers
    /// that were not returned before.
    pub(crate) async fn settle(&self) -> Vec<String> {
        let begin = Instant::now();
        let mut wrong = loop {
            let wrong = self.compare().await;
            if wrong.is_empty() || begin.elapsed() >= SETTLE {
                break wrong;
            }
            sleep(Duration::from_millis(20)).await;
        };
        wrong.extend(self.readers.faults());
        wrong
    }

    async fn compare(&self) -> Vec<String> {
        let picture = self.rt.observe().list_children(usize::MAX).picture().await;
        let now = running(&picture);
        self.exporter.collect().await;
        let mut wrong = self.numbers();
        for (name, model) in
            [("the plain reader", &self.readers.plain), ("the page", &self.readers.page)]
        {
            let known = model.running.lock().expect("no holder panics").clone();
            wrong.extend(difference(name, &known, &now));
        }
        wrong
    }

    fn numbers(&self) -> Vec<String> {
        let (truth, heard) = (&self.truth, &self.heard);
        let counters = self.rt.counters();
        let ended = counters.ended;
        let sum = |of: fn(&regrow::ChildCounters) -> u64| counters.children.iter().map(of).sum();
        let (restarts, give_ups): (u64, u64) =
            (sum(|child| child.restarts), sum(|child| child.give_ups));
        let (gave_up, failed) = (truth.give_ups.get(), truth.panics.get() + truth.errors.get());
        let (opened, closed) = self.spans.counts();
        let lost = truth.accepted.get() - truth.handled.get();
        let all = [
            ("processes", self.rt.process_count() as u64, self.processes as u64),
            ("descriptors", machine::descriptors() as u64, self.descriptors as u64),
            ("spawned", counters.spawned, truth.starts.get() + OTHERS + gave_up),
            ("spawned and not ended", counters.spawned - ended.total(), self.processes as u64),
            ("ended by a panic", ended.panic, truth.panics.get()),
            ("ended by an error", ended.error, truth.errors.get() + gave_up),
            ("killed", ended.killed, truth.kills.get()),
            ("restarts", restarts, truth.restarts.get() + gave_up),
            ("give-ups", give_ups, gave_up),
            ("refused", counters.refused, truth.refused.get()),
            ("dropped, and casts left", counters.dropped + heard.left_casts.get(), lost),
            ("left unhandled", counters.unhandled, heard.left.get()),
            ("timed out", counters.timed_out, truth.timed_out.get()),
            ("events of restarts", heard.restarting.get(), restarts),
            ("events of give-ups", heard.gave_up.get(), gave_up),
            ("missed events", heard.missed.get(), 0),
            ("errors in the log", self.spans.errors(), failed + gave_up),
            ("open spans", opened - closed, 0),
        ];
        let metric = |name: &str, label| self.recorded.sum(&format!("regrow_{name}"), label);
        let ended_as = |class| metric("processes_ended_total", Some(class));
        let recorded = [
            ("metric: processes", metric("processes", None), self.processes as u64),
            ("metric: spawned", metric("processes_spawned_total", None), counters.spawned),
            ("metric: ended", metric("processes_ended_total", None), ended.total()),
            ("metric: panics", ended_as("panic"), truth.panics.get()),
            ("metric: errors", ended_as("error"), truth.errors.get() + gave_up),
            ("metric: kills", ended_as("killed"), truth.kills.get()),
            ("metric: restarts", metric("restarts_total", None), truth.restarts.get() + gave_up),
            ("metric: give-ups", metric("give_ups_total", None), gave_up),
            ("metric: refused", metric("messages_refused_total", None), truth.refused.get()),
            ("metric: dropped", metric("messages_dropped_total", None), counters.dropped),
            ("metric: unhandled", metric("messages_unhandled_total", None), heard.left.get()),
            ("metric: timed out", metric("calls_timed_out_total", None), truth.timed_out.get()),
        ];
        let differs = all.into_iter().chain(recorded).filter(|(_, shown, truth)| shown != truth);
        differs.map(|(name, shown, truth)| format!("{name}: {shown}, in truth {truth}")).collect()
    }

    /// Describes the numbers so far in one line.
    pub(crate) fn line(&self) -> String {
        let counters = self.rt.counters();
        let ended = counters.ended;
        let restarts: u64 = counters.children.iter().map(|child| child.restarts).sum();
        format!(
            "crashed {} killed {} restarts {restarts} give-ups {} spawned {} calls {} casts {} \
             timed out {} refused {} dropped {} spans {} metrics: {} series, {} handled; changes {} page: {} changes, {} left out, \
             {} pictures, {} samples",
            ended.panic + ended.error,
            ended.killed,
            self.truth.give_ups.get(),
            counters.spawned,
            self.truth.answered.get() + self.truth.failed.get() + self.truth.timed_out.get(),
            self.truth.accepted.get() + self.truth.refused.get(),
            counters.timed_out,
            counters.refused,
            counters.dropped,
            self.spans.counts().0,
            self.recorded.series(),
            self.recorded.sum("regrow_handling_seconds", None),
            self.readers.plain.changes.get(),
            self.readers.page.changes.get(),
            self.readers.ledger.left_out(),
            self.readers.page.pictures.get(),
            self.readers.page.samples.get(),
        )
    }
}

/// Describes how the processes that a reader knows differ from those that run.
fn difference(name: &str, known: &Running, now: &Running) -> Option<String> {
    if known == now {
        return None;
    }
    let more: Vec<_> = known.difference(now).take(3).collect();
    let less: Vec<_> = now.difference(known).take(3).collect();
    Some(format!("{name} knows {more:?} that do not run, and lacks {less:?}"))
}
