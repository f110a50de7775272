//! The start of a supervisor waits for the children that its killed predecessor left behind: no
//! child overlaps with its successor, and no child finds its own name held. SUP-032, ONE-014, and
//! the invariant that incarnations of one id never overlap, I-12. OTP starts the supervisor at
//! once, and may use up its restarts because the names are held.

use crate::support;

use std::time::Duration;

use regrow::{
    CallError, ChildError, ChildSpec, ChildState, DynamicSupervisor, ExitReason, Leftovers,
    Restart, Runtime, Shutdown, StartError, Supervisor, SupervisorRef, SupervisorSpec,
};
use support::scripted_children::{ScriptedChildren, Stop};
use support::settled;
use tokio::time::{Instant, sleep};

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

fn inner() -> SupervisorSpec {
    Supervisor::one_for_one().named("inner")
}

/// Kills the supervisor of this name, when all processes are idle.
async fn strike(rt: &Runtime, name: &str) {
    settled().await;
    assert!(rt.kill(rt.whereis(name).expect("it runs")));
}

/// The supervisor is restarted after its orphan has ended; this counts as one restart.
#[tokio::test(start_paused = true)]
async fn the_next_incarnation_waits_for_the_orphans_of_a_killed_supervisor() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(30)));
    let inner = inner().child(t.child("brisk")).child(t.child("slow"));
    let top = Supervisor::one_for_one().intensity(1, ms(5_000)).child(inner);
    let top = top.start(&t.rt).await.unwrap();
    assert_eq!(t.reports().await, ["brisk starts", "slow starts"]);
    strike(&t.rt, "inner").await;
    let began = Instant::now();
    let mut told = Vec::new();
    while told.len() < 5 {
        sleep(ms(1)).await;
        told.extend(t.reports().await);
    }
    told[..2].sort();
    let order = ["brisk stops: killed", "slow stops: killed", "slow is gone"];
    assert_eq!(told[..3], order);
    assert_eq!(told[3..], ["brisk starts", "slow starts"]);
    assert!((ms(30)..ms(40)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(top.which_child("inner").await.unwrap().restarts, 1);
    assert_eq!(top.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// An orphan that ignores the stop is killed when its shutdown time is over. The restart follows
/// then.
#[tokio::test(start_paused = true)]
async fn an_unresponsive_orphan_delays_the_restart_by_its_shutdown_time() {
    let t = ScriptedChildren::new();
    t.on_stop("deaf", Stop::Deaf);
    let inner = inner().child(t.child("deaf").shutdown(Shutdown::Timeout(ms(700))));
    let top = Supervisor::one_for_one().child(inner).start(&t.rt).await.unwrap();
    strike(&t.rt, "inner").await;
    let killed = t.rt.whereis("deaf").unwrap();
    let began = Instant::now();
    assert_eq!(t.rt.ended(killed).await, ExitReason::Killed);
    assert_eq!(began.elapsed(), ms(700));
    settled().await;
    assert!(t.rt.whereis("deaf").is_some_and(|next| next != killed));
    assert!(top.stop().await.is_ok());
}

/// Grandchildren are waited for too: their own supervisor stops them in its order and with their
/// shutdown times.
#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_a_whole_orphaned_tree() {
    let mut t = ScriptedChildren::new();
    t.on_stop("a", Stop::Takes(ms(30)));
    t.on_stop("b", Stop::Takes(ms(40)));
    let deep = Supervisor::one_for_one().named("deep").child(t.child("a")).child(t.child("b"));
    let top = Supervisor::one_for_one().child(inner().child(deep)).start(&t.rt).await.unwrap();
    assert_eq!(t.reports().await.len(), 2);
    strike(&t.rt, "inner").await;
    sleep(ms(75)).await;
    let story = ["b stops: shutdown", "b is gone", "a stops: shutdown", "a is gone"];
    let told = t.reports().await;
    assert_eq!(told[..4], story);
    assert_eq!(told[4..], ["a starts", "b starts"]);
    assert!(top.stop().await.is_ok());
}

/// A supervisor that exceeded its shutdown time in a group restart was killed by its parent.
#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_orphans_of_a_supervisor_killed_by_its_parent() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let inner = ChildSpec::from(inner().child(t.child("slow")));
    let spec = Supervisor::one_for_all().child(t.child("x"));
    let spec = spec.child(inner.shutdown(Shutdown::Timeout(ms(10))));
    let top = spec.start(&t.rt).await.unwrap();
    assert_eq!(t.reports().await.len(), 2);
    t.crash("x");
    sleep(ms(60)).await;
    let told = t.reports().await;
    let gone = told.iter().position(|line| line == "slow is gone");
    let again = told.iter().position(|line| line == "slow starts");
    assert!(gone.is_some() && gone < again, "{told:?}");
    assert!(top.stop().await.is_ok());
}

/// A supervisor is terminated by hand with a brutal kill, and then restarted by hand.
#[tokio::test(start_paused = true)]
async fn a_restart_by_hand_waits_for_orphans() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let inner = ChildSpec::from(inner().child(t.child("slow")));
    let top = Supervisor::one_for_one().child(inner.shutdown(Shutdown::BrutalKill));
    let top = top.start(&t.rt).await.unwrap();
    assert_eq!(t.reports().await, ["slow starts"]);
    let began = Instant::now();
    assert_eq!(top.terminate_child("inner").await, Ok(()));
    assert_eq!(began.elapsed(), ms(0), "a brutal kill waits for the killed alone");
    assert!(top.restart_child("inner").await.is_ok());
    assert_eq!(began.elapsed(), ms(50));
    assert_eq!(t.reports().await, ["slow stops: killed", "slow is gone", "slow starts"]);
    assert!(top.stop().await.is_ok());
}

/// A dynamic supervisor serves other requests while it waits for orphans.
#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_serves_requests_while_it_waits_for_orphans() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let pool = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    let inner = ChildSpec::from(inner().child(t.child("slow"))).restart(Restart::Permanent);
    pool.start_child(inner).await.unwrap();
    assert_eq!(t.reports().await, ["slow starts"]);
    strike(&t.rt, "inner").await;
    let began = Instant::now();
    pool.start_child(t.child("other")).await.unwrap();
    assert_eq!(began.elapsed(), ms(0));
    sleep(ms(55)).await;
    let story = ["slow stops: killed", "other starts", "slow is gone", "slow starts"];
    assert_eq!(t.reports().await, story);
    assert!(pool.stop().await.is_ok());
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// A dynamic child that is terminated while it waits for orphans is not started any more.
#[tokio::test(start_paused = true)]
async fn a_dynamic_child_terminated_while_it_waits_for_orphans_is_not_started() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let pool = DynamicSupervisor::new().start(&t.rt).await.unwrap();
    let inner = ChildSpec::from(inner().child(t.child("slow")));
    let pid = pool.start_child(inner).await.unwrap();
    strike(&t.rt, "inner").await;
    settled().await;
    assert_eq!(pool.which_children().await.unwrap()[0].state, WAITS);
    assert_eq!(pool.terminate_child(pid).await, Ok(()));
    sleep(ms(60)).await;
    assert_eq!(t.reports().await, ["slow starts", "slow stops: killed", "slow is gone"]);
    assert_eq!(pool.count_children().await.unwrap().specs, 0);
}

/// A supervisor that is killed again or stopped while it waits for orphans leaves no process.
#[tokio::test(start_paused = true)]
async fn killing_a_supervisor_that_waits_for_orphans_leaves_no_process() {
    let t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let top = Supervisor::one_for_one().child(inner().child(t.child("slow")));
    let top = top.start(&t.rt).await.unwrap();
    strike(&t.rt, "inner").await;
    sleep(ms(10)).await;
    t.rt.kill(top.pid().unwrap());
    sleep(ms(50)).await;
    assert_eq!(t.rt.leftovers(), Leftovers::default());
    assert_eq!(t.rt.spawned(), t.rt.finished());
}

/// On several threads, the ends of orphans race with the restart. No name is ever found held, so
/// each kill costs one restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_kills_on_threads_cost_one_restart_each() {
    let rt = Runtime::new();
    let idle = |name: &'static str| ChildSpec::task(name, |_| std::future::pending()).named(name);
    let inner = ["a", "b", "c", "d"].map(idle).into_iter().fold(inner(), SupervisorSpec::child);
    let top = Supervisor::one_for_one().intensity(200, Duration::from_secs(3600)).child(inner);
    let top = top.start(&rt).await.unwrap();
    for nth in 1..=200 {
        let before = pid(&top).await;
        rt.kill(before);
        while top.which_child("inner").await.unwrap().pid().is_none_or(|pid| pid == before) {
            tokio::task::yield_now().await;
        }
        assert_eq!(top.which_child("inner").await.unwrap().restarts, nth);
    }
    assert_eq!(top.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(rt.leftovers(), Leftovers::default());
}

async fn pid(top: &SupervisorRef) -> regrow::Pid {
    top.which_child("inner").await.unwrap().pid().expect("it runs")
}

/// If an orphan is itself killed, the restart waits for the orphans of that orphan too.
#[tokio::test(start_paused = true)]
async fn a_restart_waits_for_the_orphans_of_a_killed_orphan() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let deep = Supervisor::one_for_one().named("deep").child(t.child("slow"));
    let deep = ChildSpec::from(deep).shutdown(Shutdown::BrutalKill);
    let top = Supervisor::one_for_one().intensity(1, ms(5_000)).child(inner().child(deep));
    let top = top.start(&t.rt).await.unwrap();
    strike(&t.rt, "inner").await;
    sleep(ms(60)).await;
    let story = ["slow starts", "slow stops: killed", "slow is gone", "slow starts"];
    assert_eq!(t.reports().await, story);
    assert_eq!(top.which_child("inner").await.unwrap().restarts, 1);
    assert!(top.stop().await.is_ok());
}

/// A supervisor is killed while it waits for orphans. Its parent then waits for them.
#[tokio::test(start_paused = true)]
async fn orphans_pass_to_the_parent_of_a_supervisor_killed_while_waiting() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let deep = Supervisor::one_for_one().named("deep").child(t.child("slow"));
    let top = Supervisor::one_for_one().intensity(1, ms(5_000)).child(inner().child(deep));
    let top = top.start(&t.rt).await.unwrap();
    strike(&t.rt, "deep").await;
    strike(&t.rt, "inner").await; // `inner` waits at this time
    sleep(ms(60)).await;
    let story = ["slow starts", "slow stops: killed", "slow is gone", "slow starts"];
    assert_eq!(t.reports().await, story);
    assert_eq!(top.which_child("inner").await.unwrap().restarts, 1);
    assert!(top.stop().await.is_ok());
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// An orphan that exceeds its shutdown time is killed. Its own children pass to the nearest live
/// supervisor above, even if the one directly above has ended.
#[tokio::test(start_paused = true)]
async fn orphans_pass_to_the_nearest_live_ancestor() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let low = Supervisor::one_for_one().named("low").child(t.child("slow"));
    let low = ChildSpec::from(low).shutdown(Shutdown::Timeout(ms(20)));
    let deep = Supervisor::one_for_one().named("deep").child(low);
    let top = Supervisor::one_for_one().intensity(1, ms(5_000)).child(inner().child(deep));
    let top = top.start(&t.rt).await.unwrap();
    strike(&t.rt, "deep").await;
    strike(&t.rt, "inner").await;
    sleep(ms(70)).await;
    let story = ["slow starts", "slow stops: shutdown", "slow is gone", "slow starts"];
    assert_eq!(t.reports().await, story);
    assert_eq!(top.which_child("inner").await.unwrap().restarts, 1);
    assert!(top.stop().await.is_ok());
}

/// Starts a supervisor whose child takes this many milliseconds to end after its supervisor is
/// killed.
async fn one_that_leaves(t: &ScriptedChildren, top: SupervisorSpec, takes: u64) -> SupervisorRef {
    t.on_stop("slow", Stop::Takes(ms(takes)));
    let inner = inner().child(t.child("slow").shutdown(Shutdown::Infinity));
    top.child(inner).child(t.child("sibling")).start(&t.rt).await.unwrap()
}

async fn state(top: &SupervisorRef, id: &str) -> ChildState {
    top.which_child(id).await.unwrap().state
}

const WAITS: ChildState = ChildState::Restarting { retry_in: None };

/// Only the child waits for the orphans: its parent answers requests, and restarts other children.
#[tokio::test(start_paused = true)]
async fn the_parent_serves_requests_and_restarts_while_orphans_end() {
    let mut t = ScriptedChildren::new();
    let top = one_that_leaves(&t, Supervisor::one_for_one(), 100_000).await;
    strike(&t.rt, "inner").await;
    let began = Instant::now();
    settled().await;
    assert_eq!(state(&top, "inner").await, WAITS);
    t.crash("sibling");
    settled().await;
    let told = t.reports().await;
    assert_eq!(told[told.len() - 2..], ["sibling stops: boom", "sibling starts"]);
    assert!(top.start_child(t.child("another")).await.is_ok());
    assert_eq!(top.tree().await.unwrap().root.children.len(), 3);
    let call = SupervisorRef::named(&t.rt, "inner").count_children().await;
    assert_eq!(call, Err(CallError::Restarting { retry_in: None }));
    assert!(began.elapsed() < ms(20), "nothing of this waited: {:?}", began.elapsed());
    sleep(ms(100_001)).await;
    assert!(matches!(state(&top, "inner").await, ChildState::Running(_)));
    assert_eq!(top.which_child("inner").await.unwrap().restarts, 1);
    assert_eq!(top.stop().await, Ok(ExitReason::Shutdown));
}

/// A termination or a stop does not wait for the orphans, and the child is not restarted
/// afterwards.
#[tokio::test(start_paused = true)]
async fn a_stop_or_termination_cancels_a_restart_that_waits_for_orphans() {
    let t = ScriptedChildren::new();
    let top = one_that_leaves(&t, Supervisor::one_for_one(), 500).await;
    strike(&t.rt, "inner").await;
    let began = Instant::now();
    settled().await;
    assert_eq!(top.terminate_child("inner").await, Ok(()));
    assert_eq!(state(&top, "inner").await, ChildState::Stopped);
    assert!(began.elapsed() < ms(20), "{:?}", began.elapsed());
    let call = SupervisorRef::named(&t.rt, "inner").count_children().await;
    assert_eq!(call, Err(CallError::NoHolder("inner".into())));
    sleep(ms(600)).await;
    assert_eq!(state(&top, "inner").await, ChildState::Stopped);
    assert!(top.restart_child("inner").await.is_ok());

    strike(&t.rt, "inner").await;
    settled().await;
    let began = Instant::now();
    assert_eq!(top.stop().await, Ok(ExitReason::Shutdown));
    assert!(began.elapsed() < ms(20), "{:?}", began.elapsed());
    sleep(ms(500)).await;
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// A group waits together: its other children are stopped at once, and all are started again in
/// order.
#[tokio::test(start_paused = true)]
async fn a_group_waits_together_for_the_orphans_of_one_member() {
    let mut t = ScriptedChildren::new();
    let top = one_that_leaves(&t, Supervisor::one_for_all(), 50).await;
    t.reports().await;
    strike(&t.rt, "inner").await;
    settled().await;
    let told = t.reports().await;
    assert_eq!(told, ["slow stops: killed", "sibling stops: shutdown"]);
    assert_eq!(
        (state(&top, "inner").await, state(&top, "sibling").await),
        (WAITS, ChildState::Stopped)
    );
    let sibling = t.server("sibling").call(|reply| reply).await;
    assert_eq!(sibling, Err(CallError::Restarting { retry_in: None }));
    sleep(ms(51)).await;
    assert_eq!(t.reports().await, ["slow is gone", "slow starts", "sibling starts"]);
    assert_eq!(top.which_child("inner").await.unwrap().restarts, 1);
    assert!(top.stop().await.is_ok());
}

/// A sibling that crashes meanwhile is restarted together with the waiting child, after the orphans
/// have ended. No child stays restarting for ever.
#[tokio::test(start_paused = true)]
async fn a_sibling_that_crashes_meanwhile_waits_for_the_same_orphans() {
    let mut t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let inner = inner().child(t.child("slow"));
    let top = Supervisor::rest_for_one().child(t.child("first")).child(inner);
    let top = top.child(t.child("last")).start(&t.rt).await.unwrap();
    t.reports().await;
    strike(&t.rt, "inner").await;
    settled().await;
    t.crash("first");
    settled().await;
    let told = t.reports().await;
    assert_eq!(told, ["slow stops: killed", "last stops: shutdown", "first stops: boom"]);
    sleep(ms(51)).await;
    assert_eq!(t.reports().await, ["slow is gone", "first starts", "slow starts", "last starts"]);
    for id in ["first", "inner", "last"] {
        assert!(matches!(state(&top, id).await, ChildState::Running(_)), "{id}");
    }
    assert!(top.stop().await.is_ok());
}

/// A start by hand that waits for orphans is answered with the new process, or with the outcome of
/// what happened to the child meanwhile.
#[tokio::test(start_paused = true)]
async fn a_start_by_hand_that_waits_for_orphans_is_always_answered() {
    for (meanwhile, takes) in [("nothing", 50), ("terminate", 50), ("delete", 50), ("stop", 0)] {
        let t = ScriptedChildren::new();
        t.on_stop("slow", Stop::Takes(ms(50)));
        let inner = ChildSpec::from(inner().child(t.child("slow")));
        let top = Supervisor::one_for_one().child(inner.shutdown(Shutdown::BrutalKill));
        let top = top.child(t.child("sibling")).start(&t.rt).await.unwrap();
        assert_eq!(top.terminate_child("inner").await, Ok(()));
        let began = Instant::now();
        let asker = top.clone();
        let asked = tokio::spawn(async move { asker.restart_child("inner").await });
        settled().await;
        assert_eq!(state(&top, "inner").await, WAITS);
        assert_eq!(top.restart_child("inner").await, Err(ChildError::Restarting("inner".into())));
        t.crash("sibling");
        settled().await;
        assert!(matches!(state(&top, "sibling").await, ChildState::Running(_)));
        match meanwhile {
            "terminate" => assert_eq!(top.terminate_child("inner").await, Ok(())),
            "delete" => {
                assert_eq!(top.terminate_child("inner").await, Ok(()));
                assert_eq!(top.delete_child("inner").await, Ok(()));
            }
            "stop" => assert!(top.stop().await.is_ok()),
            _ => {}
        }
        let answer = asked.await.unwrap();
        let took = began.elapsed();
        assert!((ms(takes)..ms(takes + 10)).contains(&took), "{meanwhile}: {took:?}");
        let right = match (meanwhile, &answer) {
            ("nothing", Ok(pid)) => t.rt.is_alive(*pid),
            ("terminate", Err(ChildError::NotStarted(StartError::Failed(reason))))
            | ("stop", Err(ChildError::Unreachable(CallError::Exited(reason)))) => {
                *reason == ExitReason::Shutdown
            }
            ("delete", Err(ChildError::NotFound(id))) => id == "inner",
            _ => false,
        };
        assert!(right, "{meanwhile}: {answer:?}");
    }
}

/// Another request replaces the start that waits, which is answered with what the child does then.
#[tokio::test(start_paused = true)]
async fn a_start_by_hand_that_another_one_replaces_is_answered_with_the_state_of_the_child() {
    let t = ScriptedChildren::new();
    t.on_stop("slow", Stop::Takes(ms(50)));
    let inner = ChildSpec::from(inner().child(t.child("slow")));
    let top = Supervisor::one_for_one().child(inner.shutdown(Shutdown::BrutalKill));
    let top = top.start(&t.rt).await.unwrap();
    let start = || {
        let asker = top.clone();
        tokio::spawn(async move { asker.restart_child("inner").await })
    };
    assert_eq!(top.terminate_child("inner").await, Ok(()));
    let first = start();
    settled().await;
    assert_eq!(top.terminate_child("inner").await, Ok(()));
    let second = start();
    // Its retry is stale when the orphans have ended: the child waits for that of the second.
    assert_eq!(first.await.unwrap(), Err(ChildError::Restarting("inner".into())));
    let pid = second.await.unwrap().unwrap();
    assert!(t.rt.is_alive(pid));
    assert!(top.stop().await.is_ok());
}

/// No kill of an orphan that overruns its shutdown time can be scheduled. All orphans are asked to stop
/// nevertheless.
#[test]
fn all_orphans_are_notified_in_a_tokio_runtime_without_time() {
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ids = ["one", "two", "three"];
    let asked = tokio.block_on(async {
        let rt = Runtime::new();
        let (asked, mut orphans) = tokio::sync::mpsc::unbounded_channel();
        let mut top = Supervisor::one_for_one();
        for id in ids {
            let asked = asked.clone();
            top = top.child(ChildSpec::task(id, move |mut ctx| {
                let asked = asked.clone();
                async move {
                    ctx.shutdown().await;
                    asked.send(id).expect("the test waits");
                    Ok(())
                }
            }));
        }
        let top = top.start(&rt).await.unwrap();
        tokio::task::yield_now().await;
        assert!(rt.kill(top.pid().expect("it runs")));
        let mut all = [orphans.recv().await, orphans.recv().await, orphans.recv().await];
        all.sort_unstable();
        all.map(Option::unwrap)
    });
    assert_eq!(asked, ["one", "three", "two"]);
}
