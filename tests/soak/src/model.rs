//! What a reader of changes knows of the tree, and which numbers it has received.
//!
//! The plain reader takes one picture before the load begins, and then receives each number: a gap is
//! a loss. A page gets a picture every few seconds, and no change that is in the picture already. So a
//! gap in its numbers is a loss, unless the change was made before the picture was received, and is
//! of a kind that a picture shows. A change that a picture should have had and had not is found when
//! the two models are compared.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::truth::Count;

/// How many changes the plain reader remembers, for the gaps of the page.
const REMEMBERED: usize = 20_000;

/// How far the clock may be set back between a change and a picture, in milliseconds.
const SLACK: u64 = 1_000;

/// The processes that run, by path and pid.
pub(crate) type Running = BTreeSet<(String, u64)>;

/// The milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// What one reader knows.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) running: Mutex<Running>,
    pub(crate) changes: Count,
    pub(crate) pictures: Count,
    pub(crate) samples: Count,
    /// What went wrong, the first few.
    faults: Mutex<Vec<String>>,
}

impl Model {
    /// Notes a change.
    pub(crate) fn change(&self, kind: &str, path: &str, pid: Option<u64>) {
        self.changes.add(1);
        let Some(pid) = pid else { return };
        let mut running = self.running.lock().expect("no holder panics");
        match kind {
            "started" => drop(running.insert((path.to_owned(), pid))),
            "ended" => drop(running.remove(&(path.to_owned(), pid))),
            _ => {}
        }
    }

    /// Notes a picture, with the processes that run in it.
    pub(crate) fn picture(&self, running: Running) {
        self.pictures.add(1);
        *self.running.lock().expect("no holder panics") = running;
    }

    pub(crate) fn fault(&self, fault: String) {
        let mut faults = self.faults.lock().expect("no holder panics");
        if faults.len() < 20 {
            eprintln!("fault: {fault}");
            faults.push(fault);
        }
    }

    pub(crate) fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.faults.lock().expect("no holder panics"))
    }
}

/// A change that the plain reader has received.
struct Entry {
    time_ms: u64,
    is_in_pictures: bool,
}

/// A change that the page has not received.
struct Gap {
    seq: u64,
    /// When the last picture before it was received.
    picture_ms: u64,
}

/// The last changes of the plain reader, and the gaps of the page that are still to be checked.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    last: u64,
    kept: VecDeque<Entry>,
    gaps: Vec<Gap>,
    left_out: u64,
    /// The gaps for which there was no room.
    unchecked: u64,
}

impl Ledger {
    /// Notes a change of the plain reader. Returns whether it follows the last one.
    pub(crate) fn received(&self, seq: u64, time_ms: u64, kind: &str) -> bool {
        let mut entries = self.0.lock().expect("no holder panics");
        let is_next = entries.last == 0 || seq == entries.last + 1;
        entries.last = seq;
        let events = [
            "restarting",
            "limit_reached",
            "gave_up",
            "shutdown_failed",
            "slow_handler",
            "deadlock",
        ];
        let is_in_pictures = !events.contains(&kind);
        entries.kept.push_back(Entry { time_ms, is_in_pictures });
        if entries.kept.len() > REMEMBERED {
            entries.kept.pop_front();
        }
        is_next
    }

    /// Notes that the page has not received these changes. Those for which there is no room are a
    /// fault at the next check.
    pub(crate) fn missing(&self, seqs: std::ops::Range<u64>, picture_ms: u64) {
        let mut entries = self.0.lock().expect("no holder panics");
        let free = REMEMBERED.saturating_sub(entries.gaps.len());
        let count = seqs.end.saturating_sub(seqs.start);
        entries.unchecked += count.saturating_sub(free as u64);
        entries.gaps.extend(seqs.map(|seq| Gap { seq, picture_ms }).take(free));
    }

    /// Describes the gaps that are still to be checked. After the end of the plain reader they are
    /// changes that it has not received.
    pub(crate) fn unchecked(&self) -> Option<String> {
        let open = self.0.lock().expect("no holder panics").gaps.len();
        (open > 0).then(|| format!("neither reader has received {open} changes"))
    }

    /// The number of gaps that a picture explains, since the start.
    pub(crate) fn left_out(&self) -> u64 {
        self.0.lock().expect("no holder panics").left_out
    }

    /// Checks the gaps of the page up to the last change of the plain reader. Returns the faults, each
    /// once.
    pub(crate) fn check(&self) -> Vec<String> {
        let mut entries = self.0.lock().expect("no holder panics");
        let (mut faults, mut open) = (Vec::new(), Vec::new());
        for gap in std::mem::take(&mut entries.gaps) {
            let Some(behind) = entries.last.checked_sub(gap.seq) else {
                open.push(gap);
                continue;
            };
            let at =
                usize::try_from(behind).ok().and_then(|b| entries.kept.len().checked_sub(b + 1));
            let entry = at.and_then(|at| entries.kept.get(at));
            if entry.is_some_and(|entry| {
                entry.is_in_pictures && entry.time_ms <= gap.picture_ms + SLACK
            }) {
                entries.left_out += 1;
            } else {
                faults.push(format!("the page has not received change {}", gap.seq));
            }
        }
        entries.gaps = open;
        match std::mem::take(&mut entries.unchecked) {
            0 => {}
            count => faults.push(format!("{count} changes that the page missed are not checked")),
        }
        faults
    }
}
