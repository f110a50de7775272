//! one_for_all: all children stop and start together.

use crate::support;

use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    AutoShutdown, Backoff, CallError, ChildSpec, ExitReason, Leftovers, Restart, Supervisor,
    SupervisorRef, SupervisorSpec,
};
use support::crash;
use support::scripted_children::{ScriptedChildren, Start, Stop, limit, pids, states};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn over<const N: usize>(spec: SupervisorSpec, children: [ChildSpec; N]) -> SupervisorSpec {
    children.into_iter().fold(spec, SupervisorSpec::child)
}

/// ALL-001, T19, T21: each child has ended before the next is asked to stop, and all children have
/// ended before the first is started.
#[tokio::test(start_paused = true)]
async fn one_for_all_stops_in_reverse_order_and_starts_in_order() {
    let mut t = ScriptedChildren::new();
    for id in ["a", "c"] {
        t.on_stop(id, Stop::Takes(ms(10)));
    }
    let tree = over(Supervisor::one_for_all(), t.children(["a", "b", "c"]));
    let tree = tree.start(&t.rt).await.unwrap();
    let before = pids(&tree).await;
    t.reports().await;
    t.crash("b");
    tokio::time::sleep(ms(50)).await;
    let down =
        ["b stops: boom", "c stops: shutdown", "c is gone", "a stops: shutdown", "a is gone"];
    assert_eq!(t.reports().await, [&down[..], &["a starts", "b starts", "c starts"]].concat());
    let after = pids(&tree).await;
    assert!(after.is_sorted() && after[0] > before[2]);
    assert!(before.into_iter().all(|old| !t.rt.is_alive(old.unwrap())));
}

/// ALL-002: a, which was restarted, is stopped again, and each attempt is counted once.
#[tokio::test(start_paused = true)]
async fn a_failed_start_in_a_group_restart_retries_the_whole_group() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_all().intensity(2, Duration::from_secs(60));
    let tree = over(spec, t.children(["a", "b"])).start(&t.rt).await.unwrap();
    t.reports().await;
    t.next_starts("b", [Start::Fails]);
    t.crash("a");
    let down = ["a stops: boom", "b stops: shutdown", "a starts", "b fails"];
    let again = ["a stops: shutdown", "a starts", "b starts"];
    assert_eq!(t.reports().await, [&down[..], &again].concat());
    assert_eq!(states(&tree).await, ["a runs", "b runs"]);
}

/// ALL-003.
#[tokio::test(start_paused = true)]
async fn a_group_that_keeps_failing_ends_the_supervisor() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_all().intensity(4, Duration::from_secs(60));
    let tree = over(spec, t.children(["a", "b"])).start(&t.rt).await.unwrap();
    let ended = tree.ended();
    t.next_starts("b", [Start::Fails; 9]);
    t.crash("a");
    let reason = ended.await;
    assert_eq!(
        (limit(&reason).child.as_str(), &limit(&reason).last),
        ("b", &crash("b has no luck"))
    );
    let told = t.reports().await;
    assert_eq!(told.iter().filter(|line| *line == "b fails").count(), 4);
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// Between two attempts, the children that were started keep running until the next attempt, as in
/// OTP.
#[tokio::test(start_paused = true)]
async fn a_supervisor_serves_requests_between_restart_attempts_of_a_group() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_all().intensity(50, Duration::from_secs(60));
    let tree = over(spec, t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    t.next_starts("b", [Start::FailsAfter(ms(1_000)); 50]);
    t.crash("b");
    tokio::time::sleep(ms(1)).await;
    assert_eq!(states(&tree).await, ["a runs", "b restarting", "c stopped"]);
    let gap = t.server("c").call(|reply| reply).await;
    assert_eq!(gap, Err(CallError::Restarting { retry_in: None }), "it comes back with b");
    // After the retry is cancelled, c is not restarted.
    tree.terminate_child("b").await.unwrap();
    assert_eq!(t.server("c").call(|reply| reply).await, Err(CallError::NoHolder("c".into())));
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
}

/// ALL-004, INT-010.
#[tokio::test(start_paused = true)]
async fn an_exit_without_restart_leaves_the_siblings_running() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_all().intensity(0, Duration::from_secs(60));
    let temporary = t.child("x").restart(Restart::Temporary);
    let transients = ["t1", "t2"].map(|id| t.child(id).restart(Restart::Transient));
    let tree = over(spec.child(t.child("a")).child(temporary), transients);
    let tree = tree.start(&t.rt).await.unwrap();
    let a = t.rt.whereis("a");
    t.reports().await;
    t.crash("x");
    t.end("t1", ExitReason::Normal);
    t.end("t2", ExitReason::Shutdown);
    assert_eq!(t.reports().await, ["x stops: boom", "t1 stops: normal", "t2 stops: shutdown"]);
    assert_eq!(states(&tree).await, ["a runs", "t1 stopped", "t2 stopped"]);
    assert_eq!(t.rt.whereis("a"), a);
}

/// ALL-005, T20: a temporary sibling is stopped and removed. A transient sibling that had finished
/// is started with the group, as in OTP.
#[tokio::test(start_paused = true)]
async fn one_for_all_stops_and_removes_temporary_siblings() {
    let mut t = ScriptedChildren::new();
    let temporary = t.child("x").restart(Restart::Temporary);
    let transient = t.child("t").restart(Restart::Transient);
    let spec = Supervisor::one_for_all().child(t.child("a")).child(temporary).child(transient);
    let tree = spec.start(&t.rt).await.unwrap();
    t.end("t", ExitReason::Normal);
    t.reports().await;
    t.end("a", ExitReason::Normal);
    let told = ["a stops: normal", "x stops: shutdown", "a starts", "t starts"];
    assert_eq!(t.reports().await, told);
    assert_eq!(states(&tree).await, ["a runs", "t runs"]);
}

/// ALL-009: siblings that end together are one restart, in whatever order their exits arrive.
#[tokio::test(start_paused = true)]
async fn siblings_that_end_together_count_as_one_restart() {
    let rt = regrow::Runtime::new();
    let linked = |id: &'static str, other: Option<&'static str>| {
        ChildSpec::task(id, move |mut ctx| async move {
            if let Some(other) = other {
                ctx.runtime().link(ctx.pid(), ctx.runtime().whereis(other).unwrap());
            }
            ctx.recv().await;
            Err(crash("boom"))
        })
        .named(id)
    };
    for crashes in ["a", "b"] {
        let spec = Supervisor::one_for_all().intensity(1, Duration::from_secs(3600));
        let spec = spec.child(linked("a", None)).child(linked("b", Some("a")));
        let tree = spec.start(&rt).await.unwrap();
        support::settled().await;
        assert!(rt.send_named(crashes, b"fall".to_vec()));
        support::settled().await;
        for id in ["a", "b"] {
            let child = tree.which_child(id).await.unwrap();
            assert_eq!((child.restarts, child.history.len()), (1, 1), "{child:?}");
            assert_eq!(child.history[0].reason, crash("boom"));
        }
        tree.stop().await.unwrap();
    }
}

/// Starts three children under `one_for_all`. c crashes, and the start of b fails in the group
/// restart. In the retry, a takes 30 ms to stop, and then its start fails. Returns while a is still
/// stopping, so that requests that are sent now are answered before the next try.
async fn in_the_retry_of_a_sibling(t: &mut ScriptedChildren) -> SupervisorRef {
    let spec = Supervisor::one_for_all().auto_shutdown(AutoShutdown::AllSignificant);
    let spec = spec.intensity(9, Duration::from_secs(60));
    let tree = over(spec, t.children(["a", "b", "c"]).map(significant)).start(&t.rt).await.unwrap();
    t.on_stop("a", Stop::Takes(ms(30)));
    t.next_starts("a", [Start::Good, Start::Fails]);
    t.next_starts("b", [Start::Fails]);
    t.reports().await;
    t.crash("c");
    tokio::time::sleep(ms(45)).await;
    let told = ["c stops: boom", "b stops: shutdown", "a stops: shutdown", "a is gone", "a starts"];
    assert_eq!(t.reports().await, [&told[..], &["b fails", "a stops: shutdown"]].concat());
    tree
}

fn significant(child: ChildSpec) -> ChildSpec {
    child.restart(Restart::Transient).significant(true)
}

/// Sends a request now. The supervisor answers when it gets to it.
fn ask<T: Send + 'static>(
    tree: &SupervisorRef,
    request: impl AsyncFnOnce(SupervisorRef) -> T,
) -> impl Future<Output = T> {
    let mut asked = Box::pin(request(tree.clone()));
    assert!(asked.as_mut().now_or_never().is_none(), "the supervisor is busy");
    asked
}

/// The retry of b has begun, and the start of a has failed in it: b no longer waits.
#[tokio::test(start_paused = true)]
async fn terminating_the_waiting_child_between_retries_stops_its_whole_group() {
    let mut t = ScriptedChildren::new();
    let tree = in_the_retry_of_a_sibling(&mut t).await;
    let asked = ask(&tree, async |tree| tree.terminate_child("a").await);
    asked.await.unwrap();
    assert_eq!(states(&tree).await, ["a stopped", "b stopped", "c stopped"]);
    for id in ["a", "b", "c"] {
        let called = t.server(id).call(|reply| reply).await;
        assert_eq!(called, Err(CallError::NoHolder(id.into())), "{id} does not come back");
    }
    tree.restart_child("b").await.unwrap();
    assert_eq!(states(&tree).await, ["a stopped", "b runs", "c stopped"]);
    // b is the last significant child.
    t.end("b", ExitReason::Normal);
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
    assert_eq!(t.reports().await[..2], ["a is gone", "a fails"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_retry_failed_with_a_sibling_can_be_deleted_before_the_next() {
    let mut t = ScriptedChildren::new();
    let tree = in_the_retry_of_a_sibling(&mut t).await;
    let deleted = ask(&tree, async |tree| tree.delete_child("b").await);
    deleted.await.unwrap();
    assert_eq!(t.reports().await, ["a is gone", "a fails", "a starts", "c starts"]);
    assert_eq!(states(&tree).await, ["a runs", "c runs"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_retry_failed_with_a_sibling_can_be_started_before_the_next() {
    let mut t = ScriptedChildren::new();
    let tree = in_the_retry_of_a_sibling(&mut t).await;
    let started = ask(&tree, async |tree| tree.restart_child("b").await);
    started.await.unwrap();
    let told = ["a is gone", "a fails", "b starts"];
    let again = ["b stops: shutdown", "a starts", "b starts", "c starts"];
    assert_eq!(t.reports().await, [&told[..], &again].concat());
}

/// Only the child whose start failed last is restarting. The others are stopped.
#[tokio::test(start_paused = true)]
async fn one_child_of_a_failing_group_is_restarting_at_a_time() {
    let mut t = ScriptedChildren::new();
    let tree = in_the_retry_of_a_sibling(&mut t).await;
    let seen = ask(&tree, async |tree| states(&tree).await);
    assert_eq!(seen.await, ["a restarting", "b stopped", "c stopped"]);
    assert_eq!(states(&tree).await, ["a runs", "b runs", "c runs"]);
}

/// A child that was stopped with its group is already stopped. The retry still starts it.
#[tokio::test(start_paused = true)]
async fn terminating_a_child_that_is_down_with_its_group_cancels_no_retry() {
    for id in ["b", "c"] {
        let mut t = ScriptedChildren::new();
        let tree = in_the_retry_of_a_sibling(&mut t).await;
        let asked = ask(&tree, async |tree| tree.terminate_child(id).await);
        asked.await.unwrap();
        assert_eq!(states(&tree).await, ["a runs", "b runs", "c runs"]);
    }
}

/// The retry of b was delayed by its backoff: after the start of a has failed in it, b no longer
/// waits.
#[tokio::test(start_paused = true)]
async fn a_delayed_retry_that_failed_with_a_sibling_is_over() {
    let t = ScriptedChildren::new();
    let backoff = Backoff::new().first(ms(100)).jitter(0.0);
    let [a, b, c] = t.children(["a", "b", "c"]);
    let spec = over(Supervisor::one_for_all(), [a, b.backoff(backoff), c]);
    let tree = spec.intensity(9, Duration::from_secs(60)).start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::FailsAfter(ms(10))]);
    t.crash("b");
    tokio::time::sleep(ms(105)).await;
    let asked = ask(&tree, async |tree| tree.terminate_child("a").await);
    asked.await.unwrap();
    assert_eq!(states(&tree).await, ["a stopped", "b stopped", "c stopped"]);
    tree.restart_child("b").await.unwrap();
}

/// Children that were terminated, or that ended without a restart, are members of their group.
#[tokio::test(start_paused = true)]
async fn a_group_restart_starts_the_members_that_were_stopped() {
    let mut t = ScriptedChildren::new();
    let finished = t.child("t").restart(Restart::Transient);
    let children = [t.child("a"), t.child("b"), finished, t.child("c")];
    let tree = over(Supervisor::one_for_all(), children).start(&t.rt).await.unwrap();
    tree.terminate_child("b").await.unwrap();
    t.end("t", ExitReason::Normal);
    t.reports().await;
    assert_eq!(states(&tree).await, ["a runs", "b stopped", "t stopped", "c runs"]);
    t.crash("c");
    let starts = ["a starts", "b starts", "t starts", "c starts"];
    let stops = ["c stops: boom", "a stops: shutdown"];
    assert_eq!(t.reports().await, [&stops[..], &starts].concat());
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_started_later_is_the_last_of_its_group() {
    let mut t = ScriptedChildren::new();
    let tree = Supervisor::one_for_all().child(t.child("a")).start(&t.rt).await.unwrap();
    tree.start_child(t.child("b")).await.unwrap();
    t.reports().await;
    t.crash("a");
    let reports = ["a stops: boom", "b stops: shutdown", "a starts", "b starts"];
    assert_eq!(t.reports().await, reports);
    tree.stop().await.unwrap();
    assert_eq!(t.reports().await, ["b stops: shutdown", "a stops: shutdown"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_ignores_a_group_restart_takes_part_in_the_next() {
    let t = ScriptedChildren::new();
    let tree = over(Supervisor::one_for_all(), t.children(["p", "a"])).start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Ignores]);
    for expected in [["p runs", "a stopped"], ["p runs", "a runs"]] {
        t.crash("p");
        support::settled().await;
        assert_eq!(states(&tree).await, expected);
    }
}

/// The supervisor handles the end when all children have started.
#[tokio::test(start_paused = true)]
async fn a_child_that_crashes_while_its_sibling_starts_is_restarted_after_the_start() {
    let mut t = ScriptedChildren::new();
    t.next_starts("b", [Start::GoodAfter(ms(100))]);
    let spec = over(Supervisor::one_for_all(), t.children(["a", "b"]));
    let crash_a = async {
        tokio::time::sleep(ms(50)).await;
        t.crash("a");
    };
    let (tree, ()) = tokio::join!(spec.start(&t.rt), crash_a);
    let reports =
        ["a starts", "a stops: boom", "b starts", "b stops: shutdown", "a starts", "b starts"];
    assert_eq!(t.reports().await, reports);
    assert_eq!(states(&tree.unwrap()).await, ["a runs", "b runs"]);
}
