//! Seeded chaos: trees under faults that are drawn from a seed, on a paused clock.
#![cfg(feature = "chaos")]

#[path = "../support/mod.rs"]
mod support;

// The bank of the examples, which `examples.rs` runs. Its files import each other from the root.
// Only the example's `main` uses some of their items: hence `dead_code`.
#[allow(dead_code)]
#[path = "../../examples/bank/account.rs"]
mod account;
#[allow(dead_code)]
#[path = "../../examples/bank/clearing.rs"]
mod clearing;
#[allow(dead_code)]
#[path = "../../examples/bank/disk.rs"]
mod disk;
#[allow(dead_code)]
#[path = "../../examples/bank/tree.rs"]
mod tree;

mod counters;
mod faults;
mod checks;
mod failures;
mod repeats;
mod examples;
