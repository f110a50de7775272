//! A seed that fails: its plan is shrunk, its report is complete, and one line repeats it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use regrow::Supervisor;
use regrow::testing::{ChaosPlan, Fault, chaos};

use crate::counters::{SECOND, counter, failure_of, one, three};
use crate::support::child_program::{command, kind};

/// A tree that may not restart "a" twice.
fn once_only(plan: &mut ChaosPlan) {
    plan.kinds([Fault::Kill, Fault::Hang]).faults(6..=12).duration(600 * SECOND);
    plan.always(|tree| tree.find("a").is_none_or(|node| node.restarts < 2));
}

/// The lines of the plan in this report.
fn plan(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| !line.starts_with("the plan, "));
    lines.skip(1).take_while(|line| !line.is_empty()).collect()
}

#[test]
fn a_plan_is_shrunk_to_the_faults_that_the_failure_needs() {
    let text = failure_of(|| chaos(0..1_000, three, once_only));
    let faults = plan(&text);
    assert_eq!(faults.len(), 2, "{text}");
    assert!(faults.iter().all(|line| line.ends_with(" kill a")), "{text}");
    assert!(text.contains("the plan, shrunk to 2 of "), "{text}");
    for part in ["\nthe tree at ", "2 restarts, last: killed", "\nwhat happened:", ": kill a\n"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The repeat line of the report, run as a child process, fails in the same way with the shrunk
/// plan.
#[test]
fn the_line_of_the_report_repeats_the_shrunk_plan() {
    let test = "failures::the_line_of_the_report_repeats_the_shrunk_plan";
    if kind().is_some() {
        chaos(0..1_000, three, once_only);
        return;
    }
    let text = failure_of(|| chaos(0..1_000, three, once_only));
    let line = text.lines().last().unwrap().trim();
    let (value, rest) = line.split_once(' ').unwrap();
    assert!(rest.ends_with(&format!("{test} -- --exact")) || rest.contains("chaos"), "{line}");
    let value = value.strip_prefix("REGROW_CHAOS=").unwrap();
    let repeated = command(test, "repeat").env("REGROW_CHAOS", value).output().unwrap();
    let errors =
        String::from_utf8(repeated.stderr).unwrap() + &String::from_utf8_lossy(&repeated.stdout);
    assert!(!repeated.status.success());
    assert_eq!(plan(&errors), plan(&text), "{errors}");
    assert!(errors.contains("the plan, 2 of "), "{errors}");
    let wrong = command(test, "repeat").env("REGROW_CHAOS", "seven").output().unwrap();
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("REGROW_CHAOS is \"seven\""));
}

/// The tree differs from run to run, by state that outlives a run. The report says so, and does not
/// claim a shrunk plan.
#[test]
fn a_run_that_does_not_repeat_is_reported_as_such() {
    let runs = AtomicUsize::new(0);
    let spec = || {
        let run = runs.fetch_add(1, SeqCst);
        let more = if run.is_multiple_of(2) { "b" } else { "c" };
        Supervisor::one_for_one().child(counter("a")).child(counter(more))
    };
    let text = failure_of(|| {
        chaos(3, spec, |plan| {
            plan.always(|tree| tree.find("a").is_none_or(|node| node.restarts < 1));
            plan.kinds([Fault::Kill]).only("a").faults(2..=2);
        })
    });
    assert!(text.contains("not shrunk, because the run does not repeat"), "{text}");
    assert!(text.contains("differs in line 3 of its log"), "{text}");
    assert!(text.contains("first:  0.000  spawned b as #3"), "{text}");
    assert!(text.contains("second: 0.000  spawned c as #3"), "{text}");
}

#[test]
fn a_failure_without_faults_shrinks_to_no_fault() {
    let text = failure_of(|| {
        chaos(3, one, |plan| {
            plan.workload(|_| async { Err("always")? });
        })
    });
    assert!(text.contains("the plan, shrunk to 0 of "), "{text}");
    assert!(text.contains("\nrepeat it with\n  REGROW_CHAOS=3: "), "{text}");
}

/// A plan is not shrunk to faults that fail in another way.
#[test]
fn a_plan_is_shrunk_to_faults_that_fail_in_the_same_way() {
    let text = failure_of(|| {
        chaos(0..100, three, |plan| {
            plan.kinds([Fault::Kill]).faults(6..=6).duration(600 * SECOND);
            let restarts = |tree: &regrow::testing::ChaosTree| {
                tree.snapshot().nodes().iter().map(|node| node.restarts).sum::<u32>()
            };
            plan.always(move |tree| if restarts(tree) >= 4 { Err("four") } else { Ok(()) });
            plan.finally(|_| async { Err("fewer")? });
        })
    });
    assert!(text.contains("did not hold: four"), "{text}");
    assert_eq!(plan(&text).len(), 4, "{text}");
}
