//! Pictures and changes as text, for people: one line for a node or a change.
//!
//! Control characters in texts of users are escaped, and long texts are cut, as in a
//! [`TreeSnapshot`](crate::TreeSnapshot).

use std::fmt;
use std::time::Duration;

use crate::base::{PAGE, Pid, SENTENCE, SharedStr, TimeOfDay, excerpt, name};
use crate::observation::{ChildEvent, Observed, Picture, PictureNode, PictureState, Sample, Wait};
use crate::observe::{Change, ChangeKind, ExitClass, Health};

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Observed::Picture(picture) => picture.fmt(f),
            Observed::Change(change) => change.fmt(f),
            Observed::Sample(sample) => sample.fmt(f),
            Observed::Missed(missed) => write!(f, "{} changes were missed", missed.changes),
        }
    }
}

/// Displays a line for each node: path, strategy, pid, and the facts.
impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |node| line(node, self.time);
        let lines: Vec<[String; 4]> = self.nodes.iter().map(line).collect();
        let width = |column: usize| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        };
        let [path, kind, pid] = [0, 1, 2].map(width);
        for (at, line) in lines.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            let [of_path, of_kind, of_pid, facts] = line;
            let text = format!("{of_path:path$}  {of_kind:kind$}  {of_pid:pid$}  {facts}");
            write!(f, "{end}{}", text.trim_end())?;
        }
        Ok(())
    }
}

fn line(node: &PictureNode, now: TimeOfDay) -> [String; 4] {
    let kind = node.supervision.as_ref().map_or("", |supervision| supervision.strategy);
    let pid = node.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let facts = facts(node, now).join("  ");
    [excerpt(&node.path, PAGE).to_string(), kind.to_owned(), pid, facts]
}

fn facts(node: &PictureNode, now: TimeOfDay) -> Vec<String> {
    let mut facts = vec![node.state.to_string()];
    facts.extend(node.deadline.map(|deadline| killed(deadline, now)));
    if node.health != Health::Ready {
        facts.push(node.health.to_string());
    }
    if let Some(supervision) = &node.supervision {
        if let Some(budget) = supervision.budget {
            facts.push(format!("{} of {} restarts left", budget.left, budget.restarts));
        }
        if let Some(folded) = supervision.folded {
            let (all, running) = (folded.children, folded.running);
            facts
                .push(format!("{all} children, {running} running, {} unhealthy", folded.unhealthy));
        }
    }
    if node.restarts > 0 {
        facts.push(format!("{} restarts", node.restarts));
    }
    if let Some(last) = node.history.last() {
        facts.push(format!("last: {}", excerpt(last.incarnation.reason.with_causes(), SENTENCE)));
    }
    if let Some(queued) = node.mailbox.queued.filter(|queued| *queued > 0) {
        facts.push(format!("{queued} queued"));
    }
    facts
}

/// Displays the state as a word, as the JSON of an observation has it.
impl fmt::Display for PictureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PictureState {
    pub(super) fn name(self) -> &'static str {
        match self {
            PictureState::Starting => "starting",
            PictureState::Running => "running",
            PictureState::Restarting => "restarting",
            PictureState::Stopping => "stopping",
            PictureState::Stopped => "stopped",
            PictureState::GivenUp => "given_up",
            PictureState::Ended => "ended",
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sample: {} mailboxes changed", self.processes.len())?;
        self.processes.iter().try_for_each(|process| {
            let queued = process.mailbox.queued.unwrap_or(0);
            write!(f, "; {} {} {queued} queued", excerpt(&process.path, PAGE), process.pid)
        })?;
        self.waits.waits.iter().try_for_each(|wait| write!(f, "; {wait}"))?;
        match self.waits.left_out {
            0 => Ok(()),
            more => write!(f, "; {more} more waits"),
        }
    }
}

/// Displays both processes, each with its path and its pid.
impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |path: &Option<SharedStr>, pid: Pid| match path {
            Some(path) => format!("{} {pid}", excerpt(path, PAGE)),
            None => pid.to_string(),
        };
        let caller = of(&self.caller_path, self.caller);
        write!(f, "{caller} waits for {}", of(&self.server_path, self.server))
    }
}

/// Displays the path, the pid, the kind and its facts on one line.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", excerpt(&self.path, PAGE))?;
        if let Some(pid) = self.pid {
            write!(f, " {pid}")?;
        }
        write!(f, " {}", self.kind)?;
        let (ChangeKind::Stopping { deadline } | ChangeKind::HoldsStop { deadline }) = self.kind
        else {
            return Ok(());
        };
        deadline.map_or(Ok(()), |at| write!(f, ", {}", killed(at, self.time)))
    }
}

/// Displays the pid, the kind and its facts on one line.
impl fmt::Display for ChildEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pid.map_or(Ok(()), |pid| write!(f, "{pid} "))?;
        self.kind.fmt(f)
    }
}

/// Says when a process that stops is killed.
fn killed(deadline: TimeOfDay, now: TimeOfDay) -> String {
    match deadline.since(now) {
        Duration::ZERO => "to be killed now".to_owned(),
        left => format!("killed in {left:.1?}"),
    }
}

impl ChangeKind {
    /// Returns the kind as a word, as the JSON of an observation has it: `"start_failed"` for
    /// example. [`Observation`](crate::Observation) has an example.
    pub fn name(&self) -> &'static str {
        match self {
            ChangeKind::Added { .. } => "added",
            ChangeKind::Starting { .. } => "starting",
            ChangeKind::Started { .. } => "started",
            ChangeKind::StartFailed { .. } => "start_failed",
            ChangeKind::Ended { .. } => "ended",
            ChangeKind::Restarting { .. } => "restarting",
            ChangeKind::Waiting { .. } => "waiting",
            ChangeKind::Stopped => "stopped",
            ChangeKind::GivenUp => "given_up",
            ChangeKind::LimitReached { .. } => "limit_reached",
            ChangeKind::Removed => "removed",
            ChangeKind::GaveUp { .. } => "gave_up",
            ChangeKind::Ending => "ending",
            ChangeKind::Stopping { .. } => "stopping",
            ChangeKind::HoldsStop { .. } => "holds_stop",
            ChangeKind::ShutdownFailed { .. } => "shutdown_failed",
            ChangeKind::Health { .. } => "health",
            ChangeKind::SlowHandler { .. } => "slow_handler",
            ChangeKind::Deadlock { .. } => "deadlock",
            ChangeKind::Control { .. } => "control",
        }
    }
}

/// Displays the name of the kind and its facts on one line.
impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            ChangeKind::StartFailed { reason }
            | ChangeKind::LimitReached { reason }
            | ChangeKind::GaveUp { reason, .. } => {
                write!(f, ": {}", excerpt(reason.with_causes(), SENTENCE))
            }
            ChangeKind::Ended { reason, uptime, .. } => {
                let (class, text) =
                    (ExitClass::of(reason), excerpt(reason.with_causes(), SENTENCE));
                write!(f, " ({class}) after {uptime:.1?}: {text}")
            }
            ChangeKind::Restarting { attempt, delay, budget_left, .. } => {
                write!(f, ", restart {attempt}")?;
                if !delay.is_zero() {
                    write!(f, ", delayed by {delay:.1?}")?;
                }
                budget_left.map_or(Ok(()), |left| write!(f, ", {left} more allowed"))
            }
            ChangeKind::Waiting { retry_in: Some(wait) } => write!(f, ", next try in {wait:.1?}"),
            ChangeKind::ShutdownFailed { reason, overran } => {
                write!(f, ": {}", excerpt(reason.with_causes(), SENTENCE))?;
                overran.map_or(Ok(()), |doing| write!(f, ", it overran its time, {doing}"))
            }
            ChangeKind::Started { health, .. } | ChangeKind::Health { health } => {
                write!(f, ": {health}")
            }
            ChangeKind::SlowHandler { callback, elapsed } => {
                write!(f, ": {callback} for {elapsed:.1?}")
            }
            ChangeKind::Deadlock { cycle } => cycle.iter().enumerate().try_for_each(|(at, pid)| {
                write!(f, "{}{pid}", if at == 0 { ": " } else { " -> " })
            }),
            ChangeKind::Control { action, caller, outcome } => {
                write!(f, ": {action} by {}: {outcome}", name(caller))
            }
            _ => Ok(()),
        }
    }
}
