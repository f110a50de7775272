//! The outcome of a run in the log and on standard error.
//!
//! The target of the events is `regrow::run`. An event of a stop has the fields `cause`, `took`,
//! `forced` and `children`. If the stop was not clean, the event also has `unclean`, the number of
//! children that did not stop cleanly, and `first`, the outcomes of the first five of them. An
//! event of a failed run has the field `error`. An event of a process that ends without a stop has
//! the fields `cause`, `took` and `children`.
//!
//! | event | level |
//! |---|---|
//! | stopped | INFO |
//! | stopped, but not cleanly | WARN |
//! | the tree did not start; gave up; ended | ERROR |
//! | ended without a stop: no thread was free to run async code | ERROR |
//! | a blocking job was left behind at the end of a [`Program`](crate::Program) | WARN |

use std::io::Write;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::base::{ErrorChain, PAGE, SENTENCE, excerpt, ignore_panic, path_excerpt};
use crate::program::{RunError, StopReport};

/// The maximum number of unclean children that the log names.
const NAMED_CHILDREN: usize = 5;

/// Logs the outcome of a run.
pub(super) fn log_outcome(outcome: &Result<StopReport, RunError>) {
    ignore_panic(|| match outcome {
        Ok(report) => log_report(report),
        Err(error) => {
            error!(target: "regrow::run", error = %excerpt(ErrorChain(error), PAGE), "the run failed");
        }
    });
}

fn log_report(report: &StopReport) {
    let StopReport { cause, took, forced, children } = report;
    let children = children.len();
    if report.is_clean() {
        info!(target: "regrow::run", %cause, ?took, forced, children, "stopped");
        return;
    }
    let all = report.unclean();
    let (unclean, first) = (all.len(), all.iter().take(NAMED_CHILDREN));
    let first = first.map(|child| {
        let path = path_excerpt(&child.path);
        format!("{path} {}", excerpt(&child.outcome, SENTENCE))
    });
    let first = first.collect::<Vec<_>>().join("; ");
    warn!(
        target: "regrow::run", %cause, ?took, forced, children, unclean, first,
        "stopped, but not cleanly"
    );
}

/// Logs and prints the report of a program that the watchdog ends, because none of its async code
/// runs any more.
pub(super) fn report_forced_exit(report: &StopReport) {
    let StopReport { cause, took, children, .. } = report;
    ignore_panic(|| {
        error!(
            target: "regrow::run", %cause, ?took, children = children.len(),
            "the process ends without a stop: tokio runs no async code any more"
        );
    });
    print_to_stderr(&format!(
        "{report}\nno thread of tokio runs async code any more: the process is ended"
    ));
}

/// Logs and prints that blocking jobs were still running at the end of tokio's shutdown.
pub(super) fn report_blocked_jobs(waited: Duration) {
    let text =
        format!("a blocking job had not ended {waited:.1?} after the stop, and is left behind");
    ignore_panic(|| warn!(target: "regrow::run", ?waited, "a blocking job is left behind"));
    print_to_stderr(&text);
}

/// Writes a line to standard error. Ignores an error of the write.
pub(super) fn print_to_stderr(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
