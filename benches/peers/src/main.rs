//! The same work on regrow, raw tokio, the BEAM, ractor, kameo and tokio-actors, in one table.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml
//! … -- --scale 0.1                 a tenth of each size
//! … -- --rounds 7                  how often each figure is measured; the median is printed
//! … -- --rows call,restart         only rows with one of these keys
//! … -- --systems raw,regrow,beam   only these systems
//! ```
//!
//! Each figure is measured in a new process of its own, with two workers (or schedulers), and the
//! systems take turns in each round. Each system is used as its documentation shows, with its default
//! mailbox. A `-` is printed where a system does not have the notion, and where `erl` or `erlc` is
//! not installed.

mod beam;
mod options;
mod rows;
mod support;
mod systems;
mod table;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use options::Options;
use rows::{Row, SYSTEMS};

/// A measurement that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(300);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [command, system, row, size] = args.as_slice()
        && command == "measure"
    {
        return measure(system, row, size.parse().expect("a size is a number"));
    }
    let options = match Options::parse(&args) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    let beam = beam::compile();
    table::print_header(&options);
    for row in options.rows() {
        let size = row.size(options.scale);
        let mut rounds: [Vec<Option<Vec<f64>>>; SYSTEMS.len()] = Default::default();
        for round in 0..options.rounds {
            for turn in 0..SYSTEMS.len() {
                let at = (turn + round) % SYSTEMS.len();
                if options.includes(SYSTEMS[at]) {
                    rounds[at].push(figures(SYSTEMS[at], row, size, beam.as_ref()));
                }
            }
        }
        table::print_row(row, size, &rounds);
    }
}

/// The figures of one system, from a new process.
fn figures(system: &str, row: &Row, size: usize, beam: Option<&beam::Beam>) -> Option<Vec<f64>> {
    let mut command = if system == "beam" {
        beam?.command(row.key, size)
    } else {
        let mut command = Command::new(std::env::current_exe().ok()?);
        command.args(["measure", system, row.key, &size.to_string()]);
        command
    };
    // With this variable, each panic costs the walk of its stack.
    command.env_remove("RUST_BACKTRACE");
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let start = Instant::now();
    while process.try_wait().ok()?.is_none() {
        if start.elapsed() > LIMIT {
            let _ = process.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = process.wait_with_output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Option<Vec<f64>> = text.split_whitespace().map(|f| f.parse().ok()).collect();
    figures.filter(|figures| figures.len() == row.details.len())
}

/// Measures one figure in this process and prints it. Prints nothing if the system does not have the
/// notion.
fn measure(system: &str, row: &str, size: usize) {
    // Printing the messages of expected panics is not measured.
    std::panic::set_hook(Box::new(|_| {}));
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(2).enable_all().build().expect("tokio starts");
    let (system, row) = (system.to_owned(), row.to_owned());
    let measured = tokio.spawn(async move { systems::measure(&system, &row, size).await });
    for figure in tokio.block_on(measured).ok().flatten().unwrap_or_default() {
        println!("{figure}");
    }
    // Dropping a million tasks is not measured.
    std::process::exit(0);
}
