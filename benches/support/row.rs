//! Rows, the tables that they belong to, and how they are printed.

use std::time::Duration;

/// The widths of the columns, of both kinds of rows.
const SIDES: [usize; 7] = [53, 10, 9, 9, 5, 7, 0];
const GROWTH: [usize; 6] = [53, 10, 21, 5, 7, 0];

/// Which rows are printed.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Table {
    /// Servers as children, messages with content, all operations at once, many processes.
    Demanding,
    /// Tasks as children, empty messages, batches of a thousand.
    Simple,
}

/// What a row should reach.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// The row shows a figure, without a goal.
    None,
    /// The largest accepted ratio of regrow to raw, or of the largest size to the smallest.
    Ratio(f64),
    /// The largest accepted figure of regrow, in the unit of the row.
    Cost(f64),
}

/// One row of the table. It is named by what is done.
pub(crate) struct Row {
    pub(crate) text: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    /// The number of operations of a measurement.
    pub(crate) size: usize,
}

impl Target {
    fn cell(self) -> String {
        match self {
            Target::None => "-".into(),
            Target::Ratio(most) => format!("{most:.2}"),
            Target::Cost(most) => format!("<={most:.0}"),
        }
    }

    fn verdict(self, cost: f64, ratio: f64) -> &'static str {
        let over = match self {
            Target::None => return "",
            Target::Ratio(most) => ratio > most,
            Target::Cost(most) => cost > most,
        };
        if over { "over" } else { "ok" }
    }
}

/// The header of a table.
pub(crate) struct Header(Vec<String>);

impl Header {
    /// Of rows with two sides and their ratio, or with other figures in these three columns.
    pub(crate) fn sides(topic: &str, [first, second, third]: [&str; 3]) -> Self {
        Header([topic, "unit", first, second, third, "target", ""].map(String::from).into())
    }

    /// Of rows with three sizes.
    pub(crate) fn growth(topic: &str) -> Self {
        let cells = [topic, "unit", "10k / 100k / 1M", "ratio", "target", ""];
        Header(cells.map(String::from).into())
    }

    pub(crate) fn print(self) {
        print_cells(&self.0);
    }
}

/// Prints a row of two sides. The ratio is the median of the ratios of all rounds, and not the ratio
/// of the medians: a slow moment of the machine affects both sides of its round.
pub(crate) fn print_sides(row: &Row, detail: &str, results: &[(f64, f64)]) {
    let raw = median(results.iter().map(|result| result.0).collect());
    let regrow = median(results.iter().map(|result| result.1).collect());
    let ratio = median(results.iter().map(|result| result.1 / result.0).collect());
    let digits = match row.unit {
        "per op" => 2,
        "µs" => 1,
        _ => 0,
    };
    let shown = if ratio.is_finite() { format!("{ratio:.2}") } else { "-".into() };
    let text = format!("{}{detail}", row.text);
    let (raw_cell, regrow_cell) = (format!("{raw:.digits$}"), format!("{regrow:.digits$}"));
    let verdict = row.target.verdict(regrow, ratio);
    print_cells(&[
        text,
        row.unit.into(),
        raw_cell,
        regrow_cell,
        shown,
        row.target.cell(),
        verdict.into(),
    ]);
}

/// Prints a row of three sizes. The ratio is that of the largest size to the smallest.
pub(crate) fn print_growth(row: &Row, results: &[[f64; 3]]) {
    let ratio = median(results.iter().map(|result| result[2] / result[0]).collect());
    let at = |size: usize| median(results.iter().map(|result| result[size]).collect());
    let figures = format!("{:.0} / {:.0} / {:.0}", at(0), at(1), at(2));
    let verdict = row.target.verdict(at(2), ratio);
    let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "-".into() };
    let (text, unit) = (row.text.into(), row.unit.into());
    print_cells(&[text, unit, figures, ratio, row.target.cell(), verdict.into()]);
}

/// Prints a row of one side: the median and the largest of its waits.
pub(crate) fn print_waits(row: &Row, mut waits: Vec<Duration>) {
    waits.sort_unstable();
    let micros = |wait: Duration| wait.as_nanos() as f64 / 1_000.0;
    let (middle, worst) = (micros(waits[waits.len() / 2]), micros(waits[waits.len() - 1]));
    let best = format!("{:.0}", micros(waits[0]));
    let (middle, worst_cell) = (format!("{middle:.0}"), format!("{worst:.0}"));
    let (text, unit, target) = (row.text.into(), row.unit.into(), row.target.cell());
    let verdict = row.target.verdict(worst, 0.0).into();
    print_cells(&[text, unit, middle, worst_cell, best, target, verdict]);
}

/// Prints the text, the unit, the figures, the ratio, the target and the verdict: seven cells, or
/// six if the figures are in one.
fn print_cells(cells: &[String]) {
    let widths: &[usize] = if cells.len() == 7 { &SIDES } else { &GROWTH };
    for (at, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        match at {
            0 => print!("{cell:<width$}"),
            1 => print!(" | {cell:<width$}"),
            _ => print!(" | {cell:>width$}"),
        }
    }
    println!();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
