//! What the log is told of the outcome of a run.
//!
//! Target `regrow::run`; fields `cause`, `took`, `forced`, `children`; where not all were clean also
//! `unclean`, how many, and `first`, the first of them; of a run that failed `error`.
//!
//! | line | level |
//! |---|---|
//! | stopped | INFO |
//! | stopped, but not cleanly | WARN |
//! | the tree did not start; gave up; ended | ERROR |
//! | ended without a stop: no thread was free to run async code | ERROR |

use std::io::Write;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::base::catch::ignore_panic;
use crate::base::error_chain::ErrorChain;
use crate::base::one_line::{PAGE, SENTENCE, excerpt, path_excerpt};
use crate::program::error::RunError;
use crate::program::stop_report::StopReport;

/// So many of the children that held up a stop are named in the log.
const NAMED: usize = 5;

/// Tells how a run went.
pub(super) fn tell(outcome: &Result<StopReport, RunError>) {
    ignore_panic(|| match outcome {
        Ok(report) => stopped(report),
        Err(error) => {
            error!(target: "regrow::run", error = %excerpt(ErrorChain(error), PAGE), "the run failed");
        }
    });
}

fn stopped(report: &StopReport) {
    let StopReport { cause, took, forced, children } = report;
    let children = children.len();
    if report.is_clean() {
        info!(target: "regrow::run", %cause, ?took, forced, children, "stopped");
        return;
    }
    let all = report.unclean();
    let (unclean, first) = (all.len(), all.iter().take(NAMED));
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

/// Tells of a process that ends because no async code of it runs any more.
pub(super) fn tell_left_behind(report: &StopReport) {
    let StopReport { cause, took, children, .. } = report;
    ignore_panic(|| {
        error!(
            target: "regrow::run", %cause, ?took, children = children.len(),
            "the process ends without a stop: tokio runs no async code any more"
        );
    });
    say(&format!("{report}\nno thread of tokio runs async code any more: the process is ended"));
}

/// Tells what tokio left behind when it was shut down.
pub(super) fn tell_blocked(waited: Duration) {
    let text =
        format!("a blocking job had not ended {waited:.1?} after the stop, and is left behind");
    ignore_panic(|| warn!(target: "regrow::run", ?waited, "a blocking job is left behind"));
    say(&text);
}

/// Writes to standard error, if that can be written to.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
