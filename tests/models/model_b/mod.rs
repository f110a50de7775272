//! Model B: supervision trees against a model of them, command by command.
//!
//! A seed generates a tree: strategies, restart types, shutdown values, intensities, significant
//! children, and a script for the starts and stops of each child. It then generates commands: ends
//! of every kind, all administration calls, and time that passes. After each command the test
//! compares three things with [`model`], which implements OTP's rules: the trace of starts and ends
//! with their times, the result of the call, and the state of every child.
//!
//! Supervisors are killed, workers crash after a delay or together with a linked sibling, and
//! restarts wait. A run stops where two unrequested events fall on one instant, because their order
//! is not defined. In a burst several siblings end at one instant, and some order of their ends
//! must explain everything that is observed from then on. In a queue, requests of several clients
//! and ends of children arrive while their supervisor is busy with slow starts and stops. The
//! supervisor serves them in the order of its mailbox, also between the attempts of a failing
//! restart, and the test compares the replies and their times.
//!
//! The invariants that hold independently of the model are cited by their numbers: I-12 one
//! incarnation at a time, I-13 and I-14 restarts and their budget, I-16 which children are
//! restarted, I-17 counts and lists, I-18 the duration of a request and of a stop, I-22 and I-25
//! nothing is left.
//!
//! A failure prints its seed, its tree and its commands, both shortened, and the command that
//! repeats it. `REGROW_PROOF=full` runs 100,000 seeds, `REGROW_FRESH=1` new seeds at each
//! run, and `REGROW_SEED=n` one seed.

mod plan;
mod model;
mod time;
mod links_and_orphans;
mod queue;
mod restart;
mod admin;
mod generator;
mod generator_queue;
mod actor;
mod observations;
mod comparison;
mod client;
mod runner;
mod shrink;

use crate::injected_panics::hush_injected_panics;
use generator::Mode;
use plan::Program;

/// The number of seeds; a debug build runs few.
const SEEDS: u64 = if cfg!(debug_assertions) { 40 } else { 3_000 };

/// The number of seeds with `REGROW_PROOF=full`.
const FULL: u64 = 100_000;

/// Seeds that once failed.
const REGRESSIONS: [u64; 7] = [16, 125, 534, 18_114, 44_416, 45_928, 83_440];

const COMMANDS: usize = 100;

/// The model predicts the result of each single command.
#[test]
fn one_command_at_a_time_matches_the_model() {
    prove("one_command_at_a_time", |seed| generator::program(seed, COMMANDS, Mode::One));
}

/// Several siblings end at one instant, and some order of their ends explains what follows.
#[test]
fn simultaneous_exits_match_some_order_of_the_model() {
    prove("simultaneous_exits", |seed| generator::program(seed, COMMANDS, Mode::Burst));
}

/// Requests and ends arrive while their supervisor is busy, and are handled in the order of
/// arrival.
#[test]
fn waiting_requests_are_served_in_arrival_order() {
    prove("waiting_requests", |seed| generator::program(seed, COMMANDS, Mode::Queue));
}

fn prove(test: &str, program: impl Fn(u64) -> Program) {
    hush_injected_panics();
    #[cfg(regrow_proof)]
    regrow::proof::announce_ends_at_once();
    let (mut runs, mut ties, mut commands) = (0, 0, 0);
    for seed in seeds() {
        let program = program(seed);
        let first = match runner::run(&program) {
            Ok(run) => {
                runs += 1;
                ties += u32::from(run.tie);
                commands += run.commands;
                continue;
            }
            Err(first) => first,
        };
        let short = shrink::shrink(&program);
        let mismatch = runner::run(&short).err().unwrap_or(first);
        panic!(
            "model B, seed {seed}\n{:#?}\n{:#?}\n{mismatch}\n\
             repeat: REGROW_SEED={seed} cargo test --release --test models model_b::{test}",
            short.tree, short.commands,
        );
    }
    println!("{runs} runs of {commands} commands, {ties} up to a tie");
    if runs >= 100 {
        assert!(commands >= runs * COMMANDS as u32 / 2, "the trees end too soon");
        assert!(ties * 4 <= runs, "{ties} of {runs} runs were cut short by a tie");
    }
}

fn seeds() -> Vec<u64> {
    let given = |name: &str| std::env::var(name).ok();
    if let Some(seed) = given("REGROW_SEED") {
        return vec![seed.parse().expect("REGROW_SEED is a number")];
    }
    let full = given("REGROW_PROOF").is_some_and(|size| size == "full");
    let many = if full { FULL } else { SEEDS };
    let from = given("REGROW_FRESH").map_or(1, |_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64 >> 8)
    });
    REGRESSIONS.into_iter().chain(from..from + many).collect()
}
