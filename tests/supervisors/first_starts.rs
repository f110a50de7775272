//! Children whose failed first start is tried again while their supervisor comes up.

use crate::support;

use std::time::Duration;

use regrow::{
    AutoShutdown, Backoff, CallError, ChildSpec, Exhausted, ExitReason, GenServer, Health,
    LifecycleEvent, Limit, Readiness, Reply, Restart, Result, ServerContext, StartError,
    Supervisor, SupervisorSpec,
};
use support::scripted_children::{ScriptedChildren, Start, limit, pids, states};
use support::{idle, settled};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A child that is tried again after 1 s, 2 s, 4 s …
fn patient(child: ChildSpec) -> ChildSpec {
    child.backoff(Backoff::new().jitter(0.0)).retry_first_start(true)
}

fn three(t: &ScriptedChildren, spec: SupervisorSpec) -> SupervisorSpec {
    spec.child(t.child("a")).child(patient(t.child("b"))).child(t.child("c"))
}

fn strategies() -> [SupervisorSpec; 3] {
    [Supervisor::one_for_one(), Supervisor::one_for_all(), Supervisor::rest_for_one()]
}

/// Later siblings start without waiting, and are not restarted when the child comes up.
#[tokio::test(start_paused = true)]
async fn a_tree_comes_up_without_a_child_whose_first_start_fails() {
    for spec in strategies() {
        let mut t = ScriptedChildren::new();
        t.next_starts("b", [Start::Fails, Start::Fails]);
        let tree = three(&t, spec).start(&t.rt).await.unwrap();
        assert_eq!(t.reports().await, ["a starts", "b fails", "c starts"]);
        assert_eq!(states(&tree).await, ["a runs", "b restarting in 999 ms", "c runs"]);
        let health = tree.tree().await.unwrap().health();
        assert_eq!((health.to_string().as_str(), health.is_serving()), ("b is starting", false));

        let before = pids(&tree).await;
        tokio::time::sleep(ms(1_500)).await;
        assert_eq!(states(&tree).await, ["a runs", "b restarting in 1499 ms", "c runs"]);
        tokio::time::sleep(ms(2_000)).await;
        assert_eq!(t.reports().await, ["b fails", "b starts"]);
        let after = pids(&tree).await;
        assert_eq!((after[0], after[2]), (before[0], before[2]));
        assert!(tree.tree().await.unwrap().health().is_serving());
        assert_eq!(tree.which_child("b").await.unwrap().restarts, 2);
        tree.stop().await.unwrap();
    }
}

/// After its first start the child is an ordinary member of its group.
#[tokio::test(start_paused = true)]
async fn after_its_first_start_the_strategy_applies_to_the_child() {
    let mut t = ScriptedChildren::new();
    t.next_starts("b", [Start::Fails]);
    let _tree = three(&t, Supervisor::rest_for_one()).start(&t.rt).await.unwrap();
    tokio::time::sleep(ms(1_100)).await;
    t.reports().await;
    t.crash("b");
    tokio::time::sleep(ms(2_100)).await;
    let down = ["b stops: boom", "c stops: shutdown", "b starts", "c starts"];
    assert_eq!(t.reports().await, down);
}

/// Another member fails while the child waits for its first start, and the child fails again in
/// the restart of the group.
#[tokio::test(start_paused = true)]
async fn a_restart_of_the_group_goes_on_without_a_child_that_has_never_run() {
    let mut t = ScriptedChildren::new();
    t.next_starts("b", [Start::Fails, Start::Fails]);
    let tree = three(&t, Supervisor::one_for_all()).start(&t.rt).await.unwrap();
    t.reports().await;
    t.crash("a");
    let restart = ["a stops: boom", "c stops: shutdown", "a starts", "b fails", "c starts"];
    assert_eq!(t.reports().await, restart);
    // The first retry is stale; the second is due two seconds after the second failure.
    assert_eq!(states(&tree).await, ["a runs", "b restarting in 1999 ms", "c runs"]);
    tokio::time::sleep(ms(2_100)).await;
    assert_eq!(t.reports().await, ["b starts"]);
    assert_eq!(states(&tree).await, ["a runs", "b runs", "c runs"]);
}

/// Another member waits for a restart of the group. The own retry of a child that has never run
/// comes first, also if the restart is cancelled.
#[tokio::test(start_paused = true)]
async fn a_restart_of_the_group_that_waits_or_is_cancelled_does_not_put_off_a_first_start() {
    for cancelled in [false, true] {
        let mut t = ScriptedChildren::new();
        t.next_starts("b", [Start::Fails]);
        let slow = Backoff::new().jitter(0.0).first(Duration::from_secs(10));
        let spec = Supervisor::one_for_all().child(patient(t.child("b")));
        let tree = spec.child(t.child("c").backoff(slow)).start(&t.rt).await.unwrap();
        t.crash("c");
        t.reports().await;
        let Err(CallError::Restarting { retry_in }) = t.server("b").call(|reply| reply).await
        else {
            panic!()
        };
        assert!(retry_in.unwrap() <= ms(1_000), "{retry_in:?}");
        if cancelled {
            tree.terminate_child("c").await.unwrap();
        }
        tokio::time::sleep(ms(1_100)).await;
        assert_eq!(t.reports().await, ["b starts"]);
        assert_eq!(states(&tree).await[0], "b runs");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let c = if cancelled { "c stopped" } else { "c runs" };
        assert_eq!(states(&tree).await, ["b runs", c]);
    }
}

/// The name is reserved while the child waits, and callers by the name learn when to come back.
#[tokio::test(start_paused = true)]
async fn the_name_of_a_child_that_waits_for_its_first_start_is_reserved() {
    let t = ScriptedChildren::new();
    t.next_starts("b", [Start::Fails]);
    let tree = three(&t, Supervisor::one_for_one()).start(&t.rt).await.unwrap();
    let stranger = idle(&t.rt);
    assert!(!t.rt.register("b", stranger));
    let Err(CallError::Restarting { retry_in }) = t.server("b").call(|reply| reply).await else {
        panic!()
    };
    assert_eq!(retry_in, Some(ms(1_000)));
    let pid = t.server("b").call_waiting(|reply| reply, Duration::from_secs(5)).await.unwrap();
    assert_eq!(pids(&tree).await[1], Some(pid));

    // A terminated child waits no longer, and its name is free.
    t.next_starts("d", [Start::Fails]);
    let other = Supervisor::rest_for_one().child(patient(t.child("d"))).child(t.child("e"));
    let other = other.start(&t.rt).await.unwrap();
    other.terminate_child("d").await.unwrap();
    assert!(t.rt.register("d", stranger));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(states(&other).await, ["d stopped", "e runs"]);
}

/// The limits of restarts apply.
#[tokio::test(start_paused = true)]
async fn a_first_start_that_never_succeeds_reaches_the_limit() {
    for exhausted in [None, Some(Exhausted::GiveUp)] {
        let t = ScriptedChildren::new();
        t.next_starts("b", [Start::Fails; 99]);
        let mut b = patient(t.child("b"));
        if let Some(exhausted) = exhausted {
            b = b.restart_budget(1, Duration::from_secs(60), exhausted);
        }
        let mut events = t.rt.events();
        let tree =
            Supervisor::one_for_one().child(b).child(t.child("c")).start(&t.rt).await.unwrap();
        if exhausted.is_some() {
            let pid = loop {
                if let LifecycleEvent::GivenUp { pid, .. } = events.next().await.unwrap() {
                    break pid;
                }
            };
            assert_eq!(pid, None);
            assert_eq!(states(&tree).await, ["b given up", "c runs"]);
            continue;
        }
        let reason = tree.ended().await;
        let limit = limit(&reason);
        assert_eq!((limit.child.as_str(), limit.limit), ("b", Limit::NoHealthyRun));
        assert_eq!(limit.period, Duration::from_secs(15 * 60));
    }
}

/// Without a backoff the retries count against the budget, and the supervisor has started.
#[tokio::test(start_paused = true)]
async fn without_a_backoff_the_retries_of_a_first_start_count() {
    let t = ScriptedChildren::new();
    t.next_starts("a", [Start::Fails; 3]);
    let child = || t.child("a").retry_first_start(true);
    let tree = Supervisor::one_for_one().child(child()).start(&t.rt).await.unwrap();
    settled().await;
    assert_eq!(states(&tree).await, ["a runs"]);
    assert_eq!(tree.tree().await.unwrap().root.budget().unwrap().left, 0);
    tree.stop().await.unwrap();

    t.next_starts("a", [Start::Fails; 4]);
    let tree = Supervisor::one_for_one().child(child()).start(&t.rt).await.unwrap();
    let reason = tree.ended().await;
    assert_eq!((limit(&reason).child.as_str(), limit(&reason).restarts), ("a", 3));
}

/// Errors that no retry mends, and starts on request, are errors as ever.
#[tokio::test(start_paused = true)]
async fn a_first_start_is_not_retried_where_no_retry_helps_or_a_caller_waits() {
    let t = ScriptedChildren::new();
    let twice = Supervisor::one_for_one().child(t.child("x")).child(t.child("x")).with_id("twice");
    let tree = Supervisor::one_for_one().child(patient(twice.into())).start(&t.rt).await;
    assert!(matches!(tree.unwrap_err(), StartError::Child { id, .. } if id == "twice"));

    let tree = Supervisor::one_for_one().start(&t.rt).await.unwrap();
    t.next_starts("b", [Start::Fails]);
    assert!(tree.start_child(patient(t.child("b"))).await.is_err());
    assert!(states(&tree).await.is_empty());
    assert!(t.rt.register("b", idle(&t.rt)), "its name is free");
}

/// A nested supervisor is a patient child like any other. A kill at its time limit leaves
/// orphans, and the retry waits for them.
#[tokio::test(start_paused = true)]
async fn the_first_start_of_a_supervisor_is_retried() {
    let mut t = ScriptedChildren::new();
    t.next_starts("y", [Start::FailsAfter(Duration::from_secs(9)), Start::Fails]);
    let inner = Supervisor::one_for_one().with_id("inner").child(t.child("x")).child(t.child("y"));
    let inner = patient(inner.into()).init_timeout(ms(500));
    let tree = Supervisor::rest_for_one().child(inner).child(t.child("z"));
    let tree = tree.start(&t.rt).await.unwrap();
    assert_eq!(states(&tree).await, ["inner restarting in 1000 ms", "z runs"]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let reports = t.reports().await;
    assert_eq!(reports.last().unwrap(), "y starts", "{reports:?}");
    assert_eq!(reports.iter().filter(|said| *said == "z starts").count(), 1);
    assert_eq!(states(&tree).await, ["inner runs", "z runs"]);
    assert!(tree.tree().await.unwrap().health().is_serving());
}

/// A server that becomes ready later than its limit allows.
struct Late;

impl GenServer for Late {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.set_health(Health::Starting);
        Ok(Late)
    }
}

/// A child that is not ready in time is retried as well; an ignored one does not make the tree
/// unready.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_not_ready_in_time_is_retried_and_may_be_ignored() {
    let t = ScriptedChildren::new();
    let late = patient(Late::child(())).ready_within(ms(100)).readiness(Readiness::Ignored);
    let tree =
        Supervisor::one_for_one().child(late).child(t.child("c")).start(&t.rt).await.unwrap();
    assert_eq!(states(&tree).await, ["Late restarting in 1000 ms", "c runs"]);
    assert!(tree.tree().await.unwrap().health().is_serving());
}

/// A stop during the wait ends everything, and no retry follows.
#[tokio::test(start_paused = true)]
async fn a_stop_while_a_first_start_is_due_leaves_nothing() {
    let mut t = ScriptedChildren::new();
    t.next_starts("b", [Start::Fails; 9]);
    let tree = three(&t, Supervisor::one_for_one()).start(&t.rt).await.unwrap();
    tree.stop().await.unwrap();
    t.reports().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(t.reports().await.is_empty());
    assert_eq!(t.rt.leftovers(), regrow::Leftovers::default());
    assert!(t.rt.register("b", idle(&t.rt)), "its name is free");
}

/// The exit of the sibling is in the mailbox of the supervisor when the retried start ends.
#[tokio::test(start_paused = true)]
async fn a_sibling_that_ends_during_a_retried_first_start_restarts_the_group_afterwards() {
    for succeeds in [false, true] {
        let mut t = ScriptedChildren::new();
        let second = if succeeds { Start::GoodAfter(ms(500)) } else { Start::FailsAfter(ms(500)) };
        t.next_starts("b", [Start::Fails, second]);
        let child = patient(t.child("b")).backoff(Backoff::new().jitter(0.0).first(ms(100)));
        let spec = Supervisor::one_for_all().child(t.child("a")).child(child);
        let tree = spec.child(t.child("c")).start(&t.rt).await.unwrap();
        tokio::time::sleep(ms(99)).await;
        t.reports().await;
        tokio::time::sleep(ms(100)).await;
        t.crash("a");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(states(&tree).await, ["a runs", "b runs", "c runs"], "{succeeds}");
        let first = if succeeds { "b starts" } else { "b fails" };
        let reports = t.reports().await;
        assert!(reports.iter().any(|said| said == first), "{reports:?}");
        let last = ["a starts", "b starts", "c starts"];
        assert_eq!(reports[reports.len() - 3..], last, "{reports:?}");
    }
}

/// The reserved name ends with the supervisor, and the next incarnation comes up as the first did.
#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_killed_while_a_first_start_is_due_comes_up_again() {
    let t = ScriptedChildren::new();
    t.next_starts("b", [Start::Fails, Start::Fails]);
    let inner = three(&t, Supervisor::one_for_one()).named("inner");
    let _tree = Supervisor::one_for_one().child(inner).start(&t.rt).await.unwrap();
    let inner = regrow::SupervisorRef::named(&t.rt, "inner");
    assert_eq!(states(&inner).await[1], "b restarting in 1000 ms");
    support::killed(&t.rt, inner.pid().unwrap()).await;
    settled().await;
    let [a, b, c] = &states(&inner).await[..] else { panic!() };
    assert_eq!((a.as_str(), c.as_str()), ("a runs", "c runs"));
    assert!(b.starts_with("b restarting in "), "{b}");
    t.server("b").call_waiting(|reply| reply, Duration::from_secs(5)).await.unwrap();
}

/// A first start that is due restarts no group, so it does not hold the end of the tree up.
#[tokio::test(start_paused = true)]
async fn a_first_start_that_is_due_does_not_count_the_siblings_that_have_ended_as_restarting() {
    let t = ScriptedChildren::new();
    t.next_starts("a", [Start::Fails]);
    let a = patient(t.child("a")).backoff(Backoff::new().first(ms(20_000)));
    let b = t.child("b").restart(Restart::Transient).significant(true);
    let spec = Supervisor::rest_for_one().auto_shutdown(AutoShutdown::AllSignificant);
    let tree = spec.child(a).child(b).start(&t.rt).await.unwrap();
    t.server("b").stop(ExitReason::Normal).await.unwrap();
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
}
