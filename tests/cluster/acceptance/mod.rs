//! The acceptance tests of nodes, by number. `list.md` says what each number shows, and by which
//! tests; the book shows it too. Tests whose names begin with `a` and the number belong to the list,
//! wherever they are.
//!
//! They run against real nodes of Erlang. Each takes at most half a minute; with `REGROW_PROOF=full`
//! each has its full length, and a test that is skipped fails. A test says what is missing when it is
//! skipped: Erlang, Elixir, or the right to make network namespaces. The times that the list promises
//! are checked only with `RUST_TEST_THREADS=1` as well.

mod hosts;
mod program;
mod terms;
mod silence;
mod splits;
mod simultaneous;
mod restarts;
mod groups;
mod alone;
mod supervisors;
mod elixir;

use std::collections::BTreeSet;
use std::path::Path;

use crate::beam::is_alone;

/// The numbers of the list.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=14;

const LIST: &str = include_str!("list.md");

/// Checks the time after which a silent node is lost, for a tick time in seconds: 3/4 of it to this
/// number of tick times. A machine that does other work as well may be late by any time, so the upper
/// bound is another one unless the test runs alone.
fn assert_silence(took: std::time::Duration, tick_time: u32, most: f64) {
    let (took, tick) = (took.as_secs_f64(), f64::from(tick_time));
    let most = if is_alone() { tick * most } else { 60.0 };
    assert!((tick * 0.7..most).contains(&took), "after {took} s");
    println!("lost after {took:.2} s");
}

/// Returns the names of the functions in a text.
fn functions(text: &str) -> BTreeSet<&str> {
    let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
    names.collect()
}

/// Returns the number of a test that belongs to the list: 6 for `a06_…`.
fn number(function: &str) -> Option<u32> {
    let digits = function.strip_prefix('a')?.split_once('_')?.0;
    (digits.len() == 2).then(|| digits.parse().ok())?
}

/// Returns the rows of the list: the first column, and the names in the last one.
fn rows() -> Vec<(&'static str, Vec<&'static str>)> {
    let rows = LIST.lines().filter_map(|line| {
        let (first, rest) = line.strip_prefix("| ")?.split_once(" |")?;
        let rest = rest.strip_suffix(" |")?;
        let tests = rest.rsplit_once("| ").map_or(rest, |(_, tests)| tests);
        Some((first, tests.split('`').skip(1).step_by(2).collect()))
    });
    rows.collect()
}

fn read(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// A name with a slash is a path: a benchmark, which is no test.
#[test]
fn every_number_has_a_test_and_the_list_names_each_test_of_a_number() {
    let (root, mut all) = (Path::new(env!("CARGO_MANIFEST_DIR")), String::new());
    read(&root.join("tests"), &mut all);
    let (there, rows) = (functions(&all), rows());
    let listed: BTreeSet<_> = rows.iter().flat_map(|(_, tests)| tests.iter().copied()).collect();
    let is_there =
        |name: &str| there.contains(name) || name.contains('/') && root.join(name).exists();
    let gone: Vec<_> = listed.iter().filter(|name| !is_there(name)).collect();
    assert!(gone.is_empty(), "list.md names tests that are not there: {gone:#?}");
    let numbered = there.iter().filter(|name| number(name).is_some());
    let missing: Vec<_> = numbered.filter(|name| !listed.contains(*name)).collect();
    assert!(missing.is_empty(), "list.md doesn't name {missing:#?}");
    for n in NUMBERS {
        let row = rows.iter().find(|(first, _)| *first == n.to_string());
        let (_, tests) = row.unwrap_or_else(|| panic!("list.md has no row {n}"));
        let own = |test: &&str| number(test) == Some(n) || test.contains('/');
        assert!(tests.iter().any(own), "row {n} names no test of its number");
        let other = tests.iter().find(|test| number(test).is_some_and(|number| number != n));
        assert_eq!(other, None, "row {n} names a test of another number");
    }
}
