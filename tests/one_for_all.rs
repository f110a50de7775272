//! one_for_all: all go down, and come back, together.

mod support;

use std::time::Duration;

use regrow::{CallError, ChildSpec, ExitReason, Leftovers, Restart, Supervisor, SupervisorSpec};
use support::crash;
use support::troupe::{Start, Stop, Troupe, limit, pids, states};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn over<const N: usize>(spec: SupervisorSpec, children: [ChildSpec; N]) -> SupervisorSpec {
    children.into_iter().fold(spec, SupervisorSpec::child)
}

/// ALL-001, T19, T21: each is fully dead before the next is told, and all before any starts.
#[tokio::test(start_paused = true)]
async fn all_are_stopped_in_reverse_and_started_in_order() {
    let mut t = Troupe::new();
    for id in ["a", "c"] {
        t.on_stop(id, Stop::Takes(ms(10)));
    }
    let tree = over(Supervisor::one_for_all(), t.children(["a", "b", "c"]));
    let tree = tree.start(&t.rt).await.unwrap();
    let before = pids(&tree).await;
    t.told().await;
    t.crash("b");
    tokio::time::sleep(ms(50)).await;
    let down =
        ["b stops: boom", "c stops: shutdown", "c is gone", "a stops: shutdown", "a is gone"];
    assert_eq!(t.told().await, [&down[..], &["a starts", "b starts", "c starts"]].concat());
    let after = pids(&tree).await;
    assert!(after.is_sorted() && after[0] > before[2]);
    assert!(before.into_iter().all(|old| !t.rt.is_alive(old.unwrap())));
}

/// ALL-002: the restarted a is stopped again, and each attempt is counted once.
#[tokio::test(start_paused = true)]
async fn a_start_that_fails_in_a_group_is_tried_again_as_a_group() {
    let mut t = Troupe::new();
    let spec = Supervisor::one_for_all().intensity(2, Duration::from_secs(60));
    let tree = over(spec, t.children(["a", "b"])).start(&t.rt).await.unwrap();
    t.told().await;
    t.next_starts("b", [Start::Fails]);
    t.crash("a");
    let down = ["a stops: boom", "b stops: shutdown", "a starts", "b fails"];
    let again = ["a stops: shutdown", "a starts", "b starts"];
    assert_eq!(t.told().await, [&down[..], &again].concat());
    assert_eq!(states(&tree).await, ["a runs", "b runs"]);
}

/// ALL-003.
#[tokio::test(start_paused = true)]
async fn a_group_that_keeps_failing_ends_the_supervisor() {
    let mut t = Troupe::new();
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
    let told = t.told().await;
    assert_eq!(told.iter().filter(|line| *line == "b fails").count(), 4);
    assert_eq!(t.rt.leftovers(), Leftovers::default());
}

/// What is seen between two attempts: as in OTP, who was started runs until the next one.
#[tokio::test(start_paused = true)]
async fn a_failing_group_is_served_between_attempts() {
    let t = Troupe::new();
    let spec = Supervisor::one_for_all().intensity(50, Duration::from_secs(60));
    let tree = over(spec, t.children(["a", "b", "c"])).start(&t.rt).await.unwrap();
    t.next_starts("b", [Start::FailsAfter(ms(1_000)); 50]);
    t.crash("b");
    tokio::time::sleep(ms(1)).await;
    assert_eq!(states(&tree).await, ["a runs", "b restarting", "c stopped"]);
    let gap = t.player("c").call(|reply| reply).await;
    assert_eq!(gap, Err(CallError::Restarting { retry_in: None }), "it comes back with b");
    // Called off, it does not.
    tree.terminate_child("b").await.unwrap();
    assert_eq!(t.player("c").call(|reply| reply).await, Err(CallError::NoProc));
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
}

/// ALL-004, INT-010.
#[tokio::test(start_paused = true)]
async fn an_end_for_good_disturbs_nobody() {
    let mut t = Troupe::new();
    let spec = Supervisor::one_for_all().intensity(0, Duration::from_secs(60));
    let temporary = t.child("x").restart(Restart::Temporary);
    let transients = ["t1", "t2"].map(|id| t.child(id).restart(Restart::Transient));
    let tree = over(spec.child(t.child("a")).child(temporary), transients);
    let tree = tree.start(&t.rt).await.unwrap();
    let a = t.rt.whereis("a");
    t.told().await;
    t.crash("x");
    t.end("t1", ExitReason::Normal);
    t.end("t2", ExitReason::Shutdown);
    assert_eq!(t.told().await, ["x stops: boom", "t1 stops: normal", "t2 stops: shutdown"]);
    assert_eq!(states(&tree).await, ["a runs", "t1 stopped", "t2 stopped"]);
    assert_eq!(t.rt.whereis("a"), a);
}

/// ALL-005, T20: and a transient sibling that had finished is started with the group, as
/// in OTP.
#[tokio::test(start_paused = true)]
async fn temporary_siblings_are_stopped_and_forgotten() {
    let mut t = Troupe::new();
    let temporary = t.child("x").restart(Restart::Temporary);
    let transient = t.child("t").restart(Restart::Transient);
    let spec = Supervisor::one_for_all().child(t.child("a")).child(temporary).child(transient);
    let tree = spec.start(&t.rt).await.unwrap();
    t.end("t", ExitReason::Normal);
    t.told().await;
    t.end("a", ExitReason::Normal);
    let told = ["a stops: normal", "x stops: shutdown", "a starts", "t starts"];
    assert_eq!(t.told().await, told);
    assert_eq!(states(&tree).await, ["a runs", "t runs"]);
}

/// ALL-009: siblings that fall together are one restart, in whatever order that is heard.
#[tokio::test(start_paused = true)]
async fn siblings_that_fall_together_are_one_restart() {
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

/// The ticket of a child whose retry was taken over by a sibling that failed before it is spent:
/// what calls the group's retry off covers it, and it can be restarted by hand.
#[tokio::test(start_paused = true)]
async fn a_retry_taken_over_by_a_sibling_leaves_nothing_restarting_for_ever() {
    let t = Troupe::new();
    let spec = Supervisor::one_for_all().intensity(9, Duration::from_secs(60));
    let spec = spec.child(t.child("a")).child(t.child("b")).child(t.child("c"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.on_stop("a", Stop::Takes(Duration::from_millis(100)));
    t.next_starts("a", [Start::Good, Start::Fails]);
    t.next_starts("b", [Start::Fails]);
    t.crash("c");
    // Asked while the retry stops a: served before the next retry.
    tokio::time::sleep(Duration::from_millis(150)).await;
    tree.terminate_child("a").await.unwrap();
    assert_eq!(states(&tree).await, ["a stopped", "b stopped", "c stopped"]);
    let call = t.player("b").call(|reply| reply).await;
    assert_eq!(call, Err(CallError::NoProc));
    assert!(tree.restart_child("b").await.is_ok());
    assert_eq!(states(&tree).await, ["a stopped", "b runs", "c stopped"]);
}
