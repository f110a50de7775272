//! Model B: supervision trees against a model of them, command by command.
//!
//! A tree is drawn from a seed: strategies, restart types, shutdown values, intensities,
//! significant children, and for each child a script of how its starts and stops go. Then
//! commands are drawn: ends of every kind, all administration calls, time that passes. After
//! each the trace of starts and ends with its times, the result of the call, and the state of
//! every child are compared with what [`model`] says, which was written from OTP's rules.
//! In a burst several siblings die at one instant, and some order of their deaths must
//! explain all that is seen.
//!
//! A failure prints its seed, its tree, its commands shortened, and how to repeat it.
//! `REGROW_PROOF=full` runs ten times as many seeds, `REGROW_SEED=n` just one.

#[path = "../support/rng.rs"]
mod rng;
mod plan;
mod model;
mod restart;
mod admin;
mod draw;
mod actor;
mod seen;
mod runner;

use plan::Program;

/// How many seeds are run: few in a debug build, a tenth of all on every change.
const SEEDS: u64 = if cfg!(debug_assertions) { 150 } else { 1_000 };

const COMMANDS: usize = 100;

/// One command at a time.
#[test]
fn one_command_at_a_time_does_what_the_model_says() {
    prove("one_command_at_a_time", |seed| draw::program(seed, COMMANDS, false));
}

/// Several siblings die at one instant.
#[test]
fn deaths_at_one_instant_are_explained_by_some_order_of_them() {
    prove("deaths_at_one_instant", |seed| draw::program(seed, COMMANDS, true));
}

fn prove(test: &str, program: impl Fn(u64) -> Program) {
    std::panic::set_hook(Box::new(|_| {}));
    for seed in seeds() {
        let program = program(seed);
        let Err(first) = runner::run(&program) else { continue };
        let short = shrink(&program);
        let mismatch = runner::run(&short).err().unwrap_or(first);
        let _ = std::panic::take_hook();
        panic!(
            "model B, seed {seed}\n{:#?}\n{:#?}\n{mismatch}\n\
             repeat: REGROW_SEED={seed} cargo test --release --test model_b {test}",
            short.tree, short.commands,
        );
    }
}

fn seeds() -> std::ops::RangeInclusive<u64> {
    if let Ok(seed) = std::env::var("REGROW_SEED") {
        let seed = seed.parse().expect("REGROW_SEED is a number");
        return seed..=seed;
    }
    let full = std::env::var("REGROW_PROOF").is_ok_and(|size| size == "full");
    1..=if full { 10_000 } else { SEEDS }
}

/// Leaves out every command that the failure doesn't need.
fn shrink(program: &Program) -> Program {
    let mut best = program.clone();
    let mut chunk = best.commands.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < best.commands.len() {
            let mut shorter = best.clone();
            shorter.commands.drain(at..(at + chunk).min(best.commands.len()));
            match runner::run(&shorter) {
                Err(_) => best = shorter,
                Ok(()) => at += chunk,
            }
        }
        chunk /= 2;
    }
    best
}
