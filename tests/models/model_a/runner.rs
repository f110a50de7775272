//! Runs a program on the model and on the real kernel, and compares them after every batch.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use regrow::{ExitReason, Leftovers};

use super::commands::{Batch, Command, Id, Mailboxes, OUTSIDE, Op, Program, Take};
use super::generator::SETTLE;
use super::model::Model;
use super::observations::Seen;
use super::real_runtime::World;
use super::records::Step;

/// The maximum numbers of orders that are tried for one batch, and of commands in a batch for which
/// orders are tried.
const ORDERS: usize = 720;
const MOST: usize = 6;

/// The first id of the runner's own commands.
const EPILOGUE: Id = 2_000_000;

/// The expected and the observed state, and the trace in a proof run.
pub(crate) type Mismatch = String;

pub(crate) fn run(program: &Program) -> Result<(), Mismatch> {
    let run = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let tokio = builder.enable_time().start_paused(true).build().unwrap();
        tokio.block_on(Run::new(program.mailboxes).all(&program.batches))
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map_or("", |text| text);
        Err(format!("a panic outside of any process: {text}"))
    })
}

struct Run {
    mailboxes: Mailboxes,
    world: Arc<World>,
    model: Model,
}

impl Run {
    fn new(mailboxes: Mailboxes) -> Self {
        Run { mailboxes, world: World::new(mailboxes), model: Model::of(mailboxes) }
    }

    async fn all(mut self, batches: &[Batch]) -> Result<(), Mismatch> {
        for batch in batches {
            self.batch(batch).await.map_err(|mismatch| {
                format!("after {}\n{mismatch}{}", show(batch), self.last_events())
            })?;
        }
        self.epilogue().await
    }

    async fn batch(&mut self, batch: &Batch) -> Result<(), Mismatch> {
        for &command in batch {
            for _ in 0..command.pause {
                tokio::task::yield_now().await;
            }
            self.world.issue(command).await;
        }
        settle().await;
        self.explain(batch)?;
        self.model.forget_seen();
        self.world.books().forget_seen();
        Ok(())
    }

    /// Finds an order of the batch that the model agrees with. The recorded order comes first, then
    /// all others.
    fn explain(&mut self, batch: &Batch) -> Result<(), Mismatch> {
        let mut first = self.model.clone();
        match batch.as_slice() {
            [only] => first.run(only),
            _ => replay(&mut first, batch, &self.world.books().steps),
        }
        let Err(mismatch) = self.compare(&mut first) else {
            self.model = first;
            return Ok(());
        };
        if (2..=MOST).contains(&batch.len()) {
            let orders = permutations(batch).into_iter().filter(|order| keeps_turns(batch, order));
            for order in orders.take(ORDERS) {
                let mut model = self.model.clone();
                for command in &order {
                    model.run(command);
                    model.settle();
                }
                if self.compare(&mut model).is_ok() {
                    self.model = model;
                    return Ok(());
                }
            }
        }
        Err(mismatch)
    }

    fn compare(&self, model: &mut Model) -> Result<(), Mismatch> {
        model.pass(SETTLE);
        let mut expected = Seen::of_model(model, self.mailboxes);
        let mut got = Seen::of_world(&self.world, model);
        let eager = |id: &Id| self.model.processes.get(id).is_some_and(|process| process.eager);
        let ended = model.ended.keys().copied().filter(eager);
        let ended: BTreeSet<Id> = ended.filter(|id| !self.model.ended.contains_key(id)).collect();
        expected.forget(&ended);
        got.forget(&ended);
        expected.differs(&got).map_or(Ok(()), Err)
    }

    /// Lets every process receive its leftover messages, shuts the runtime down, and checks that
    /// nothing is left.
    async fn epilogue(&mut self) -> Result<(), Mismatch> {
        let live = self.model.processes.keys().copied().enumerate();
        let op = Op::Receive(Take::All);
        let last =
            live.map(|(n, by)| Command { id: EPILOGUE + n as Id, by, pause: 0, busy: 0, op });
        self.batch(&last.collect()).await?;
        let rt = &self.world.rt;
        let (expected, got) = (self.model.processes.len(), rt.shutdown());
        if expected != got {
            return Err(format!("shutdown: expected {expected} signalled, got {got}"));
        }
        settle().await;
        let late = rt.spawn(|_| async { panic!("a body that ran after the shutdown") });
        let late = late.join().await;
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let empty = rt.leftovers() == Leftovers::default() && rt.spawned() == rt.finished();
        if !empty || tasks != 0 || late != ExitReason::Killed {
            return Err(format!(
                "after the shutdown: {:?}, {} spawned, {} finished, {tasks} tasks, {late:?}",
                rt.leftovers(),
                rt.spawned(),
                rt.finished(),
            ));
        }
        Ok(())
    }

    #[cfg(regrow_proof)]
    fn last_events(&self) -> String {
        let trace = self.world.rt.trace();
        let last = &trace[trace.len().saturating_sub(40)..];
        last.iter().fold("last events:\n".into(), |text, line| {
            format!("{text}  {} {:?}\n", line.seq, line.event)
        })
    }

    #[cfg(not(regrow_proof))]
    fn last_events(&self) -> String {
        String::new()
    }
}

/// Waits until every task is idle: paused time advances only then.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(SETTLE)).await;
}

/// Runs the commands and the process ends in the recorded order.
fn replay(model: &mut Model, batch: &Batch, steps: &[Step]) {
    for step in steps {
        match *step {
            Step::Ran(id) => batch.iter().filter(|c| c.id == id).for_each(|c| model.run(c)),
            Step::Died(id) => model.die(id),
        }
    }
}

/// Returns whether each process has its own commands in the same sequence in both lists.
fn keeps_turns(told: &[Command], order: &[Command]) -> bool {
    let of = |by: Id, all: &[Command]| -> Vec<Id> {
        all.iter().filter(|c| c.by == by).map(|c| c.id).collect()
    };
    told.iter().all(|command| of(command.by, told) == of(command.by, order))
}

/// Returns all orders of a batch.
fn permutations(batch: &[Command]) -> Vec<Batch> {
    if batch.is_empty() {
        return vec![Batch::new()];
    }
    let mut all = Vec::new();
    for (at, &first) in batch.iter().enumerate() {
        let rest = [&batch[..at], &batch[at + 1..]].concat();
        for mut order in permutations(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

/// Formats the batch for a failure report.
pub(crate) fn show(batch: &[Command]) -> String {
    let mut text = String::new();
    for (nth, Command { id, by, pause, busy, op }) in batch.iter().enumerate() {
        let together = if nth == 0 { " " } else { "|" };
        let by = if *by == OUTSIDE { "outside".into() } else { format!("#{by}") };
        let _ = writeln!(text, "{together} {id:>3} {by} (pause {pause}, busy {busy}): {op:?}");
    }
    text
}
