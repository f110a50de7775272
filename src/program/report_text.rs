//! A report of a stop as a text of bounded length.
//!
//! Up to [`ROWS`] children are a row each. Of more than that each supervisor is one line, that
//! counts what became of its children; then come the children that did not stop as they should
//! have, those first that are to blame for it. All children are in [`StopReport::children`].

use std::collections::BTreeMap;
use std::fmt;

use crate::base::one_line::{SENTENCE, excerpt, path_excerpt};
use crate::program::stop_report::{StopOutcome, StopReport, StoppedChild};

/// So many children are shown one by one.
const ROWS: usize = 32;

/// Of more, so many supervisors are summarized.
const SUPERVISORS: usize = 12;

/// And so many children are named.
const NAMED: usize = 24;

/// What a summary calls an outcome, in the order in which children are named: those first that
/// held up the stop.
const KINDS: [&str; 9] = [
    "never awaited",
    "left behind",
    "overran their time",
    "not started",
    "failed",
    "held up by their children",
    "not asked",
    "killed at once",
    "stopped",
];

fn kind(outcome: &StopOutcome) -> usize {
    match outcome {
        StopOutcome::NotYielding => 0,
        StopOutcome::LeftBehind => 1,
        StopOutcome::Killed => 2,
        StopOutcome::NotStarted(_) => 3,
        StopOutcome::Stopped(reason) if !reason.is_clean() => 4,
        StopOutcome::HeldUp(_) => 5,
        StopOutcome::NotAsked(_) => 6,
        StopOutcome::KilledAtOnce => 7,
        StopOutcome::Stopped(_) => 8,
    }
}

impl StopReport {
    /// The children that did not stop as they should have, those first that are to blame.
    pub(super) fn unclean(&self) -> Vec<&StoppedChild> {
        let unclean = self.children.iter().filter(|child| !child.outcome.is_clean());
        let mut unclean: Vec<_> = unclean.collect();
        unclean.sort_by_key(|child| kind(&child.outcome));
        unclean
    }
}

impl fmt::Display for StopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, took, forced, children } = self;
        let how = if *forced { ", forced" } else { "" };
        write!(f, "stopped by {cause} in {took:.1?}{how}")?;
        if children.len() <= ROWS {
            return rows(f, children.iter());
        }
        summaries(f, children)?;
        let unclean = self.unclean();
        rows(f, unclean.iter().take(NAMED).copied())?;
        more(f, unclean.len().saturating_sub(NAMED), "that did not stop as they should have")
    }
}

fn rows<'a>(
    f: &mut fmt::Formatter<'_>,
    children: impl Iterator<Item = &'a StoppedChild> + Clone,
) -> fmt::Result {
    let shown = |child: &StoppedChild| path_excerpt(&child.path).to_string();
    let wide = children.clone().map(|child| shown(child).chars().count()).max().unwrap_or(0);
    for child in children {
        let StoppedChild { pid, outcome, doing, took, .. } = child;
        let (path, outcome) = (shown(child), excerpt(outcome, SENTENCE));
        write!(f, "\n  {path:wide$}  {pid:>6}  {took:>8.1?}  {outcome}")?;
        if let Some(doing) = doing {
            write!(f, ": it was {doing}")?;
        }
    }
    Ok(())
}

/// A line for each supervisor: those first whose children are to blame.
fn summaries(f: &mut fmt::Formatter<'_>, children: &[StoppedChild]) -> fmt::Result {
    let mut all: BTreeMap<&str, [usize; KINDS.len()]> = BTreeMap::new();
    for child in children {
        let supervisor = child.path.rsplit_once('/').map_or("", |(supervisor, _)| supervisor);
        all.entry(supervisor).or_default()[kind(&child.outcome)] += 1;
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, counts)| counts.iter().position(|count| *count > 0));
    for (supervisor, counts) in all.iter().take(SUPERVISORS) {
        let supervisor = path_excerpt(supervisor);
        write!(f, "\n  {supervisor}: {} children", counts.iter().sum::<usize>())?;
        for (count, kind) in counts.iter().zip(KINDS).rev().filter(|(count, _)| **count > 0) {
            write!(f, ", {count} {kind}")?;
        }
    }
    more(f, all.len().saturating_sub(SUPERVISORS), "supervisors")
}

fn more(f: &mut fmt::Formatter<'_>, count: usize, what: &str) -> fmt::Result {
    if count == 0 { Ok(()) } else { write!(f, "\n  and {count} more {what}") }
}
