//! A frame, which is what the terminal shows at once: title, tabs, the rows of the screen, and the
//! keys.

use crate::model::Tone;
use crate::row::Row;
use crate::screens::outline::{Outline, Summary};
use crate::screens::{Line, Seen, page};
use crate::shown::Shown;
use crate::view::{Goal, Screen, View};

/// The state of the source, as the title shows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    pub(crate) url: String,
    /// The state of the source in a word or two, such as `live`.
    pub(crate) state: Shown,
    pub(crate) tone: Tone,
    /// The warnings, each in a row of its own.
    pub(crate) warnings: Vec<Shown>,
    pub(crate) is_replay: bool,
}

/// The rows that the terminal shows, and what the keys need to know of them.
pub(crate) struct Frame {
    pub(crate) rows: Vec<Row>,
    /// The goal of the chosen row.
    pub(crate) goal: Option<Goal>,
    /// How many rows of the screen are visible.
    pub(crate) visible: usize,
}

/// How many rows [`text`] adds to the rows of [`above`] and of the page: one each for the head of
/// the columns, the text of an empty page, and the keys.
const MARGINS: usize = 3;

/// Returns the frame with `place.height` rows. Moves `place` so that the chosen row is visible.
pub(crate) fn frame(seen: &Seen, outline: &Outline, status: &Status, place: &mut Chooser) -> Frame {
    let mut rows = above(seen, outline, status);
    let free = place.height.saturating_sub(rows.len() + 1);
    if seen.view.has_help {
        rows.extend(help().into_iter().take(free));
        return close(seen, status, rows, place.height, None);
    }
    // This call only counts the rows. A second one makes the visible rows.
    let nothing = page(seen, outline, &(0..0));
    let visible = free.saturating_sub(usize::from(nothing.head.is_some()));
    place.place.keep_within(nothing.total, visible.max(1));
    let top = place.place.top;
    let page = page(seen, outline, &(top..top + visible));
    rows.extend(page.head);
    if page.total == 0 {
        rows.push(Row::of(page.empty, Tone::Dim));
    }
    let mut goal = None;
    for (at, Line { mut row, goal: leads }) in page.lines.into_iter().enumerate() {
        if top + at == place.place.row {
            row.is_chosen = place.is_interactive;
            goal = leads;
        }
        rows.push(row);
    }
    Frame { visible, ..close(seen, status, rows, place.height, goal) }
}

/// The height of a frame, and its chosen row.
pub(crate) struct Chooser {
    pub(crate) height: usize,
    pub(crate) place: crate::view::Place,
    /// Whether the chosen row is marked.
    pub(crate) is_interactive: bool,
}

/// Cuts rows, or adds empty rows, until the frame has its height. The keys are the last row.
fn close(
    seen: &Seen,
    status: &Status,
    mut rows: Vec<Row>,
    height: usize,
    goal: Option<Goal>,
) -> Frame {
    rows.truncate(height.saturating_sub(1));
    rows.resize(height.saturating_sub(1), Row::new());
    rows.push(keys(seen.view, status, seen.width));
    let rows = rows.into_iter().map(|row| row.cut(seen.width)).collect();
    Frame { rows, goal, visible: 0 }
}

/// Returns the rows above those of the screen: title, tabs, warnings, filter.
pub(crate) fn above(seen: &Seen, outline: &Outline, status: &Status) -> Vec<Row> {
    let room = seen.width.saturating_sub(status.state.width() + 13);
    let title = Row::of("regrow-top  ", Tone::Strong)
        .put(Shown::new(&status.url).cut(room), Tone::Dim)
        .at_end(status.state.clone(), seen.width, status.tone);
    let mut rows = vec![title, tabs(seen, outline.summary)];
    rows.extend(status.warnings.iter().map(|text| Row::of(text.clone(), Tone::Warn)));
    if seen.model.missed > 0 {
        let text =
            Shown::number(seen.model.missed).and(" changes were missed: each picture is complete");
        rows.push(Row::of(text, Tone::Dim));
    }
    let filter = seen.view.filter();
    if seen.view.is_editing || !filter.is_empty() {
        let cursor = if seen.view.is_editing { "_" } else { "   (Esc removes the filter)" };
        rows.push(
            Row::of("/", Tone::Strong).put(Shown::new(filter), Tone::Strong).put(cursor, Tone::Dim),
        );
    }
    if seen.view.failures_only && seen.view.screen == Screen::History {
        rows.push(Row::of("failures only   (x shows all)", Tone::Dim));
    }
    rows
}

fn tabs(seen: &Seen, summary: Summary) -> Row {
    let mut row = Row::new();
    for (at, (screen, title)) in Screen::ALL.into_iter().enumerate() {
        let is_this = screen == seen.view.screen;
        let tone = if is_this { Tone::Strong } else { Tone::Dim };
        let number = Shown::number(at as u64 + 1);
        row = row.put(if is_this { "[" } else { " " }, tone).put(number, tone);
        row = row.put(" ", tone).put(title, tone).put(if is_this { "]" } else { "" }, tone);
    }
    let unwell = match summary.unwell {
        0 => Shown::from("all well"),
        number => Shown::number(number).and(" unwell"),
    };
    let tone = if summary.unwell > 0 { Tone::Warn } else { Tone::Dim };
    let long = Shown::number(summary.processes)
        .and(" processes, ")
        .and(Shown::number(summary.restarts))
        .and(" restarts, ")
        .and(unwell.clone());
    let is_long = row.width() + long.width() < seen.width;
    row.at_end(if is_long { long } else { unwell }, seen.width, tone)
}

/// Returns the row that names the usable keys. In a narrow terminal the text has at most 60
/// columns.
fn keys(view: &View, status: &Status, width: usize) -> Row {
    let text = match (view.is_editing, status.is_replay) {
        _ if view.has_help => "any key closes the help",
        (true, _) => "Enter keeps the filter  Esc removes it",
        (_, true) => "space pause  ←→ step  1-5 screen  / filter  ? help  q quit",
        _ if width < 70 => "1-5 screen  ↑↓ move  Enter open  / filter  ? help  q quit",
        _ if view.screen == Screen::Tree => {
            "1-5 screen  ↑↓ move  ←→ fold  Enter open  / filter  ? help  q quit"
        }
        _ => "1-5 screen  ↑↓ move  Enter open  / filter  ? help  q quit",
    };
    Row::of(text, Tone::Dim)
}

fn help() -> Vec<Row> {
    let (_, keys) = crate::args::HELP.split_once("Keys:\n").unwrap_or_default();
    let (keys, _) = keys.split_once("\n\n").unwrap_or_default();
    let first = [Row::new(), Row::of("Keys", Tone::Strong)];
    first.into_iter().chain(keys.lines().map(|line| Row::of(line, Tone::Plain))).collect()
}

/// Returns a frame as text, with all rows of the screen.
pub(crate) fn text(seen: &Seen, outline: &Outline, status: &Status) -> String {
    let total = page(seen, outline, &(0..0)).total;
    let height = total + above(seen, outline, status).len() + MARGINS;
    let place = crate::view::Place::default();
    let mut place = Chooser { height, place, is_interactive: false };
    let mut rows = frame(seen, outline, status, &mut place).rows;
    rows.pop(); // the keys
    let mut text = String::new();
    for row in rows {
        text.push_str(&row.text());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}
