//! Model A: the signal kernel against a model of it, command by command.
//!
//! Each process interprets commands and records what it receives. After each batch of commands the
//! test compares every observable fact with [`model`]. A failure prints its shortened program and
//! the command that repeats it. `REGROW_PROOF=full` runs 100,000 seeds of each mode,
//! `REGROW_SEED=n` one seed, and `REGROW_FRESH=hex` adds a tenth more seeds, beginning with that
//! one.

mod commands;
mod model;
mod links_and_monitors;
mod mailboxes;
mod exits;
mod choices;
mod generator;
mod records;
mod real_runtime;
mod process_body;
mod observations;
mod runner;
mod shrink;

use std::panic;
use std::thread;

use crate::injected_panics::hush_injected_panics;
use commands::Program;

const OPERATIONS: usize = 100;

/// The number of seeds of `one_command_at_a_time`; the other modes run a quarter. A debug build runs
/// few.
const SEEDS: u64 = if cfg!(debug_assertions) { 200 } else { 2_000 };

/// The number of seeds of each mode with `REGROW_PROOF=full`.
const FULL: u64 = 100_000;

/// Seeds of each mode that once found a defect.
const REGRESSIONS: [(&str, &[u64]); 2] = [("sequential", &[299, 1010]), ("burst", &[410])];

/// The model predicts the whole observable state after each single command.
#[test]
fn one_command_at_a_time_matches_the_model() {
    prove("sequential", "one_command_at_a_time", SEEDS, |seed| {
        generator::sequential(seed, OPERATIONS)
    });
}

/// Two to six processes execute commands concurrently, and some order of the commands explains the
/// observed state.
#[test]
fn a_burst_of_commands_matches_some_order_of_the_model() {
    prove("burst", "a_burst_of_commands", SEEDS / 4, |seed| generator::burst(seed, OPERATIONS));
}

/// Commands wait for a process that still executes an earlier command, and signals arrive
/// meanwhile.
#[test]
fn commands_to_a_busy_process_match_some_order_of_the_model() {
    prove("queue", "commands_to_a_busy_process", SEEDS / 4, |seed| {
        generator::queue(seed, OPERATIONS)
    });
}

fn prove(mode: &str, test: &str, count: u64, program: impl Fn(u64) -> Program + Sync) {
    hush_injected_panics();
    #[cfg(regrow_proof)]
    regrow::proof::announce_ends_at_once();
    let seeds = seeds(mode, count);
    let half = seeds.len().div_ceil(2);
    let check = |seeds: &[u64]| {
        seeds.iter().for_each(|&seed| prove_one(mode, test, seed, &program(seed)));
    };
    thread::scope(|scope| {
        let halves = seeds.chunks(half).map(|seeds| scope.spawn(|| check(seeds)));
        for half in halves.collect::<Vec<_>>() {
            if let Err(failure) = half.join() {
                panic::resume_unwind(failure);
            }
        }
    });
}

fn seeds(mode: &str, count: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("REGROW_SEED") {
        return vec![seed.parse().expect("REGROW_SEED is a number")];
    }
    let full = std::env::var("REGROW_PROOF").is_ok_and(|size| size == "full");
    let count = if full { FULL } else { count };
    let fresh = std::env::var("REGROW_FRESH").ok();
    let fresh = fresh.map(|hex| u64::from_str_radix(&hex, 16).expect("REGROW_FRESH is hex"));
    let fresh = fresh.map_or(0..0, |first| first..first + count / 10);
    let known =
        REGRESSIONS.iter().filter(|(known, _)| *known == mode).flat_map(|(_, seeds)| *seeds);
    known.copied().chain(1..=count).chain(fresh).collect()
}

fn prove_one(mode: &str, test: &str, seed: u64, program: &Program) {
    let Err(first) = runner::run(program) else { return };
    let short = shrink::shrink(program);
    let mismatch = runner::run(&short).err().unwrap_or(first);
    let commands: String = short.batches.iter().map(|batch| runner::show(batch)).collect();
    let flags = if cfg!(regrow_proof) { "RUSTFLAGS='--cfg regrow_proof' " } else { "" };
    panic!(
        "model A, {mode}, seed {seed}, {:?}\n{commands}\n{mismatch}\n\
         repeat: {flags}REGROW_SEED={seed} cargo test --release --test models model_a::{test}",
        short.mailboxes,
    );
}
