//! rest_for_one: the children after the failed one stop and start with it.

use crate::support;

use std::time::Duration;

use regrow::{ChildSpec, Restart, Supervisor, SupervisorSpec};
use support::reporter::counts;
use support::scripted_children::{ScriptedChildren, Start, Stop, limit, pids, states};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn over<const N: usize>(spec: SupervisorSpec, children: [ChildSpec; N]) -> SupervisorSpec {
    children.into_iter().fold(spec, SupervisorSpec::child)
}

fn rest() -> SupervisorSpec {
    Supervisor::rest_for_one().intensity(4, Duration::from_secs(60))
}

/// RST-001, RST-002: each child has ended before the next is asked to stop.
#[tokio::test(start_paused = true)]
async fn rest_for_one_stops_later_children_in_reverse_and_starts_them_in_order() {
    let mut t = ScriptedChildren::new();
    t.on_stop("e", Stop::Takes(ms(10)));
    let tree = over(rest(), t.children(["a", "b", "c", "d", "e"])).start(&t.rt).await.unwrap();
    let before = pids(&tree).await;
    t.reports().await;
    t.crash("c");
    tokio::time::sleep(ms(20)).await;
    let down = ["c stops: boom", "e stops: shutdown", "e is gone", "d stops: shutdown"];
    assert_eq!(t.reports().await, [&down[..], &["c starts", "d starts", "e starts"]].concat());
    let after = pids(&tree).await;
    assert_eq!(after[..2], before[..2]);
    assert!(after[2..].is_sorted() && after[2] > before[4]);
    assert_eq!(states(&tree).await, ["a runs", "b runs", "c runs", "d runs", "e runs"]);
}

/// RST-003.
#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_last_child_alone_and_the_first_with_all() {
    let mut t = ScriptedChildren::new();
    let tree = over(rest(), t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    t.reports().await;
    t.crash("c");
    assert_eq!(t.reports().await, ["c stops: boom", "c starts"]);
    t.crash("a");
    let down = ["a stops: boom", "c stops: shutdown", "b stops: shutdown"];
    assert_eq!(t.reports().await, [&down[..], &["a starts", "b starts", "c starts"]].concat());
    drop(tree);
}

/// RST-005.
#[tokio::test(start_paused = true)]
async fn a_group_that_keeps_failing_ends_the_supervisor() {
    let t = ScriptedChildren::new();
    let tree = over(rest(), t.children(["a", "b"])).start(&t.rt).await.unwrap();
    let ended = tree.ended();
    t.next_starts("b", [Start::Fails; 9]);
    t.crash("a");
    let reason = ended.await;
    assert_eq!((limit(&reason).child.as_str(), limit(&reason).restarts), ("b", 4));
    assert_eq!(t.rt.leftovers(), regrow::Leftovers::default());
}

/// A failed start in a group is retried with the children after it. The children that were started
/// before it keep running.
#[tokio::test(start_paused = true)]
async fn a_failed_start_is_retried_with_the_children_after_it() {
    let mut t = ScriptedChildren::new();
    let tree = over(rest(), t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    t.reports().await;
    t.next_starts("b", [Start::Fails]);
    t.crash("a");
    let down = ["a stops: boom", "c stops: shutdown", "b stops: shutdown"];
    let up = ["a starts", "b fails", "b starts", "c starts"];
    assert_eq!(t.reports().await, [&down[..], &up].concat());
    drop(tree);
}

/// RST-006.
#[tokio::test(start_paused = true)]
async fn children_after_a_failing_restart_are_stopped() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::rest_for_one().intensity(50, Duration::from_secs(60));
    let tree = over(spec, t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    let a = t.rt.whereis("a").unwrap();
    t.next_starts("b", [Start::FailsAfter(ms(1_000)); 3]);
    t.crash("b");
    support::settled().await;
    assert_eq!(states(&tree).await, ["a runs", "b restarting", "c stopped"]);
    assert_eq!(counts(&tree.count_children().await.unwrap()), (3, 1, 0, 3));
    tokio::time::sleep(ms(3_000)).await;
    assert_eq!(states(&tree).await, ["a runs", "b runs", "c runs"]);
    assert_eq!(t.rt.whereis("a"), Some(a));
}

/// RST-009: a temporary child after the crashed one is stopped and removed.
#[tokio::test(start_paused = true)]
async fn rest_for_one_removes_temporary_children() {
    let mut t = ScriptedChildren::new();
    let temporary = |id| t.child(id).restart(Restart::Temporary);
    let spec = rest().child(t.child("a")).child(temporary("x"));
    let spec = spec.child(t.child("c")).child(temporary("y"));
    let tree = spec.start(&t.rt).await.unwrap();
    let before = pids(&tree).await;
    t.reports().await;
    t.crash("x");
    assert_eq!(t.reports().await, ["x stops: boom"]);
    assert_eq!(states(&tree).await, ["a runs", "c runs", "y runs"]);
    assert_eq!(pids(&tree).await, [before[0], before[2], before[3]]);
    t.crash("c");
    assert_eq!(t.reports().await, ["c stops: boom", "y stops: shutdown", "c starts"]);
    assert_eq!(states(&tree).await, ["a runs", "c runs"]);
}

/// T01: the failed child and an earlier one end together, and both are restarted.
#[tokio::test(start_paused = true)]
async fn two_children_that_end_together_are_both_restarted() {
    for first in ["a", "b"] {
        let mut t = ScriptedChildren::new();
        t.on_stop("c", Stop::Takes(ms(10)));
        let tree = over(rest(), t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
        t.reports().await;
        let second = if first == "a" { "b" } else { "a" };
        t.crash(first);
        t.crash(second);
        tokio::time::sleep(ms(100)).await;
        assert_eq!(states(&tree).await, ["a runs", "b runs", "c runs"]);
        let live: Vec<_> = pids(&tree).await.into_iter().flatten().collect();
        assert_eq!(t.rt.process_count(), live.len() + 1, "one process each, and the supervisor");
    }
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_starts_a_stopped_child_after_the_failed_one_only() {
    let mut t = ScriptedChildren::new();
    let tree = over(rest(), t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    for id in ["a", "c"] {
        tree.terminate_child(id).await.unwrap();
    }
    t.reports().await;
    t.crash("b");
    assert_eq!(t.reports().await, ["b stops: boom", "b starts", "c starts"]);
    assert_eq!(states(&tree).await, ["a stopped", "b runs", "c runs"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_deleted_and_started_again_is_the_last() {
    let mut t = ScriptedChildren::new();
    let tree = over(rest(), t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    tree.terminate_child("a").await.unwrap();
    tree.delete_child("a").await.unwrap();
    tree.start_child(t.child("a")).await.unwrap();
    t.reports().await;
    t.crash("c");
    let reports = ["c stops: boom", "a stops: shutdown", "c starts", "a starts"];
    assert_eq!(t.reports().await, reports);
    assert_eq!(states(&tree).await, ["b runs", "c runs", "a runs"]);
}
