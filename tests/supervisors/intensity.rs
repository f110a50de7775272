//! The restart budget, and what happens when it is spent.

use crate::support;

use std::time::Duration;

use regrow::{
    ChildSpec, ExitReason, Leftovers, Restart, RestartLimitReached, Supervisor, SupervisorSpec,
};
use support::troupe::{Start, Troupe, limit, states};
use support::{crash, settled};
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn over<const N: usize>(spec: SupervisorSpec, children: [ChildSpec; N]) -> SupervisorSpec {
    children.into_iter().fold(spec, SupervisorSpec::child)
}

/// INT-001, INT-002, INT-006, T43: the siblings are stopped in reverse, and the reason tells of
/// child, budget and last end.
#[tokio::test(start_paused = true)]
async fn one_restart_too_many_stops_everything() {
    for restarts in [0, 2] {
        let mut t = Troupe::new();
        let spec = Supervisor::one_for_one().intensity(restarts, HOUR);
        let tree = over(spec, t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
        t.told().await;
        for _ in 0..restarts {
            t.crash("b");
            assert_eq!(t.told().await, ["b stops: boom", "b starts"]);
        }
        let ended = tree.ended();
        t.crash("b");
        let reason = ended.await;
        assert_eq!(t.told().await, ["b stops: boom", "c stops: shutdown", "a stops: shutdown"]);
        let RestartLimitReached { child, restarts: told, period, last, .. } = limit(&reason);
        assert_eq!((child.as_str(), *told, *period, last), ("b", restarts, HOUR, &crash("boom")));
        assert!(!reason.is_clean());
        assert_eq!(t.rt.leftovers(), Leftovers::default());
    }
}

/// INT-003: exactly: what is a period old counts no more, what is younger does.
#[tokio::test(start_paused = true)]
async fn the_window_slides() {
    let t = Troupe::new();
    let spec = Supervisor::one_for_one().intensity(1, ms(1_000)).child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    for _ in 0..4 {
        t.crash("a");
        sleep(ms(2_100)).await;
        assert_eq!(states(&tree).await, ["a runs"]);
    }
    t.crash("a");
    settled().await;
    let second = Instant::now() + ms(998);
    tokio::time::sleep_until(second).await;
    let ended = tree.ended();
    t.crash("a");
    assert_eq!(limit(&ended.await).restarts, 1);
}

/// T54: no period is too long.
#[tokio::test(start_paused = true)]
async fn a_budget_may_be_for_a_whole_life() {
    let t = Troupe::new();
    let spec = Supervisor::one_for_one().intensity(1, Duration::MAX).child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.crash("a");
    sleep(365 * 24 * HOUR).await;
    let ended = tree.ended();
    t.crash("a");
    assert_eq!(limit(&ended.await).period, Duration::MAX);
}

/// INT-008, T33: escalation upward; a subtree that gave up is no clean end, so that even a
/// transient one is started again.
#[tokio::test(start_paused = true)]
async fn giving_up_goes_upward() {
    let t = Troupe::new();
    let inner = Supervisor::one_for_one().named("inner").intensity(0, HOUR).child(t.child("a"));
    let inner = ChildSpec::from(inner).restart(Restart::Transient);
    let top = Supervisor::one_for_one().intensity(1, HOUR).child(inner);
    let tree = top.start(&t.rt).await.unwrap();
    let ended = tree.ended();
    t.crash("a");
    settled().await;
    assert_eq!(states(&tree).await, ["inner runs"]);
    t.crash("a");
    let reason = ended.await;
    assert_eq!(limit(&reason).child, "inner");
    assert_eq!(limit(&limit(&reason).last).child, "a");
    assert_eq!(limit(&limit(&reason).last).last, crash("boom"));
}

/// INT-010.
#[tokio::test(start_paused = true)]
async fn what_is_no_restart_does_not_count() {
    let t = Troupe::new();
    let spec = Supervisor::one_for_one().intensity(0, HOUR);
    let tree = spec.child(t.child("t").restart(Restart::Transient)).start(&t.rt).await.unwrap();
    for _ in 0..10 {
        let temporary = t.child("x").restart(Restart::Temporary);
        tree.start_child(temporary).await.unwrap();
        t.crash("x");
        t.end("t", ExitReason::Normal);
        settled().await;
        tree.restart_child("t").await.unwrap();
        tree.terminate_child("t").await.unwrap();
        tree.delete_child("t").await.unwrap();
        tree.start_child(t.child("t").restart(Restart::Transient)).await.unwrap();
    }
    assert_eq!(states(&tree).await, ["t runs"]);
}

/// INT-011.
#[tokio::test(start_paused = true)]
async fn normal_ends_of_a_permanent_child_count() {
    let t = Troupe::new();
    let tree = Supervisor::one_for_one().child(t.child("a")).start(&t.rt).await.unwrap();
    let ended = tree.ended();
    for _ in 0..4 {
        t.end("a", ExitReason::Normal);
        settled().await;
    }
    let reason = ended.await;
    assert_eq!((limit(&reason).restarts, &limit(&reason).last), (3, &ExitReason::Normal));
}

/// T38: under one_for_one, children that fall together are as many restarts.
#[tokio::test(start_paused = true)]
async fn children_share_the_budget() {
    let t = Troupe::new();
    let spec = Supervisor::one_for_one().intensity(2, HOUR);
    let tree = over(spec, t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    let ended = tree.ended();
    for id in ["a", "b", "c"] {
        t.crash(id);
    }
    assert_eq!(limit(&ended.await).child, "c");
}

/// Only a word makes a budget endless.
#[tokio::test(start_paused = true)]
async fn an_endless_budget_is_never_spent() {
    let mut t = Troupe::new();
    let spec = Supervisor::one_for_one().unlimited_restarts().child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Fails; 1_000]);
    t.crash("a");
    let told = t.told().await;
    assert_eq!(told.iter().filter(|line| *line == "a fails").count(), 1_000);
    assert_eq!(told.last().unwrap(), "a starts");
    assert_eq!(tree.which_child("a").await.unwrap().restarts, 1_001);
    tree.stop().await.unwrap();
}
