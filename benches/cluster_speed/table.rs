//! How the table is printed.

use crate::row::Row;
use crate::{DIRECTIONS, GOAL, Rounds};

pub(crate) fn print_header() {
    println!(
        "| | unit | BEAM → BEAM | BEAM → regrow | ratio | goal | regrow → BEAM | regrow → regrow |"
    );
    println!("|---|---|---:|---:|---:|---|---:|---:|");
}

/// Prints a line for each figure of a row.
pub(crate) fn print_row(row: &Row, rounds: &Rounds) {
    for (at, figure) in row.figures.iter().enumerate() {
        let of = |direction: usize| {
            let figures = rounds.iter().filter_map(|round| Some(round[direction].as_ref()?[at]));
            median(figures.collect())
        };
        let medians: [Option<f64>; DIRECTIONS.len()] = std::array::from_fn(of);
        let cell = |figure: Option<f64>| figure.map_or_else(|| "-".into(), |f| format!("{f:.1}"));
        let [both, to_regrow, to_beam, none] = medians.map(cell);
        // The ratio of the printed figures, so that a row doesn't contradict itself.
        let ratio = medians[1].zip(medians[0]).map(|(to_regrow, both)| to_regrow / both);
        let goal = match ratio {
            Some(ratio) if figure.has_goal && ratio >= GOAL => format!("{GOAL} ok"),
            Some(_) if figure.has_goal => format!("{GOAL} missed"),
            _ => "-".into(),
        };
        let ratio = ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"));
        let (text, detail, unit) = (row.text, figure.text, figure.unit);
        println!(
            "| {text}{detail} | {unit} | {both} | {to_regrow} | {ratio} | {goal} | {to_beam} | {none} |"
        );
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    Some((upper + values[(values.len() - 1) / 2]) / 2.0)
}
