//! The same seed gives the same run: within a program, and in two runs of the program.

use std::collections::BTreeSet;

use regrow::testing::{Fault, chaos};
use regrow::{
    Backoff, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Registry, Supervisor,
    SupervisorSpec,
};
use tokio::time::{Duration, sleep};

use crate::counters::{Counter, Get, SECOND, counter};
use crate::support::child_program::{command, kind};

/// A tree whose order of events would depend on hashes and on jitter: large groups, many links, and
/// backoffs.
fn shuffled() -> SupervisorSpec {
    let jitter = Backoff::new().first(SECOND).max(4 * SECOND).jitter(0.9);
    let crowd = DynamicSupervisor::new().named("crowd").intensity(1_000, SECOND).backoff(jitter);
    let links = ChildSpec::task("links", |ctx| async move {
        for _ in 0..20 {
            let helper = ctx.spawn_link(std::future::pending());
            ctx.runtime().set_label(helper.pid(), "helper");
        }
        std::future::pending().await
    });
    Supervisor::one_for_one()
        .intensity(1_000, SECOND)
        .backoff(jitter)
        .child(counter("a"))
        .child(crowd)
        .child(links)
}

fn log(seed: u64) -> String {
    let report = chaos(seed, shuffled, |plan| {
        plan.kinds([Fault::Kill, Fault::Hang, Fault::SlowInit, Fault::FailedStart]);
        plan.faults(8..=20).apart(Duration::from_millis(100));
        plan.workload(|rt| async move {
            let crowd = DynamicSupervisorRef::named(&rt, "crowd");
            let keys = Registry::<u64, ()>::unique(&rt);
            for key in 0..30 {
                let member = ChildSpec::task(format!("m{key}"), |_| std::future::pending());
                let Ok(pid) = crowd.start_child(member).await else { continue };
                rt.register_tag("crowd", pid);
                let _ = keys.register(pid, key, ());
            }
            for round in 0..5 {
                sleep(10 * SECOND).await;
                let _ = rt.server::<Counter>("a").call_waiting(Get, SECOND).await;
                if round == 3 {
                    rt.kill_tag("crowd");
                }
                for key in keys.all_keys().into_iter().take(3) {
                    for (pid, ()) in keys.lookup(&key) {
                        rt.kill(pid);
                    }
                }
            }
            Ok(())
        });
    });
    format!("seed {seed}\n{}\n", report.log())
}

#[test]
fn the_same_seed_gives_the_same_log_and_another_seed_another() {
    let logs: BTreeSet<String> = (0..10).map(log).collect();
    assert_eq!(logs.len(), 10);
    assert_eq!((0..10).map(log).collect::<BTreeSet<_>>(), logs);
}

/// Runs this program twice, as two processes with hash seeds and addresses of their own.
#[test]
fn the_same_seed_gives_a_byte_identical_log_in_two_runs_of_the_program() {
    let test = "repeats::the_same_seed_gives_a_byte_identical_log_in_two_runs_of_the_program";
    if kind().is_some() {
        (0..20).for_each(|seed| print!("{}", log(seed)));
        return;
    }
    let run = || {
        let output = command(test, "log").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        let from = printed.find("seed 0\n").expect("the log is printed");
        let to = printed.find("\ntest result").unwrap_or(printed.len());
        let logs = printed[from..to].to_owned();
        logs.rsplit_once("\nok").map_or(logs.clone(), |(logs, _)| logs.to_owned())
    };
    let first = run();
    assert!(first.matches("fault #").count() > 160, "{first}");
    assert!(first.matches("ended m").count() > 200, "{first}");
    assert!(first == run(), "two runs of the program differ");
}
