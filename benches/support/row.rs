//! Rows, the tables that they belong to, and how they are printed.

use std::time::Duration;

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

pub(crate) fn print_header(topic: &str, [first, second, third]: [&str; 3]) {
    print_cells(topic, "unit", [first, second, third, "target"].map(String::from), "");
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
    let cells = [format!("{raw:.digits$}"), format!("{regrow:.digits$}"), shown, row.target.cell()];
    let text = format!("{}{detail}", row.text);
    print_cells(&text, row.unit, cells, row.target.verdict(regrow, ratio));
}

pub(crate) fn print_growth_header(topic: &str) {
    print_growth_cells(topic, "unit", "10k / 100k / 1M", ["ratio", "target", ""]);
}

/// Prints a row of three sizes. The ratio is that of the largest size to the smallest.
pub(crate) fn print_growth(row: &Row, results: &[[f64; 3]]) {
    let ratio = median(results.iter().map(|result| result[2] / result[0]).collect());
    let at = |size: usize| median(results.iter().map(|result| result[size]).collect());
    let figures = format!("{:.0} / {:.0} / {:.0}", at(0), at(1), at(2));
    let (target, verdict) = (row.target.cell(), row.target.verdict(at(2), ratio));
    let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "-".into() };
    print_growth_cells(row.text, row.unit, &figures, [&ratio, &target, verdict]);
}

/// Prints a row of one side: the median and the largest of its waits.
pub(crate) fn print_waits(row: &Row, mut waits: Vec<Duration>) {
    waits.sort_unstable();
    let micros = |wait: Duration| wait.as_nanos() as f64 / 1_000.0;
    let (middle, worst) = (micros(waits[waits.len() / 2]), micros(waits[waits.len() - 1]));
    let cells = [format!("{middle:.0}"), format!("{worst:.0}"), String::new(), row.target.cell()];
    print_cells(row.text, row.unit, cells, row.target.verdict(worst, 0.0));
}

fn print_growth_cells(text: &str, unit: &str, figures: &str, [ratio, target, verdict]: [&str; 3]) {
    println!("{text:<50} | {unit:<10} | {figures:>19} | {ratio:>5} | {target:>7} | {verdict}");
}

fn print_cells(text: &str, unit: &str, [raw, regrow, ratio, target]: [String; 4], verdict: &str) {
    println!(
        "{text:<50} | {unit:<10} | {raw:>8} | {regrow:>8} | {ratio:>5} | {target:>7} | {verdict}"
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
