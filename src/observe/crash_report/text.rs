//! The text of a crash report: several lines, for a person. Each line is escaped and cut.

use std::fmt::{self, Display};

use tokio::time::Instant;

use crate::base::error_chain::causes;
use crate::base::{PAGE, excerpt};
use crate::exit::Crash;
use crate::observe::crash_report::CrashReport;
use crate::observe::state_record::MachineStatus;

/// The number of lines that are shown of a backtrace.
const BACKTRACE_LINES: usize = 100;

/// Displays the report on several lines: what crashed and why on the first, then a line for each
/// fact.
impl Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.subject(), self.cause, excerpt(&self.reason, PAGE))?;
        let crash = self.reason.crash();
        if let Some(crash) = crash {
            origin(f, crash)?;
        }
        if let Some(handling) = &self.handling {
            row(f, "in", handling)?;
        }
        if let Some(machine) = &self.machine {
            machine_rows(f, machine, self.at)?;
        }
        if let Some(child) = &self.child {
            row(
                f,
                "life",
                format_args!("incarnation {}, up {:.1?}", child.incarnation, child.uptime),
            )?;
            child
                .past()
                .enumerate()
                .try_for_each(|(at, past)| row(f, if at == 0 { "before" } else { "" }, past))?;
            row(f, "child", child.spec_text())?;
        }
        row(f, "mailbox", format_args!("{} unhandled", self.mailbox_depth))?;
        if !self.links.is_empty() {
            row(f, "links", self.links_text())?;
        }
        if !self.ancestors.is_empty() {
            row(f, "below", self.ancestors_text())?;
        }
        if self.left_out > 0 {
            row(f, "left out", format_args!("{} reports before this one", self.left_out))?;
        }
        let backtrace = crash.and_then(Crash::backtrace).map(|backtrace| backtrace.to_string());
        let lines = backtrace.iter().flat_map(|text| text.lines()).take(BACKTRACE_LINES);
        lines.enumerate().try_for_each(|(at, line)| {
            row(f, if at == 0 { "backtrace" } else { "" }, excerpt(line, PAGE))
        })
    }
}

/// Writes the state, and the last changes, the latest first.
fn machine_rows(f: &mut fmt::Formatter<'_>, machine: &MachineStatus, at: Instant) -> fmt::Result {
    row(f, "state", excerpt(machine, PAGE))?;
    machine.past(at).collect::<Vec<_>>().into_iter().rev().enumerate().try_for_each(
        |(number, (ago, change))| {
            let title = if number == 0 { "changes" } else { "" };
            row(f, title, format_args!("{}, {ago:.1?} before", excerpt(change, PAGE)))
        },
    )
}

/// Writes the location of the crash and the causes of its error.
fn origin(f: &mut fmt::Formatter<'_>, crash: &Crash) -> fmt::Result {
    let causes = crash.error().map(|error| causes(error)).unwrap_or_default();
    for cause in causes {
        row(f, "because", excerpt(cause, PAGE))?;
    }
    crash.location().map_or(Ok(()), |location| row(f, "at", excerpt(location, PAGE)))
}

fn row(f: &mut fmt::Formatter<'_>, title: &str, text: impl Display) -> fmt::Result {
    write!(f, "\n  {title:<9} {text}")
}
