//! The rows of each screen. Only the visible rows are made. This module does not depend on the
//! terminal.

use std::ops::Range;

use crate::model::{Model, Node};
use crate::row::Row;
use crate::shown::Shown;
use crate::view::{Chosen, Goal, Screen, View};

pub(crate) mod outline;
mod tree;
mod history;
mod process;
mod pressure;
mod stopping;
pub(crate) mod frame;
#[cfg(test)]
mod tests;

use outline::Outline;

/// The input of a screen.
pub(crate) struct Seen<'a> {
    pub(crate) model: &'a Model,
    pub(crate) view: &'a View,
    /// The time, by the clock of the program.
    pub(crate) now_ms: u64,
    pub(crate) width: usize,
}

impl Seen<'_> {
    /// Returns the duration from this time of the program until now.
    fn since(&self, ms: u64) -> Shown {
        Shown::span(self.now_ms.saturating_sub(ms))
    }
}

/// A row, and what Enter on the row opens.
pub(crate) struct Line {
    pub(crate) row: Row,
    pub(crate) goal: Option<Goal>,
}

/// The rows of a screen.
pub(crate) struct Page {
    /// The row with the names of the columns.
    pub(crate) head: Option<Row>,
    pub(crate) total: usize,
    /// The rows within the window.
    pub(crate) lines: Vec<Line>,
    /// The text of a screen without rows.
    pub(crate) empty: Shown,
}

impl Page {
    /// Returns a page whose rows are all made. Only for screens with few rows.
    fn of(lines: Vec<Line>, window: &Range<usize>, empty: impl Into<Shown>) -> Self {
        let total = lines.len();
        let lines = lines.into_iter().skip(window.start).take(window.len()).collect();
        Page { head: None, total, lines, empty: empty.into() }
    }
}

/// Returns the rows of the chosen screen within a window.
pub(crate) fn page(seen: &Seen, outline: &Outline, window: &Range<usize>) -> Page {
    match seen.view.screen {
        Screen::Tree => tree::page(seen, outline, window),
        Screen::History => history::page(seen, outline, window),
        Screen::Process => process::page(seen, window),
        Screen::Pressure => pressure::page(seen, window),
        Screen::Stopping => stopping::page(seen, window),
    }
}

/// Names the route that has the backtrace of a process.
fn backtrace(pid: u64) -> Shown {
    Shown::from("GET /backtrace/").and(Shown::new(&pid.to_string()))
}

/// Returns a row without a goal.
fn plain(row: Row) -> Line {
    Line { row, goal: None }
}

/// Returns a row that opens a process.
fn leads_to(row: Row, path: &str, pid: Option<u64>) -> Line {
    Line { row, goal: Some(Goal::Process(Chosen { path: path.to_owned(), pid })) }
}

fn leads_to_node(row: Row, node: &Node) -> Line {
    leads_to(row, &node.path, node.pid)
}
