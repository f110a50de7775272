//! Seeded chaos: runs a tree on a paused clock, with faults at random times.

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
mod run;
mod shrink;

use failure::{FailureReport, Shrunk};
pub use fault::Fault;
pub use invariants::Verdict;
pub use plan::ChaosPlan;
use run::{Ran, Setup};
pub use seeds::Seeds;
use seeds::Repeat;
pub use tree::ChaosTree;

/// Runs a tree on a paused clock, once for each seed, with faults that are drawn from the seed.
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
