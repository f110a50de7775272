//! How the table is printed.

use crate::options::Options;
use crate::rows::{Row, SYSTEMS};

pub(crate) fn print_header(options: &Options) {
    println!("scale {}, median of {} rounds\n", options.scale, options.rounds);
    print_cells("", "number", "unit", SYSTEMS.map(String::from));
}

/// Prints the medians of all rounds, a line for each figure of the row.
pub(crate) fn print_row(row: &Row, size: usize, rounds: &[Vec<Option<Vec<f64>>>; SYSTEMS.len()]) {
    for (figure, detail) in row.details.iter().enumerate() {
        let cells = std::array::from_fn(|system| {
            let measured = rounds[system].iter().flatten().map(|figures| figures[figure]);
            median(measured.collect()).map_or_else(|| "-".into(), |median| format!("{median:.0}"))
        });
        print_cells(&format!("{}{detail}", row.text), &size.to_string(), row.unit, cells);
    }
}

fn print_cells(text: &str, size: &str, unit: &str, cells: [String; SYSTEMS.len()]) {
    print!("{text:<34} | {size:>9} | {unit:<10}");
    for cell in cells {
        print!(" | {cell:>12}");
    }
    println!();
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
