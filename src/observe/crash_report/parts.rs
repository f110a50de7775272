//! The parts of a crash report as texts of one line, for the log and for the text of a report.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::base::{PAGE, Pid, SENTENCE, excerpt, name, path_excerpt};
use crate::exit::Shutdown;
use crate::observe::crash_report::{CrashCause, CrashHandling, CrashReport, CrashedChild};
use crate::restart::Incarnation;
use crate::restart::policy::Restart;

impl CrashReport {
    /// The path, or the pid if there is nothing else.
    pub(super) fn subject(&self) -> String {
        match self.path.is_empty() {
            true => self.pid.to_string(),
            false => format!("{} {}", path_excerpt(&self.path), self.pid),
        }
    }

    pub(super) fn links_text(&self) -> String {
        let links: Vec<String> = self.links.iter().map(Pid::to_string).collect();
        match self.more_links {
            0 => links.join(" "),
            more => format!("{} and {more} more", links.join(" ")),
        }
    }

    pub(super) fn ancestors_text(&self) -> String {
        let shown = |ancestor: &super::Ancestor| match &ancestor.label {
            Some(label) => format!("{} {}", name(label), ancestor.pid),
            None => ancestor.pid.to_string(),
        };
        let ancestors: Vec<String> = self.ancestors.iter().map(shown).collect();
        excerpt(ancestors.join(", "), PAGE).to_string()
    }
}

impl Display for CrashCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CrashCause::Own => "crashed",
            CrashCause::Outside => "was ended from outside",
            CrashCause::Resumed => "failed and was resumed",
        })
    }
}

/// Displays the callback, the type of its message, and how long it ran.
impl Display for CrashHandling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.callback)?;
        if let Some(message_type) = self.message_type {
            write!(f, " of a {}", excerpt(message_type, SENTENCE))?;
        }
        self.elapsed.map_or(Ok(()), |elapsed| write!(f, " for {elapsed:.1?}"))
    }
}

impl CrashedChild {
    pub(super) fn spec_text(&self) -> String {
        let restart = match self.restart {
            Restart::Permanent => "permanent",
            Restart::Transient => "transient",
            Restart::Temporary => "temporary",
        };
        let backoff = match self.backoff {
            Some(backoff) => format!(", restarted after {}", backoff.range_text()),
            None => String::new(),
        };
        let budget = match self.budget {
            Some((restarts, period)) => format!(", {restarts} restarts in {period:?} allowed"),
            None => String::new(),
        };
        let policy = match self.policy {
            Some(policy) => format!(", after this failure: {policy}"),
            None => String::new(),
        };
        format!("{restart}, {}{backoff}{budget}{policy}", shutdown_text(self.shutdown))
    }

    /// The incarnations before this one, the latest first.
    pub(super) fn past(&self) -> impl Iterator<Item = String> {
        self.history.iter().rev().map(past)
    }
}

fn shutdown_text(shutdown: Shutdown) -> String {
    match shutdown {
        Shutdown::BrutalKill => "killed to stop".to_owned(),
        Shutdown::Timeout(Duration::MAX) | Shutdown::Infinity => "any time to stop".to_owned(),
        Shutdown::Timeout(grace) => format!("{grace:?} to stop"),
    }
}

fn past(incarnation: &Incarnation) -> String {
    let Incarnation { started, ended, reason, attempt, pid, .. } = incarnation;
    let number = u64::from(*attempt) + 1;
    let reason = excerpt(reason, SENTENCE);
    match pid {
        Some(_) => {
            let ran = ended.saturating_duration_since(*started);
            format!("incarnation {number} ran for {ran:.1?}: {reason}")
        }
        None => format!("incarnation {number} did not start: {reason}"),
    }
}
