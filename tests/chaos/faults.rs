//! What each kind of fault does to a process and to its callers, and which children it hits.

use std::time::Duration;

use regrow::testing::{ChaosPlan, Fault, chaos};
use regrow::{
    CallError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ExitReason, Restart, Result,
    Runtime, ServerRef, Supervisor, SupervisorRef,
};
use tokio::time::{Instant, sleep};

use crate::counters::{Counter, Get, MS, SECOND, counter, one, ten, three};

/// One fault of this kind at the start, which hits the counter "a".
fn at_once(plan: &mut ChaosPlan, fault: Fault) {
    plan.kinds([fault]).faults(1..=1).duration(Duration::ZERO).only("a");
}

fn a(rt: &Runtime) -> ServerRef<Counter> {
    rt.server("a")
}

#[test]
fn a_tree_with_the_default_intensity_survives_the_default_plans() {
    let report = chaos(0..200, ten, |plan| {
        plan.always(|tree| tree.runtime().process_count() <= 10);
        plan.eventually(Duration::ZERO, |tree| tree.is_up());
    });
    assert_eq!(report.runs(), 200);
    assert!((400..1_000).contains(&report.faults()), "{}", report.faults());
}

/// The causes of a restart by two faults do not come together.
#[test]
fn by_default_a_hang_is_over_before_the_next_fault() {
    for seed in 0..20 {
        let report = chaos(seed, three, |plan| {
            plan.kinds([Fault::Hang]).faults(6..=6);
        });
        let log = report.log().to_string();
        let hangs = log.lines().filter_map(|line| line.split_once(" for "));
        let hangs: Vec<f64> =
            hangs.filter_map(|(_, time)| time.split(' ').next()?.parse().ok()).collect();
        assert_eq!(hangs.len(), 6, "{log}");
        assert!(hangs.iter().all(|hang| *hang < 6.0), "{hangs:?}");
    }
}

#[test]
fn a_hanging_server_answers_when_the_hang_is_over() {
    chaos(1, one, |plan| {
        at_once(plan, Fault::Hang);
        plan.hang_for(3 * SECOND..=3 * SECOND);
        plan.workload(|rt| async move {
            sleep(MS).await;
            let start = Instant::now();
            a(&rt).cast(7);
            assert_eq!(a(&rt).call(Get).await, Ok(7));
            assert_eq!(start.elapsed(), 3 * SECOND - MS);
            Ok(())
        });
    });
}

#[test]
fn a_hanging_server_is_killed_at_once_and_its_successor_does_not_hang() {
    chaos(1, one, |plan| {
        at_once(plan, Fault::Hang);
        plan.hang_for(3 * SECOND..=3 * SECOND);
        plan.workload(|rt| async move {
            sleep(MS).await;
            let start = Instant::now();
            let hung = a(&rt).pid().unwrap();
            let ended = rt.ended(hung);
            rt.kill(hung);
            assert_eq!(ended.await, ExitReason::Killed);
            assert_eq!(a(&rt).call_waiting(Get, SECOND).await, Ok(0));
            assert_eq!(start.elapsed(), Duration::ZERO);
            Ok(())
        });
    });
}

#[test]
fn a_hanging_task_does_not_see_its_stop_request_and_is_killed() {
    let task = || {
        ChildSpec::task("a", |mut ctx| async move {
            ctx.shutdown().await;
            Ok(())
        })
    };
    let spec = || Supervisor::one_for_one().named("root").child(task());
    let report = chaos(1, spec, |plan| {
        at_once(plan, Fault::Hang);
        plan.hang_for(60 * SECOND..=60 * SECOND);
        plan.workload(|rt| async move {
            sleep(MS).await;
            let start = Instant::now();
            SupervisorRef::named(&rt, "root").terminate_child("a").await.unwrap();
            assert_eq!(start.elapsed(), 5 * SECOND);
            Ok(())
        });
    });
    assert!(report.log().contains("overran its stop a, #2: killed"), "{}", report.log());
}

#[test]
fn a_slow_start_delays_the_first_call_and_holds_the_name() {
    chaos(1, one, |plan| {
        at_once(plan, Fault::SlowInit);
        plan.slow_init_by(2 * SECOND..=2 * SECOND);
        plan.workload(|rt| async move {
            let first = a(&rt).pid();
            sleep(MS).await;
            let start = Instant::now();
            assert!(a(&rt).pid().is_some() && a(&rt).pid() != first);
            assert_eq!(a(&rt).call(Get).await, Ok(0));
            assert_eq!(start.elapsed(), 2 * SECOND - MS);
            Ok(())
        });
    });
}

#[test]
fn a_slow_start_counts_against_the_init_timeout() {
    let spec = || Supervisor::one_for_one().child(counter("a").init_timeout(SECOND));
    let report = chaos(1, spec, |plan| {
        at_once(plan, Fault::SlowInit);
        plan.slow_init_by(2 * SECOND..=2 * SECOND);
        plan.eventually(Duration::ZERO, |tree| tree.is_up());
    });
    let log = report.log();
    assert!(log.contains("1.000  start of a failed: error: its init took longer than 1s"), "{log}");
}

#[test]
fn a_failed_start_is_repeated_by_the_supervisor() {
    let report = chaos(1, one, |plan| {
        at_once(plan, Fault::FailedStart);
        plan.failed_starts(2..=2);
        plan.eventually(Duration::ZERO, |tree| tree.is_up());
    });
    let log = report.log();
    assert_eq!(log.matches("start of a failed: the chaos run fails this start").count(), 2);
    assert_eq!(log.matches("spawned a as").count(), 4, "{log}");
}

#[test]
fn a_task_whose_start_fails_ends_and_is_restarted() {
    let job = || ChildSpec::task("a", |_| std::future::pending());
    let report = chaos(
        1,
        || Supervisor::one_for_one().child(job()),
        |plan| {
            at_once(plan, Fault::FailedStart);
            plan.failed_starts(1..=1);
            plan.eventually(Duration::ZERO, |tree| tree.is_up());
        },
    );
    assert_eq!(report.log().matches("ended a, #").count(), 3, "{}", report.log());
}

#[test]
fn a_lost_call_runs_into_its_limit_and_the_next_one_is_answered() {
    chaos(1, one, |plan| {
        at_once(plan, Fault::LostMessages);
        plan.lost_messages(1..=1);
        plan.workload(|rt| async move {
            sleep(MS).await;
            let start = Instant::now();
            let lost = a(&rt).call(Get).await;
            assert!(matches!(lost, Err(CallError::Timeout)), "{lost:?}");
            assert_eq!(start.elapsed(), 5 * SECOND);
            assert_eq!(a(&rt).call(Get).await, Ok(0));
            Ok(())
        });
    });
}

#[test]
fn the_caller_of_a_lost_call_gets_the_exit_reason_of_the_server() {
    chaos(1, one, |plan| {
        at_once(plan, Fault::LostMessages);
        plan.lost_messages(1..=1);
        plan.workload(|rt| async move {
            sleep(MS).await;
            let start = Instant::now();
            let kill = async {
                sleep(SECOND).await;
                rt.kill(rt.whereis("a").unwrap());
            };
            let server = a(&rt);
            let (lost, ()) = tokio::join!(server.call(Get), kill);
            assert_eq!(lost, Err(CallError::Exited(ExitReason::Killed)));
            assert_eq!(start.elapsed(), SECOND);
            Ok(())
        });
    });
}

#[test]
fn a_lost_cast_is_accepted_and_signals_are_not_lost() {
    chaos(1, one, |plan| {
        at_once(plan, Fault::LostMessages);
        plan.lost_messages(2..=2);
        plan.workload(|rt| async move {
            sleep(MS).await;
            a(&rt).cast(1);
            a(&rt).cast(2);
            a(&rt).cast(4);
            assert_eq!(a(&rt).call(Get).await, Ok(4));
            let stopped = a(&rt).ended();
            rt.exit(a(&rt).pid().unwrap(), ExitReason::Shutdown);
            assert_eq!(stopped.await, ExitReason::Shutdown);
            Ok(())
        });
    });
}

#[test]
fn faults_hit_only_the_children_that_are_not_spared() {
    let hit = |only: Option<&'static str>, spare: Option<&'static str>| {
        let report = chaos(1, ten, |plan| {
            plan.kinds([Fault::Kill]).faults(10..=10).duration(Duration::from_secs(3_600));
            only.map(|path| plan.only(path));
            spare.map(|path| plan.spare(path));
        });
        let log = report.log();
        let kills = log.lines().filter_map(|line| Some(line.split_once(": kill ")?.1.to_owned()));
        let kills = kills.filter(|path| !path.starts_with("nothing"));
        kills.collect::<std::collections::BTreeSet<_>>()
    };
    let within = |paths: &[&str], all: &std::collections::BTreeSet<String>| {
        all.iter().all(|path| paths.contains(&path.as_str()))
    };
    assert!(hit(None, None).len() > 3);
    assert!(within(&["left", "left/a", "left/b"], &hit(Some("left"), None)));
    assert!(within(&["left", "left/b"], &hit(Some("left"), Some("left/a"))));
    assert!(hit(Some("nobody"), None).is_empty());
    assert!(!hit(None, Some("left")).iter().any(|path| path.starts_with("left")));
}

/// A supervisor runs no code of a user, so it does not hang, and is sent no user's message.
#[test]
fn a_supervisor_neither_hangs_nor_loses_messages() {
    let report = chaos(0..20, ten, |plan| {
        plan.kinds([Fault::Hang, Fault::LostMessages]).only("left").only("right");
    });
    assert!(report.faults() > 20);
    for line in report.log().lines().filter(|line| line.contains("fault #")) {
        assert!(line.contains("left/") || line.contains("right/"), "{line}");
    }
}

#[test]
fn dynamic_children_are_hit_as_soon_as_they_run() {
    let spec = || {
        let rooms = DynamicSupervisor::new().named("rooms").intensity(1_000, SECOND);
        Supervisor::one_for_one().child(rooms)
    };
    let report = chaos(1, spec, |plan| {
        plan.kinds([Fault::Kill]).faults(5..=5).only("rooms/room").only("rooms/room[2]");
        plan.workload(|rt| async move {
            let rooms = DynamicSupervisorRef::named(&rt, "rooms");
            for _ in 0..2 {
                let room = ChildSpec::task("room", |_| std::future::pending());
                rooms.start_child(room.restart(Restart::Permanent)).await.unwrap();
            }
            Ok(())
        });
        plan.eventually(Duration::ZERO, |tree| tree.snapshot().nodes().len() == 4 && tree.is_up());
    });
    let log = report.log();
    assert!(log.contains("kill rooms/room\n") && log.contains("kill rooms/room[2]\n"), "{log}");
}

/// Hooks of chaos runs read one empty cell in any other runtime.
#[tokio::test(start_paused = true)]
async fn another_runtime_beside_a_chaos_run_is_not_affected() -> Result {
    let rt = Runtime::with_mailbox_depth();
    let tree = one().start(&rt).await?;
    let ran = tokio::task::spawn_blocking(|| {
        chaos(0..5, one, |plan| {
            plan.kinds([Fault::LostMessages, Fault::Kill]);
        })
    });
    for _ in 0..100 {
        a(&rt).cast(1);
        tokio::task::yield_now().await;
    }
    assert_eq!(a(&rt).call(Get).await, Ok(100));
    assert_eq!(ran.await.unwrap().runs(), 5);
    tree.stop().await?;
    Ok(())
}

/// A path is spared with what is below it, and not every path that begins with the same letters.
#[test]
fn a_spared_path_does_not_spare_a_longer_id() {
    let spec = || {
        let tree = Supervisor::one_for_one().intensity(1_000, SECOND);
        tree.child(counter("a")).child(counter("ab"))
    };
    let report = chaos(1, spec, |plan| {
        plan.kinds([Fault::Kill]).faults(10..=10).spare("a");
    });
    let log = report.log();
    assert_eq!(log.matches(": kill ab").count(), 10, "{log}");
}
