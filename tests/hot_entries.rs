//! Lookups of one entry, by many threads without a pause, hold up nobody who changes it.
//!
//! Counted in lookups, not in time: what eight threads look up between the beginning and the
//! end of a change is a few reads that were under way, and what they do while the changing
//! thread waits for a processor. With a lock that prefers readers it is millions, where the
//! build is optimized; in others too little of a lookup is done under the lock. That no reader
//! overtakes a waiting writer is shown, in any build, by the unit test of the table.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use regrow::{Pid, Registry, Runtime};

const THREADS: usize = 8;
const ROUNDS: usize = 101;

/// Of half of the changes: threads that wait for a processor cost the others some.
const AT_MOST: usize = 100_000;

/// Changes something while eight threads look it up; the median of how many lookups were done
/// meanwhile.
fn lookups_during(lookup: impl Fn() + Sync, mut change: impl FnMut()) -> usize {
    let (over, lookups) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; THREADS]);
    let sum = || lookups.iter().map(|count| count.load(Ordering::Relaxed)).sum::<usize>();
    std::thread::scope(|scope| {
        for count in &lookups {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    lookup();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while lookups.iter().any(|count| count.load(Ordering::Relaxed) == 0) {
            std::thread::yield_now();
        }
        let mut counted: Vec<usize> = (0..ROUNDS)
            .map(|_| {
                let before = sum();
                change();
                sum() - before
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        counted.sort_unstable();
        counted[ROUNDS / 2]
    })
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[test]
fn threads_that_look_up_a_name_do_not_hold_up_a_change_of_its_holder() {
    let (rt, tokio) = (Runtime::new(), tokio());
    let _inside = tokio.enter();
    let holder = rt.spawn(|_| pending()).pid();
    assert!(rt.register("n", holder));
    let lookups = lookups_during(
        || assert_ne!(rt.whereis("n"), Some(Pid::OUTSIDE)),
        || assert!(rt.unregister("n") && rt.register("n", holder)),
    );
    assert!(lookups <= AT_MOST, "{lookups} lookups during one change");
}

#[test]
fn threads_that_look_up_a_name_do_not_hold_up_the_end_of_its_holder() {
    let (rt, tokio) = (Runtime::new(), tokio());
    let lookups = lookups_during(
        || assert_ne!(rt.whereis("n"), Some(Pid::OUTSIDE)),
        || {
            tokio.block_on(async {
                let holder = rt.spawn(|_| pending());
                assert!(rt.register("n", holder.pid()));
                assert!(holder.kill());
                holder.join().await;
                assert_eq!(rt.whereis("n"), None);
            });
        },
    );
    assert!(lookups <= AT_MOST, "{lookups} lookups during one end");
}

/// In the process table and at the process' own lock.
#[test]
fn threads_that_look_a_process_up_by_its_pid_do_not_hold_up_its_end() {
    let (rt, tokio) = (Runtime::new(), tokio());
    let looks: [fn(&Runtime, Pid); 3] = [
        |rt, pid| assert!(pid != Pid::OUTSIDE || !rt.is_alive(pid)),
        |rt, pid| assert!(pid != Pid::OUTSIDE || !rt.send(pid, Vec::new())),
        |rt, pid| assert!(pid != Pid::OUTSIDE || rt.info(pid).is_none()),
    ];
    for look in looks {
        let at = AtomicU64::new(Pid::OUTSIDE.raw());
        let lookups = lookups_during(
            || look(&rt, Pid::from_raw(at.load(Ordering::Relaxed))),
            || {
                tokio.block_on(async {
                    let process = rt.spawn(|_| pending());
                    at.store(process.pid().raw(), Ordering::Relaxed);
                    assert!(process.kill());
                    process.join().await;
                });
            },
        );
        assert!(lookups <= AT_MOST, "{lookups} lookups during one end");
    }
}

#[test]
fn threads_that_list_a_group_do_not_hold_up_who_joins_and_leaves_it() {
    let (rt, tokio) = (Runtime::new(), tokio());
    let _inside = tokio.enter();
    let member = rt.spawn(|_| pending()).pid();
    let lookups = lookups_during(
        || drop(rt.whereis_tag("g")),
        || assert!(rt.register_tag("g", member) && rt.unregister_tag("g", member)),
    );
    assert!(lookups <= AT_MOST, "{lookups} lookups during one change");
}

#[test]
fn threads_that_look_up_a_key_of_a_registry_do_not_hold_up_a_change_of_it() {
    let (rt, tokio) = (Runtime::new(), tokio());
    let _inside = tokio.enter();
    let registry: Registry<u8> = Registry::unique(&rt);
    let holder = rt.spawn(|_| pending()).pid();
    let lookups = lookups_during(
        || assert_ne!(registry.whereis(&7), Some(Pid::OUTSIDE)),
        || {
            registry.register(holder, 7, ()).unwrap();
            assert!(registry.unregister(holder, &7));
        },
    );
    assert!(lookups <= AT_MOST, "{lookups} lookups during one change");
}
