//! How fast nodes are over TCP on one machine: calls and casts between nodes of this crate and of
//! Erlang, in all four directions.
//!
//! Each node is a program of its own, with two workers or schedulers, and stays up for the whole
//! run. The four directions are measured alternately, with the same terms. A figure is the median of all
//! rounds, and the ratio is that of the figures. Without Erlang, only nodes of this crate are measured.
//!
//! ```text
//! cargo bench --bench cluster_speed
//! … -- --rounds 7     how often each figure is measured; the default is 5
//! … -- --quick        tiny sizes: checks that the bench works
//! … -- large          only rows with "large" in their names
//! ```
//!
//! The goal of *BEAM → regrow* is 0.8 of *BEAM → BEAM*.

mod program;
mod regrow_node;
mod row;
mod table;

use program::Program;
use row::{ROWS, Row};

/// The argument with which the program starts itself again as a node.
const NODE: &str = "--node";

/// The least accepted ratio of *BEAM → regrow* to *BEAM → BEAM*.
const GOAL: f64 = 0.8;

/// The directions, as numbers of the caller and of the called node.
const DIRECTIONS: [(usize, usize); 4] = [(0, 1), (0, 3), (2, 1), (2, 3)];

/// The rounds of a row: in each, what each direction has measured.
type Rounds = Vec<[Option<Vec<f64>>; DIRECTIONS.len()]>;

struct Options {
    quick: bool,
    rounds: usize,
    only: Vec<String>,
}

impl Options {
    fn read(args: &[String]) -> Options {
        let has = |flag: &str| args.iter().any(|arg| arg == flag);
        let quick = has("--quick") || !has("--bench");
        let after = args.iter().skip_while(|arg| *arg != "--rounds").nth(1);
        let asked = after.and_then(|rounds| rounds.parse().ok());
        let is_name = |arg: &&String| !arg.starts_with("--") && Some(*arg) != after;
        let only = args.iter().filter(is_name).cloned().collect();
        Options { quick, rounds: asked.unwrap_or(if quick { 1 } else { 5 }), only }
    }

    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let is_asked = |row: &&Row| self.only.iter().any(|word| row.text.contains(word.as_str()));
        ROWS.iter().filter(move |row| self.only.is_empty() || is_asked(row))
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, epmd] = args.as_slice()
        && flag == NODE
    {
        return regrow_node::run(name, epmd.parse().expect("a port is a number"));
    }
    let options = Options::read(&args);
    // The first node answers as EPMD.
    let epmd = program::free_port();
    let (called, caller) =
        (program::regrow("regrow_called", epmd), program::regrow("regrow_caller", epmd));
    let module = program::compile();
    let beam = |name| module.as_ref().map(|module| program::beam(module, name, epmd));
    let mut nodes = [beam("beam_caller"), beam("beam_called"), Some(caller), Some(called)];
    table::print_header();
    for row in options.rows() {
        let rounds = measure(&mut nodes, row, &options);
        table::print_row(row, &rounds);
    }
}

/// Measures a row, after one round that is not counted.
fn measure(nodes: &mut [Option<Program>; 4], row: &Row, options: &Options) -> Rounds {
    let mut rounds = Rounds::new();
    for round in 0..=options.rounds {
        let mut measured = <[Option<Vec<f64>>; DIRECTIONS.len()]>::default();
        for turn in 0..DIRECTIONS.len() {
            let at = (turn + round) % DIRECTIONS.len();
            let (caller, called) = DIRECTIONS[at];
            if nodes[called].is_none() {
                continue;
            }
            let called = ["beam_caller", "beam_called", "regrow_caller", "regrow_called"][called];
            measured[at] = nodes[caller]
                .as_mut()
                .map(|caller| caller.measure(&row.order(called, options.quick), row.figures.len()));
        }
        if round > 0 || options.quick {
            rounds.push(measured);
        }
        if options.quick {
            break;
        }
    }
    rounds
}
