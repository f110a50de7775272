//! A test of [`Table`]: readers that overlap do not keep a writer out.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{scope, yield_now};

use crate::base::sync::Table;

/// The maximum number of reads that one thread may begin while the writer waits. Each begins
/// while a read of the other thread is in progress.
const RELAY: usize = 200_000;

/// The reads of two threads overlap, so that a read is always in progress: a read ends only
/// when the next has begun, or when the next has not begun for a while because a writer waits.
/// The writer still gets the lock.
#[test]
fn readers_that_overlap_do_not_keep_a_writer_out() {
    let table = Table::default();
    table.with_entry(7, |entry| *entry = Some("before"));
    let (inside, waits, written) =
        (AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let is_finished = |relays| written.load(SeqCst) || relays == RELAY;
    let relay = |first: usize| {
        let (mut number, mut relays) = (first, 0);
        while !is_finished(relays) {
            table.read(&7, |_| {
                inside.store(number, SeqCst);
                (0..20_000).any(|_| {
                    yield_now();
                    inside.load(SeqCst) > number
                })
            });
            number += 2;
            relays += usize::from(waits.load(SeqCst));
        }
        relays
    };
    let relay = &relay;
    let relays = scope(|scope| {
        let relays = [1, 2].map(|first| scope.spawn(move || relay(first)));
        while inside.load(SeqCst) < 2 {
            yield_now();
        }
        waits.store(true, SeqCst);
        table.with_entry(7, |entry| *entry = Some("after"));
        written.store(true, SeqCst);
        relays.map(|relay| relay.join().expect("it only reads"))
    });
    assert_eq!(table.get(&7), Some("after"));
    assert!(!relays.contains(&RELAY), "the writer came after all readers");
}
