//! Model B: supervision trees against a model of them, command by command.
//!
//! A tree is drawn from a seed: strategies, restart types, shutdown values, intensities,
//! significant children, and for each child a script of how its starts and stops go. Then
//! commands are drawn: ends of every kind, all administration calls, time that passes. After
//! each the trace of starts and ends with its times, the result of the call, and the state of
//! every child are compared with what [`model`] says, which was written from OTP's rules.
//! Supervisors are killed, workers crash after a while or with a sibling that they are linked
//! to, restarts wait. Where two things that nobody asked for come at one instant, a run ends: it
//! can't be told which is the first. In a burst several siblings die at one instant, and some
//! order of their deaths must explain all that is seen from then on. In a queue, requests of
//! several clients and ends of children come while their supervisor is busy with slow starts and
//! stops; they are served in the order of its mailbox, between the attempts of a failing restart
//! too, and the answers and their times are compared.
//!
//! The invariants that hold whatever the model says are cited by their numbers: I-12 one
//! incarnation at a time, I-13 and I-14 restarts and their budget, I-16 who is restarted,
//! I-17 counts and lists, I-18 how long a request and a stop take, I-22 and I-25 nothing left.
//!
//! A failure prints its seed, its tree and its commands, both made as small as they can be,
//! and how to repeat it. `REGROW_PROOF=full` runs ten times as many seeds, `REGROW_FRESH=1`
//! others at each run, `REGROW_SEED=n` just one.

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

/// How many seeds are run: few in a debug build.
const SEEDS: u64 = if cfg!(debug_assertions) { 150 } else { 10_000 };

/// Seeds that have failed once.
const REGRESSIONS: [u64; 7] = [16, 125, 534, 18_114, 44_416, 45_928, 83_440];

const COMMANDS: usize = 100;

/// One command at a time.
#[test]
fn one_command_at_a_time_matches_the_model() {
    prove("one_command_at_a_time", |seed| generator::program(seed, COMMANDS, Mode::One));
}

/// Several siblings die at one instant.
#[test]
fn simultaneous_exits_match_some_order_of_the_model() {
    prove("simultaneous_exits", |seed| generator::program(seed, COMMANDS, Mode::Burst));
}

/// Requests and ends come while their supervisor is busy.
#[test]
fn waiting_requests_are_served_in_arrival_order() {
    prove("waiting_requests", |seed| generator::program(seed, COMMANDS, Mode::Queue));
}

fn prove(test: &str, program: impl Fn(u64) -> Program) {
    hush_injected_panics();
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
    let many = if full { SEEDS * 10 } else { SEEDS };
    let from = given("REGROW_FRESH").map_or(1, |_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64 >> 8)
    });
    REGRESSIONS.into_iter().chain(from..from + many).collect()
}
