//! How a run fails, and the text that says so.

use std::fmt;
use std::mem::{Discriminant, discriminant};
use std::panic::Location;
use std::time::Duration;

use crate::testing::chaos::fault::PlannedFault;
use crate::testing::chaos::log::Seconds;

/// How long the parts of a run may take that have no limit of their own.
pub(super) const LIMIT: Duration = Duration::from_secs(3600);

/// The number of lines of the log that a failure shows.
const SHOWN_LINES: usize = 60;

/// Why a run fails.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    Always { location: &'static Location<'static>, why: String },
    Eventually { location: &'static Location<'static>, within: Duration, why: String },
    NotStarted(String),
    Ended(String),
    Workload(String),
    WorkloadLate,
    Last(String),
    LastLate,
    NotStopped,
}

impl Failure {
    /// Two failures with equal keys are the same fault of the program.
    fn key(&self) -> (Discriminant<Failure>, Option<&'static Location<'static>>) {
        let location = match self {
            Failure::Always { location, .. } | Failure::Eventually { location, .. } => {
                Some(*location)
            }
            _ => None,
        };
        (discriminant(self), location)
    }

    pub(super) fn is_same(&self, other: &Failure) -> bool {
        self.key() == other.key()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |why: &str| match why {
            "" => String::new(),
            why => format!(": {why}"),
        };
        match self {
            Failure::Always { location, why } => {
                write!(f, "what holds always, at {location}, did not hold{}", because(why))
            }
            Failure::Eventually { location, within, why } => write!(
                f,
                "what holds eventually, at {location}, did not hold within {} s after the last \
                 fault was over{}",
                Seconds(*within),
                because(why)
            ),
            Failure::NotStarted(why) => write!(f, "the tree did not start{}", because(why)),
            Failure::Ended(why) => write!(
                f,
                "the tree ended by itself{}; if it may, call `ChaosPlan::may_end`",
                because(why)
            ),
            Failure::Workload(why) => write!(f, "a workload failed{}", because(why)),
            Failure::WorkloadLate => {
                f.write_str("a workload had not returned an hour after the last fault was over")
            }
            Failure::Last(why) => write!(f, "a last check failed{}", because(why)),
            Failure::LastLate => f.write_str("a last check took more than an hour"),
            Failure::NotStopped => f.write_str("the tree did not stop within an hour"),
        }
    }
}

/// A failure, when it happened, and the tree at that time.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) at: Duration,
    pub(super) tree: String,
}

/// All that is known about a failing seed. The text is the message of the panic of `chaos`.
pub(super) struct FailureReport {
    pub(super) seed: u64,
    pub(super) caller: &'static Location<'static>,
    pub(super) failed: Failed,
    /// The faults of the run that the report shows.
    pub(super) faults: Vec<PlannedFault>,
    /// The number of faults of the plan of the seed.
    pub(super) planned: usize,
    /// The log of the run that the report shows.
    pub(super) log: Vec<String>,
    pub(super) shrunk: Shrunk,
    pub(super) repeat: String,
}

/// What became of the attempt to shrink the plan.
pub(super) enum Shrunk {
    /// The plan is as small as it gets, after this number of runs.
    In(usize),
    /// The plan is the one that was asked for, and was not shrunk.
    AsGiven,
    /// A second run of the same plan went another way, so nothing can be shrunk. The line of the
    /// log in which the runs differ, and its text in each run.
    NotRepeatable { line: usize, first: String, second: String },
}

impl fmt::Display for FailureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FailureReport { seed, caller, failed, faults, planned, log, shrunk, repeat } = self;
        writeln!(f, "chaos at {caller}, seed {seed}: {}", failed.failure)?;
        match shrunk {
            Shrunk::In(runs) => writeln!(
                f,
                "\nthe plan, shrunk to {} of {planned} faults by {runs} runs:",
                faults.len()
            )?,
            Shrunk::AsGiven => writeln!(f, "\nthe plan, {} of {planned} faults:", faults.len())?,
            Shrunk::NotRepeatable { line, first, second } => write!(
                f,
                "\nnot shrunk, because the run does not repeat: a second run of the same plan \
                 differs in line {line} of its log\n  first:  {first}\n  second: {second}\nlook \
                 for threads, sockets, `select!` without `biased`, the clock and the hash maps of \
                 std, and state that outlives a run\n\nthe plan, {planned} faults:\n"
            )?,
        }
        for fault in faults {
            writeln!(f, "{:>9}  #{} {fault}", Seconds(fault.at), fault.number)?;
        }
        writeln!(f, "\nthe tree at {} s:\n{}", Seconds(failed.at), failed.tree)?;
        writeln!(f, "\nwhat happened:")?;
        let left_out = log.len().saturating_sub(SHOWN_LINES);
        if left_out > 0 {
            writeln!(f, "           … {left_out} lines before")?;
        }
        for line in &log[left_out..] {
            writeln!(f, "{line}")?;
        }
        write!(f, "\nrepeat it with\n  {repeat}")
    }
}
