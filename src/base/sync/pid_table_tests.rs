//! Tests of [`PidTable`].

use std::collections::BTreeMap;

use crate::base::pid::Pid;
use crate::base::random::Random;
use crate::base::sync::PidTable;
use crate::base::sync::page::SLOTS;

fn pids(numbers: impl Iterator<Item = u64>) -> Vec<Pid> {
    numbers.map(Pid::from_raw).collect()
}

fn check(table: &PidTable<u64>, expected: &BTreeMap<Pid, u64>, last: u64) {
    let mut held = table.pids();
    held.sort_unstable();
    assert!(held.iter().eq(expected.keys()));
    let mut values = table.values();
    values.sort_unstable();
    assert!(values.iter().eq(expected.values()));
    assert_eq!(table.len(), expected.len());
    assert_eq!(table.inserted() - table.removed(), expected.len() as u64);
    let all = pids(0..last + 2);
    let found: Vec<_> = all.iter().map(|pid| table.get(*pid)).collect();
    assert!(found.iter().zip(&all).all(|(found, pid)| *found == expected.get(pid).copied()));
    assert!(all.iter().all(|pid| table.contains(*pid) == expected.contains_key(pid)));
    assert_eq!(table.get_all(&all, |value| *value > 0), found);
}

/// Entries come in nearly increasing order, as they do from several threads, with gaps, and go in
/// any order.
#[test]
fn a_table_is_a_map() {
    let mut random = Random::seeded(7);
    let (table, mut expected, mut last) = (PidTable::default(), BTreeMap::new(), 0);
    for round in 0..40 {
        for _ in 0..random.below(500) {
            last += 1 + random.below(largest_step(round)) as u64;
            let number = last - random.below(4).min(last as usize - 1) as u64;
            table.insert(Pid::from_raw(number), number);
            expected.insert(Pid::from_raw(number), number);
        }
        let keeps = random.below(100);
        for pid in table.pids() {
            if random.below(100) > keeps {
                assert_eq!(table.remove_and(pid, || ()), expected.remove(&pid));
                assert_eq!(table.remove_and(pid, || panic!("it was removed")), None);
            }
        }
        check(&table, &expected, last);
    }
}

/// The largest step from one pid to the next, plus 1, in a round.
fn largest_step(round: usize) -> usize {
    if round % 5 == 4 { 60 } else { 2 }
}

/// A writer holds one shard. A look-up of pids that are elsewhere does not wait for it.
#[test]
fn many_pids_lock_only_the_shards_that_have_one() {
    let table = PidTable::default();
    let shard_of = |pid: &Pid| table.at(*pid).shard;
    let (held, others): (Vec<Pid>, Vec<Pid>) =
        pids(1..1_000).into_iter().partition(|pid| shard_of(pid) == 0);
    others.iter().chain(&held).for_each(|pid| table.insert(*pid, pid.raw()));
    table.remove_and(held[0], || {
        let found = table.get_all(&others, |value| *value > 0);
        assert!(found.into_iter().eq(others.iter().map(|pid| Some(pid.raw()))));
    });
}

#[test]
fn pids_a_power_of_two_apart_are_spread_over_the_shards() {
    let table = PidTable::<()>::default();
    let mut counts = vec![0; table.shards.len()];
    (0..1_000).for_each(|n| counts[table.at(Pid::from_raw(n * 256 + 1)).shard] += 1);
    assert!(counts.iter().all(|count| *count < 3_000 / counts.len()), "{counts:?}");
}

/// Invariant 1. Of 64 pages' worth of processes, few are left.
#[test]
fn survivors_do_not_keep_the_memory_of_the_others() {
    let table = PidTable::default();
    let last = 64 * SLOTS * table.shards.len() as u64;
    pids(1..last).into_iter().for_each(|pid| table.insert(pid, pid.raw()));
    let survives = |pid: &Pid| pid.raw().is_multiple_of(1_000);
    let gone = table.pids().into_iter().filter(|pid| !survives(pid));
    gone.for_each(|pid| assert!(table.remove_and(pid, || ()).is_some()));
    let mut entries = 0;
    for shard in &table.shards {
        for (_, page) in &shard.read().older {
            assert!(!page.is_empty() && page.capacity() <= 2 * page.iter().count());
            entries += page.iter().count();
        }
    }
    assert!(entries.abs_diff(last as usize / 1_000) <= table.shards.len(), "{entries}");
    assert_eq!(table.len(), (last as usize - 1) / 1_000);
}
