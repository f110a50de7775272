//! Seeded chaos: runs a tree of the user on a paused clock, with faults that are drawn from a seed.
//!
//! * [`seeds`] has the seeds, and the environment variable that replaces them.
//! * [`plan`] has the settings, [`fault`] the kinds of faults; [`draw`] draws the faults of a seed.
//! * [`run`] runs one plan, and [`inject`] lets its faults happen. After each step, [`invariants`]
//!   shows the tree, as [`tree`] describes it, to the closures of the user. [`log`] writes down
//!   what happens.
//! * [`shrink`] repeats a failing run with fewer faults. [`failure`] makes the report.
//!
//! The faults themselves are carried out by `kernel::faults` and `driver`. The seeds of maps and of
//! jitter come from `base::random`, by the thread of the run.

use std::panic::Location;
use std::thread;

use crate::supervisor::SupervisorSpec;

mod seeds;
mod log;
mod fault;
mod draw;
mod tree;
mod failure;
mod invariants;
mod plan;
mod inject;
mod run;
mod shrink;

use failure::{FailureReport, Shrunk};
pub use fault::Fault;
pub use invariants::Verdict;
pub use plan::ChaosPlan;
use run::{Ran, Setup};
use seeds::Repeat;
pub use seeds::Seeds;
pub use tree::ChaosTree;

/// Runs a tree on a paused clock, once for each seed, with faults that are drawn from the seed:
/// children are killed, hang, start slowly and fail to start. Panics at the first seed whose run
/// breaks what `configure` demands.
///
/// `configure` sets which faults may happen and what must hold: see [`ChaosPlan`]. `spec` makes the
/// tree. For each run, `configure` is called first, and then `spec`; both on the thread of the run.
/// State that the tree and the invariants share must be made anew there.
///
/// A run has a thread, a tokio runtime with a paused clock, and a [`Runtime`](crate::Runtime) of
/// its own, so an hour of faults takes milliseconds, and a test calls this function in a plain
/// `#[test]`. The runs follow each other. A run ends when the last fault is over, all that is to
/// hold [eventually](ChaosPlan::eventually) holds, and all [workloads](ChaosPlan::workload) have
/// returned; then the tree is stopped.
///
/// # What a seed determines
///
/// The faults and their times; the order in which tokio polls the processes; the jitter of
/// backoffs, and the order of every map of this crate. So the same seed gives the same log, also in
/// another run of the program. Outside of it are threads and operating system processes, sockets
/// and files, `tokio::select!` without `biased`, and the clock, the random numbers and the order of
/// the hash maps of `std` and other crates. Such code may be part of the tree, but then a failure
/// may not repeat. The report of a failure says so: each failing plan is run a second time.
///
/// # The report of a failure
///
/// The message of the panic has the seed and what did not hold; the plan, shrunk to the faults that
/// the failure needs; the tree at that step; what has happened; and a line that repeats the shrunk
/// plan. That line sets the environment variable `REGROW_CHAOS` to a seed and the numbers of its
/// faults, as `7:2,5`; a seed alone is the whole plan. The variable replaces the seeds of each chaos
/// test that runs.
///
/// # Panics
///
/// If a run fails: an invariant does not hold in time, a workload or a last check fails, or the tree
/// does not start, ends by itself, or does not stop. Also if `spec` or `configure` panics, if the
/// environment variable has another form, or if no thread can be started.
///
/// A process that never awaits, or that is always ready, keeps a run from ending, because the
/// paused clock stands still.
///
/// OTP has no counterpart.
///
/// ```
/// use std::time::Duration;
/// use regrow::testing::chaos;
/// use regrow::{Name, Supervisor};
/// # use regrow::doc_counter::{Call, Cast, Counter};
/// # use regrow::GenServer;
///
/// const COUNTER: Name<Counter> = Name::new("counter");
///
/// // #[test]
/// let tree = || Supervisor::one_for_one().child(Counter::child(0).named(COUNTER).with_id("counter"));
/// let report = chaos(0..20, tree, |plan| {
///     plan.workload(|rt| async move {
///         let counter = rt.server(COUNTER);
///         for round in 1..=60 {
///             counter.cast(Cast::Add(1));
///             let count = counter.call_waiting(Call::Get, Duration::from_secs(30)).await;
///             // A crash loses what was counted, but nothing is counted twice.
///             if let Ok(count) = count {
///                 assert!(count <= round);
///             }
///             tokio::time::sleep(Duration::from_secs(1)).await;
///         }
///         Ok(())
///     });
///     plan.always(|tree| tree.snapshot().nodes().len() == 2);
///     plan.eventually(Duration::from_secs(5), |tree| tree.is_up());
/// });
/// assert_eq!(report.runs(), 20);
/// ```
#[track_caller]
pub fn chaos(
    seeds: impl Into<Seeds>,
    spec: impl Fn() -> SupervisorSpec + Sync,
    configure: impl Fn(&mut ChaosPlan) + Sync,
) -> ChaosReport {
    let setup = Setup { spec: &spec, configure: &configure };
    let caller = Location::caller();
    let mut report = ChaosReport::default();
    if let Some(repeat) = Repeat::from_environment() {
        let (planned, ran) = repeated(&setup, &repeat);
        report.add(passed(repeat.seed, caller, planned, ran, Shrunk::AsGiven));
        return report;
    }
    for seed in seeds.into().iter() {
        let ran = setup.run(seed, None);
        let planned = ran.faults.len();
        let (ran, shrunk) = shrink::shrink(&setup, seed, ran);
        report.add(passed(seed, caller, planned, ran, shrunk));
    }
    report
}

/// Runs what the environment asks for. Also returns the number of faults in the plan of the seed.
///
/// The whole plan runs first, because only that run tells which children its faults hit.
fn repeated(setup: &Setup<'_>, repeat: &Repeat) -> (usize, Ran) {
    let whole = setup.run(repeat.seed, None);
    let planned = whole.faults.len();
    let Some(numbers) = &repeat.faults else { return (planned, whole) };
    let mut faults = whole.faults;
    faults.retain(|fault| numbers.contains(&fault.number));
    (planned, setup.run(repeat.seed, Some(faults)))
}

/// Returns a run that has not failed. Panics with the report of a run that has.
#[track_caller]
fn passed(
    seed: u64,
    caller: &'static Location<'static>,
    planned: usize,
    ran: Ran,
    shrunk: Shrunk,
) -> Ran {
    let Ran { faults, log, failed } = ran;
    let Some(failed) = failed else { return Ran { faults, log, failed } };
    let whole = faults.len() == planned;
    let numbers = faults.iter().map(|fault| fault.number).collect();
    let repeat = Repeat { seed, faults: (!whole).then_some(numbers) };
    let repeat = repeat.command(thread::current().name());
    let report = FailureReport { seed, caller, failed, faults, planned, log, shrunk, repeat };
    panic!("{report}");
}

/// What the runs of [`chaos`](crate::testing::chaos()) that did not fail have done. `chaos` returns
/// it, and has an example.
#[derive(Debug, Clone, Default)]
pub struct ChaosReport {
    runs: usize,
    faults: usize,
    log: Vec<String>,
}

impl ChaosReport {
    /// The number of runs, one for each seed.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// The number of faults that have happened in all runs together.
    pub fn faults(&self) -> usize {
        self.faults
    }

    /// The log of the last run: one line for each fault and for each lifecycle event, with the
    /// seconds since the tree has started.
    pub fn log(&self) -> String {
        self.log.join("\n")
    }

    fn add(&mut self, ran: Ran) {
        self.runs += 1;
        self.faults += ran.faults.len();
        self.log = ran.log;
    }
}
