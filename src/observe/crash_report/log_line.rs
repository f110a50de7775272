//! The line of a crash report in the log: target `regrow::crash`, level WARN. Each field is on one
//! line.

use tracing::{Level, enabled, warn};

use crate::base::{PAGE, excerpt, ignore_panic, path_excerpt};
use crate::exit::WithCauses;
use crate::observe::crash_report::{CrashReport, CrashedChild};

const TARGET: &str = "regrow::crash";

/// Whether a subscriber is interested in the line. A subscriber that panics is not.
pub(crate) fn is_wanted() -> bool {
    let mut wanted = false;
    ignore_panic(|| wanted = enabled!(target: TARGET, Level::WARN));
    wanted
}

/// Writes the line. A panic of the subscriber is discarded.
pub(crate) fn write(report: &CrashReport) {
    ignore_panic(|| {
        let child = report.child.as_ref();
        let location = report.reason.crash().and_then(|crash| crash.location());
        warn!(
            target: TARGET,
            path = %path_excerpt(&report.path),
            pid = %report.pid,
            cause = %report.cause,
            reason = %excerpt(WithCauses(&report.reason), PAGE),
            at = location.map(|location| excerpt(location, PAGE)).map(display),
            handling = report.handling.map(display),
            state = report.machine.as_ref().map(|machine| display(excerpt(machine, PAGE))),
            incarnation = child.map(|child| child.incarnation),
            uptime = child.map(|child| display(format!("{:.1?}", child.uptime))),
            history = child.map(|child| child.past().collect::<Vec<_>>().join("; ")),
            child = child.map(CrashedChild::spec_text),
            mailbox = report.mailbox_depth,
            links = report.links_text(),
            ancestors = report.ancestors_text(),
            left_out = report.left_out,
            "crash report"
        );
    });
}
