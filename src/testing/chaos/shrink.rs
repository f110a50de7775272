//! Shrinks the plan of a failing seed: removes every fault that the failure does not need.

use crate::testing::chaos::failure::{Failure, Shrunk};
use crate::testing::chaos::fault::{PlannedFault, Target};
use crate::testing::chaos::run::{Ran, Setup};

/// The most runs that shrinking one plan may take.
const MOST_RUNS: usize = 500;

/// Repeats a failing run, and removes faults while the run fails in the same way. Returns the last
/// failing run.
///
/// The faults hit the same children as in the first run. If the repeated run differs from the
/// first, nothing is removed.
pub(super) fn shrink(setup: &Setup<'_>, seed: u64, first: Ran) -> (Ran, Shrunk) {
    let Some(failed) = &first.failed else { return (first, Shrunk::In(0)) };
    let failure = failed.failure.clone();
    let again = setup.run(seed, Some(first.faults.clone()));
    if let Some(differs) = difference(&first, &again) {
        return (first, differs);
    }
    let mut search = Search { setup, seed, failure, runs: 1, best: first };
    search.remove_unreached();
    search.remove_chunks();
    (search.best, Shrunk::In(search.runs))
}

/// Where two runs of the same plan differ.
fn difference(first: &Ran, second: &Ran) -> Option<Shrunk> {
    let failure = |ran: &Ran| match &ran.failed {
        Some(failed) => format!("fails: {}", failed.failure),
        None => "does not fail".to_owned(),
    };
    let lines = |ran: &Ran| ran.log.iter().cloned().chain([failure(ran)]).collect::<Vec<_>>();
    let (first, second) = (lines(first), lines(second));
    if first == second {
        return None;
    }
    let most = first.len().max(second.len());
    let line = (0..most).find(|at| first.get(*at) != second.get(*at)).unwrap_or(0);
    let at = |lines: &[String]| lines.get(line).map_or("(none)", |line| line.trim()).to_owned();
    Some(Shrunk::NotRepeatable { line: line + 1, first: at(&first), second: at(&second) })
}

struct Search<'a> {
    setup: &'a Setup<'a>,
    seed: u64,
    failure: Failure,
    runs: usize,
    /// The failing run with the fewest faults.
    best: Ran,
}

impl Search<'_> {
    /// Runs these faults. Keeps the run if it fails in the same way.
    fn fails_with(&mut self, faults: Vec<PlannedFault>) -> bool {
        self.runs += 1;
        let ran = self.setup.run(self.seed, Some(faults));
        let is_same = |failed: &_| self.failure.is_same(failed);
        let fails = ran.failed.as_ref().is_some_and(|failed| is_same(&failed.failure));
        if fails {
            self.best = ran;
        }
        fails
    }

    /// Removes the faults that had not happened at the failure, and those that hit no child.
    fn remove_unreached(&mut self) {
        let mut faults = self.best.faults.clone();
        faults.retain(|fault| matches!(fault.target, Target::Path(_)));
        if faults.len() < self.best.faults.len() {
            self.fails_with(faults);
        }
    }

    /// Removes chunks, first large ones, then single faults, until no fault can be removed.
    fn remove_chunks(&mut self) {
        let mut chunk = self.best.faults.len();
        while chunk > 0 && self.runs < MOST_RUNS {
            let (mut at, before) = (0, self.best.faults.len());
            while at < self.best.faults.len() && self.runs < MOST_RUNS {
                let mut fewer = self.best.faults.clone();
                fewer.drain(at..(at + chunk).min(fewer.len()));
                if !self.fails_with(fewer) {
                    at += chunk;
                }
            }
            // The removal of one fault may make another one needless.
            let removed = self.best.faults.len() < before;
            if chunk > 1 || !removed {
                chunk /= 2;
            }
        }
    }
}
