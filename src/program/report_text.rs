//! Formats the report of a stop as a text of bounded length.
//!
//! A report of up to [`ROWS`] children has a row for each child. A longer report has a line for
//! each supervisor with the counts of its children's outcomes, and then a row for each child that
//! did not stop cleanly. The children that held up the stop come first. The numbers of lines and
//! rows are limited. [`StopReport::children`] has all children.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::{SENTENCE, excerpt, path_excerpt};
use crate::program::{StopOutcome, StopReport, StoppedChild};

/// The largest number of children that have a row each.
const ROWS: usize = 32;

/// In a longer report, the largest number of supervisors that have a line.
const SUPERVISORS: usize = 12;

/// In a longer report, the largest number of children that have a row.
const NAMED: usize = 24;

/// Returns the rank of an outcome, and its name in a summary. A longer report shows supervisors and
/// children in the order of these ranks: the outcomes that hold up a stop come first.
fn kind(outcome: &StopOutcome) -> (u8, &'static str) {
    match outcome {
        StopOutcome::NotYielding => (0, "never awaited"),
        StopOutcome::LeftBehind => (1, "left behind"),
        StopOutcome::Killed => (2, "overran their time"),
        StopOutcome::NotStarted(_) => (3, "not started"),
        StopOutcome::Stopped(reason) if !reason.is_clean() => (4, "failed"),
        StopOutcome::HeldUp(_) => (5, "held up by their children"),
        StopOutcome::NotAsked(_) => (6, "not asked"),
        StopOutcome::KilledAtOnce => (7, "killed at once"),
        StopOutcome::Stopped(_) => (8, "stopped"),
    }
}

impl StopReport {
    /// Returns the children that did not stop cleanly, those that held up the stop first.
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
    let width = children.clone().map(|child| shown(child).chars().count()).max().unwrap_or(0);
    for child in children {
        let StoppedChild { pid, outcome, doing, took, .. } = child;
        let (path, outcome) = (shown(child), excerpt(outcome, SENTENCE));
        write!(f, "\n  {path:width$}  {pid:>6}  {took:>8.1?}  {outcome}")?;
        if let Some(doing) = doing {
            write!(f, ": it was {doing}")?;
        }
    }
    Ok(())
}

/// Writes a line for each supervisor; supervisors of children that held up the stop come first.
fn summaries(f: &mut fmt::Formatter<'_>, children: &[StoppedChild]) -> fmt::Result {
    let mut all: BTreeMap<&str, BTreeMap<_, usize>> = BTreeMap::new();
    for child in children {
        let supervisor = child.path.rsplit_once('/').map_or("", |(supervisor, _)| supervisor);
        *all.entry(supervisor).or_default().entry(kind(&child.outcome)).or_default() += 1;
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, counts)| counts.keys().next().copied());
    for (supervisor, counts) in all.iter().take(SUPERVISORS) {
        let supervisor = path_excerpt(supervisor);
        write!(f, "\n  {supervisor}: {} children", counts.values().sum::<usize>())?;
        for ((_, kind), count) in counts.iter().rev() {
            write!(f, ", {count} {kind}")?;
        }
    }
    more(f, all.len().saturating_sub(SUPERVISORS), "supervisors")
}

fn more(f: &mut fmt::Formatter<'_>, count: usize, what: &str) -> fmt::Result {
    if count == 0 { Ok(()) } else { write!(f, "\n  and {count} more {what}") }
}
