//! What has happened, newest first.

use std::collections::{HashSet, VecDeque};

use crate::model::fields::Fields;
use crate::model::node::{Run, Tone, tone_of};

/// How many entries are kept.
const KEPT: usize = 1000;

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Entry {
    pub(crate) time_ms: u64,
    /// The kind of the change, by its name in the observation format.
    pub(crate) kind: String,
    pub(crate) path: String,
    pub(crate) pid: Option<u64>,
    pub(crate) supervisor: Option<u64>,
    pub(crate) reason: Option<String>,
    pub(crate) class: String,
    pub(crate) place: Option<String>,
    pub(crate) uptime_ms: Option<u64>,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) attempt: Option<u64>,
    pub(crate) budget_left: Option<u64>,
    /// Whether the program has a backtrace of the crash.
    pub(crate) has_backtrace: bool,
    /// Further facts of the change, in words.
    pub(crate) text: Option<String>,
}

impl Entry {
    /// Reads a change.
    pub(crate) fn of_change(change: Fields) -> Self {
        Entry {
            time_ms: change.number("time_ms").unwrap_or(0),
            kind: change.text("change"),
            path: change.text("path"),
            pid: change.number("pid"),
            supervisor: change.number("supervisor"),
            reason: change.some_text("reason"),
            class: change.text("class"),
            place: change.some_text("place"),
            uptime_ms: change.number("uptime_ms"),
            delay_ms: change.number("delay_ms"),
            attempt: change.number("attempt"),
            budget_left: change.number("budget_left"),
            has_backtrace: change.is("backtrace"),
            text: words(change),
        }
    }

    /// Reads an incarnation that has ended, from the history of a node in a picture.
    pub(crate) fn of_run(path: &str, supervisor: Option<u64>, run: &Run) -> Self {
        Entry {
            time_ms: run.ended_ms,
            kind: "ended".to_owned(),
            path: path.to_owned(),
            pid: run.pid,
            supervisor,
            reason: Some(run.reason.clone()),
            class: run.class.clone(),
            place: run.place.clone(),
            uptime_ms: run.started_ms.map(|started| run.ended_ms.saturating_sub(started)),
            delay_ms: run.delay_ms,
            has_backtrace: run.has_backtrace,
            ..Entry::default()
        }
    }

    /// Returns the word that is shown for the kind of this entry, and its tone.
    pub(crate) fn word(&self) -> (&str, Tone) {
        match &*self.kind {
            "started" => ("started", Tone::Good),
            "start_failed" => ("start failed", Tone::Bad),
            "ended" if self.class == "normal" || self.class.is_empty() => ("ended", Tone::Plain),
            "ended" => (&self.class, tone_of(&self.class)),
            "restarting" => ("restarting", Tone::Warn),
            "given_up" => ("given up", Tone::Bad),
            "limit_reached" => ("limit", Tone::Bad),
            "gave_up" => ("gave up", Tone::Bad),
            "ending" => ("stopping", Tone::Warn),
            "shutdown_failed" => ("bad stop", Tone::Bad),
            "health" => ("health", Tone::Warn),
            "slow_handler" => ("slow", Tone::Warn),
            "deadlock" => ("deadlock", Tone::Bad),
            "control" => ("control", Tone::Strong),
            other => (other, Tone::Plain),
        }
    }

    fn is_end_of(&self, pid: u64) -> bool {
        self.kind == "ended" && self.pid == Some(pid)
    }

    pub(crate) fn is_failure(&self) -> bool {
        tone_of(&self.class) == Tone::Bad || self.word().1 == Tone::Bad
    }

    pub(crate) fn contains(&self, filter: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(filter);
        has(&self.path) || self.reason.as_deref().is_some_and(has) || has(self.word().0)
    }
}

/// Returns the facts of a change other than its reason, in words.
fn words(change: Fields) -> Option<String> {
    let text = match change.str("change")? {
        "health" => match change.str("health_text") {
            Some(text) => format!("{}: {text}", change.text("health")),
            None => change.text("health"),
        },
        "slow_handler" => {
            format!("{} for {} ms", change.text("callback"), change.number("elapsed_ms")?)
        }
        "deadlock" => {
            let cycle: Vec<_> =
                change.numbers("cycle").iter().map(|pid| format!("#{pid}")).collect();
            format!("waits in a circle: {}", cycle.join(" → "))
        }
        "gave_up" => format!("because of {}", change.text("child")),
        "shutdown_failed" => {
            let what = if change.is("overran") { "overran its time" } else { "failed" };
            format!("{what} {}", change.text("doing")).trim_end().to_owned()
        }
        "control" => {
            let by = change.str("caller").map_or(String::new(), |caller| format!(" by {caller}"));
            let outcome = change.str("outcome").map_or(String::new(), |what| format!(": {what}"));
            let level = change.str("level").map_or(String::new(), |level| format!(" {level}"));
            format!("{}{level}{by}{outcome}", change.text("action"))
        }
        _ => return None,
    };
    Some(text)
}

/// Returns whether a change of this kind becomes an entry of the history.
pub(crate) fn is_recorded(kind: &str) -> bool {
    let kinds = [
        "started",
        "start_failed",
        "ended",
        "restarting",
        "given_up",
        "limit_reached",
        "gave_up",
        "ending",
        "shutdown_failed",
        "health",
        "slow_handler",
        "deadlock",
        "control",
    ];
    kinds.contains(&kind)
}

/// The entries. The end of a process may arrive several times: first as a change, and again in
/// later pictures. It is added once.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) entries: VecDeque<Entry>,
    /// The pids whose end is among the entries.
    known: HashSet<u64>,
}

impl History {
    pub(crate) fn add(&mut self, entry: Entry) {
        if entry.kind == "ended"
            && let Some(pid) = entry.pid
            && !self.known.insert(pid)
        {
            // A picture says whether the program has a backtrace of the crash. The change that
            // reported the end may have been sent before the program had the backtrace.
            if entry.has_backtrace
                && let Some(known) = self.entries.iter_mut().find(|known| known.is_end_of(pid))
            {
                known.has_backtrace = true;
            }
            return;
        }
        let at = self.entries.iter().take_while(|other| other.time_ms > entry.time_ms).count();
        if at >= KEPT {
            return;
        }
        self.entries.insert(at, entry);
        self.entries.truncate(KEPT);
        // Removes the pids of ends that are no longer among the entries. Such an end is older than
        // all entries, so it would not be added again.
        if self.known.len() > 10 * KEPT {
            let ends = self.entries.iter().filter(|entry| entry.kind == "ended");
            self.known = ends.filter_map(|entry| entry.pid).collect();
        }
    }

    /// Forgets the pids and the backtraces, because the URL belongs to another program now. The
    /// same pids identify other processes there.
    pub(crate) fn forget_pids(&mut self) {
        self.known.clear();
        self.entries.iter_mut().for_each(|entry| entry.has_backtrace = false);
    }
}
