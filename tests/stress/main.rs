//! Stress test: threads and processes spawn, link, monitor, name, send to and end each other at
//! random, and every process checks the items that it receives. When the system has become idle,
//! the test checks the invariants, and after the shutdown it checks that nothing is left.
//!
//! Invariants are cited by their numbers: I-02 names, I-03 groups, I-04 links and monitors, I-05
//! one signal for each end, I-06 one reason for each end, I-07 the order of a teardown, I-08 the
//! order of messages, I-20 timers, I-22 nothing left, I-25 counts and pids.

#[path = "../support/injected_panics.rs"]
mod injected_panics;
#[path = "../support/rng.rs"]
mod rng;
mod messages;
mod shared_state;
mod actor;
mod process;
mod quiescence;
mod invariants;
#[cfg(regrow_proof)]
mod trace_invariants;

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

use actor::Actor;
use regrow::Leftovers;
use shared_state::Field;

const THREADS: u64 = 4;

/// Four threads and hundreds of processes perform random operations of all kinds concurrently.
#[test]
#[cfg(not(regrow_proof))]
fn random_operations_lose_duplicate_and_leak_nothing() {
    for seed in seeds(1) {
        fire(200_000, seed);
    }
}

/// The same test with failpoints, which delay threads at critical steps, and with a trace that is
/// checked afterwards.
#[test]
#[cfg(regrow_proof)]
fn random_operations_lose_duplicate_and_leak_nothing() {
    use regrow::proof::{FailPlan, arm_failpoints, disarm_failpoints};
    for seed in seeds(8) {
        arm_failpoints(FailPlan { seed, yields: 50, pauses: 10 });
        fire(25_000, seed);
        disarm_failpoints();
    }
}

fn seeds(count: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("REGROW_SEED") {
        return vec![seed.parse().expect("REGROW_SEED is a number")];
    }
    let full = std::env::var("REGROW_PROOF").is_ok_and(|size| size == "full");
    (1..=if full { count * 10 } else { count }).collect()
}

fn fire(operations: i64, seed: u64) {
    injected_panics::hush_injected_panics();
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(4).enable_all().build().unwrap();
    let _inside = tokio.enter();
    let field = Arc::new(Field::new(operations));
    thread::scope(|scope| {
        for nth in 1..=THREADS {
            let mut actor = Actor::new(Arc::clone(&field), u64::MAX - nth, seed << 8 | nth);
            scope.spawn(move || actor.rage());
        }
    });
    tokio.block_on(settle_accounts(&field));
    #[cfg(regrow_proof)]
    field.notes().complaints.extend(trace_invariants::violations(&field.rt.trace()));
    report(&field, seed);
}

async fn settle_accounts(field: &Field) {
    let live = quiescence::rest(field).await;
    invariants::at_rest(field, &live.iter().map(|soldier| soldier.handle.pid()).collect());
    let rt = &field.rt;
    // A shutdown also counts the processes that the end of a linked process ends first.
    let stopped = rt.shutdown();
    if stopped != live.len() {
        field.complain("shutdown", format!("{stopped} of {} were counted", live.len()));
    }
    for soldier in &live {
        soldier.handle.join().await;
    }
    if rt.leftovers() != Leftovers::default() || rt.spawned() != rt.finished() {
        field.complain("I-22", (rt.leftovers(), rt.spawned(), rt.finished()));
    }
}

fn report(field: &Field, seed: u64) {
    let notes = field.notes();
    let complaints: HashSet<&String> = notes.complaints.iter().collect();
    let first: Vec<&String> = notes.complaints.iter().take(20).collect();
    let flags = if cfg!(regrow_proof) { "RUSTFLAGS='--cfg regrow_proof' " } else { "" };
    assert!(
        complaints.is_empty(),
        "under fire, seed {seed}, {} violations:\n{first:#?}\n{}\
         repeat: {flags}REGROW_SEED={seed} cargo test --release --test stress",
        complaints.len(),
        last_events(field),
    );
}

#[cfg(regrow_proof)]
fn last_events(field: &Field) -> String {
    let trace = field.rt.trace();
    let last = &trace[trace.len().saturating_sub(2_000)..];
    last.iter().map(|line| format!("  {} {:?}\n", line.seq, line.event)).collect()
}

#[cfg(not(regrow_proof))]
fn last_events(_: &Field) -> String {
    String::new()
}
