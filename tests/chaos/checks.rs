//! Invariants, workloads and last checks: when they run, and how each of them fails a run.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::testing::{ChaosPlan, Fault, chaos};
use regrow::{ChildSpec, Result, Supervisor};
use tokio::time::sleep;

use crate::counters::{Get, MS, SECOND, failure_of, one, three};

/// No faults, so that a run is over at once.
fn calm(plan: &mut ChaosPlan) {
    plan.kinds([]);
}

/// Each of three tasks sets the number to its own, in one poll each. The invariant sees each of the
/// numbers, although the polls follow each other without a pause.
#[test]
fn invariants_are_looked_at_after_every_poll_of_a_process() {
    let number = Arc::new(AtomicU64::new(0));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let spec = || {
        let task = |id: u64| {
            let number = number.clone();
            ChildSpec::task(format!("t{id}"), move |_| async move {
                for round in 1..=3 {
                    tokio::task::yield_now().await;
                    number.store(10 * round + id, SeqCst);
                }
                std::future::pending().await
            })
        };
        Supervisor::one_for_one().child(task(1)).child(task(2)).child(task(3))
    };
    chaos(1, spec, |plan| {
        calm(plan);
        let (number, seen) = (number.clone(), seen.clone());
        plan.always(move |_| {
            let mut seen = seen.lock().unwrap();
            let now = number.load(SeqCst);
            if seen.last() != Some(&now) {
                seen.push(now);
            }
            true
        });
        plan.workload(|_| async {
            sleep(MS).await;
            Ok(())
        });
    });
    let mut seen = seen.lock().unwrap().clone();
    seen.retain(|number| *number > 0);
    seen.sort_unstable();
    assert_eq!(seen, [11, 12, 13, 21, 22, 23, 31, 32, 33]);
}

/// The name of a killed child is free until its successor has registered it.
#[test]
fn invariants_are_looked_at_after_the_end_of_a_process() {
    let free = Arc::new(AtomicU64::new(0));
    chaos(7, one, |plan| {
        plan.kinds([Fault::Kill]).faults(1..=1);
        let free = free.clone();
        plan.always(move |tree| {
            if tree.runtime().whereis("a").is_none() {
                free.fetch_add(1, SeqCst);
            }
            true
        });
    });
    assert!(free.load(SeqCst) > 0);
}

#[test]
fn an_invariant_that_fails_stops_the_run_at_that_step() {
    let text = failure_of(|| {
        chaos(7, one, |plan| {
            plan.kinds([Fault::Kill]).faults(1..=1);
            plan.always(|tree| match tree.find("a").map_or(0, |node| node.restarts) {
                0 => Ok(()),
                many => Err(format!("a was restarted {many} times")),
            });
        })
    });
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("chaos at tests/chaos/checks.rs:"), "{first}");
    assert!(first.contains(", seed 7: what holds always, at tests/chaos/checks.rs:"), "{first}");
    assert!(first.ends_with(" did not hold: a was restarted 1 times"), "{first}");
}

#[test]
fn an_invariant_that_returns_false_or_panics_fails_too() {
    let text = failure_of(|| chaos(7, one, |plan| drop_ref(plan.always(|_| false))));
    assert!(text.lines().next().unwrap().ends_with(" did not hold"), "{text}");
    let text = failure_of(|| {
        chaos(7, one, |plan| {
            plan.always(|tree| -> bool { panic!("after {:?}", tree.elapsed()) });
        })
    });
    assert!(text.lines().next().unwrap().ends_with(" did not hold: panicked: after 0ns"), "{text}");
}

fn drop_ref(_: &mut ChaosPlan) {}

#[test]
fn what_holds_eventually_has_its_time_from_the_end_of_the_last_fault() {
    let run = |within| {
        move || {
            chaos(7, one, |plan| {
                plan.kinds([Fault::Kill]).faults(1..=1).duration(Duration::ZERO);
                // True 2 s after the millisecond in which the fault has its effects.
                plan.eventually(within, |tree| tree.elapsed() >= 2 * SECOND + MS);
            })
        }
    };
    assert_eq!(run(2 * SECOND)().runs(), 1);
    let text = failure_of(run(2 * SECOND - MS));
    let first = text.lines().next().unwrap();
    assert!(first.contains("what holds eventually, at tests/chaos/checks.rs:"), "{first}");
    assert!(
        first.ends_with("did not hold within 1.999 s after the last fault was over"),
        "{first}"
    );
}

#[test]
fn what_holds_eventually_may_be_false_at_every_step_before() {
    let tries = Arc::new(AtomicU64::new(0));
    chaos(7, three, |plan| {
        let tries = tries.clone();
        plan.eventually(200 * SECOND, move |_| -> Result<(), &str> {
            if tries.fetch_add(1, SeqCst) < 3 { Err("not yet") } else { Ok(()) }
        });
        plan.workload(|rt| async move {
            sleep(100 * SECOND).await;
            let server = rt.server::<crate::counters::Counter>("a");
            for _ in 0..9 {
                server.call(Get).await.unwrap();
            }
            Ok(())
        });
    });
    assert_eq!(tries.load(SeqCst), 4);
}

#[test]
fn a_workload_fails_the_run_by_an_error_by_a_panic_and_by_not_returning() {
    let fails = |work: fn() -> std::pin::Pin<Box<dyn Future<Output = Result> + Send>>| {
        let text = failure_of(|| {
            chaos(7, one, |plan| {
                calm(plan);
                plan.workload(move |_| work());
            })
        });
        text.lines().next().unwrap().split_once("seed 7: ").unwrap().1.to_owned()
    };
    assert!(
        fails(|| Box::pin(async { Err("no money")? }))
            .starts_with("a workload failed: error: no money")
    );
    let panic = fails(|| Box::pin(async { panic!("no luck") }));
    assert_eq!(panic, "a workload failed: panicked: no luck");
    let late = fails(|| Box::pin(std::future::pending()));
    assert_eq!(late, "a workload had not returned an hour after the last fault was over");
}

#[test]
fn a_last_check_runs_after_the_workloads_and_may_call_servers() {
    chaos(7, one, |plan| {
        plan.kinds([Fault::Hang]);
        plan.workload(|rt| async move {
            sleep(100 * SECOND).await;
            rt.server::<crate::counters::Counter>("a").cast(3);
            Ok(())
        });
        plan.finally(|rt| async move {
            assert_eq!(rt.server::<crate::counters::Counter>("a").call(Get).await, Ok(3));
            Ok(())
        });
    });
    let text = failure_of(|| {
        chaos(7, one, |plan| {
            plan.finally(|_| async { Err("wrong sum")? });
        })
    });
    assert!(text.contains("seed 7: a last check failed: error: wrong sum"), "{text}");
}

#[test]
fn a_tree_that_ends_by_itself_fails_the_run_unless_it_may() {
    let spec =
        || Supervisor::one_for_one().intensity(0, SECOND).child(crate::counters::counter("a"));
    let configure = |plan: &mut ChaosPlan| {
        plan.kinds([Fault::Kill]).faults(1..=1).eventually(SECOND, |tree| tree.is_up());
    };
    let text = failure_of(|| chaos(7, spec, configure));
    assert!(text.contains("seed 7: the tree ended by itself: "), "{text}");
    let report = chaos(7, spec, |plan| {
        configure(plan);
        plan.may_end();
    });
    assert!(report.log().contains("supervisor #1 gave up at a"), "{}", report.log());
}

#[test]
fn a_tree_that_does_not_start_fails_the_run() {
    let spec = || one().child(crate::counters::counter("a"));
    let text = failure_of(|| chaos(7, spec, calm));
    let why = "seed 7: the tree did not start: there are two children with the id \"a\"";
    assert!(text.contains(why), "{text}");
}

#[test]
fn zero_and_endless_times_have_their_meaning() {
    for time in [Duration::ZERO, Duration::MAX] {
        let report = chaos(7, three, |plan| {
            plan.kinds([Fault::Kill]).faults(3..=3).duration(time).apart(time);
            plan.eventually(time, |tree| tree.is_up());
        });
        // `apart` beyond the duration leaves one fault.
        assert_eq!(report.faults(), if time.is_zero() { 3 } else { 1 });
    }
}

#[test]
#[should_panic(expected = "the range 5..=4 is empty")]
fn an_empty_range_is_refused() {
    let (five, four) = (5, 4);
    chaos(7, one, |plan| drop_ref(plan.faults(five..=four)));
}

#[test]
fn a_tree_that_does_not_stop_fails_the_run() {
    let deaf = || {
        let deaf = ChildSpec::task("deaf", async |mut ctx: regrow::TaskContext| {
            let _stop = ctx.cancellation_token();
            std::future::pending().await
        });
        Supervisor::one_for_one().child(deaf.shutdown(regrow::Shutdown::Infinity))
    };
    let text = failure_of(|| chaos(7, deaf, calm));
    assert!(text.contains("seed 7: the tree did not stop"), "{text}");
}
