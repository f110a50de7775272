//! Delayed restarts: their delays, the observable state meanwhile, and that none is lost or stuck.

use crate::support;

use std::time::Duration;

use regrow::{
    Backoff, CallError, ChildError, ChildState, ExitReason, Leftovers, StartError, Supervisor,
    SupervisorSpec,
};
use support::scripted_children::{ScriptedChildren, Start, limit, states};
use support::settled;
use tokio::time::{Instant, sleep};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Returns a backoff with delays of exactly 1, 2, 4 … 30 s.
fn exact() -> Backoff {
    Backoff::new().jitter(0.0)
}

fn patient() -> SupervisorSpec {
    Supervisor::one_for_one().backoff(exact())
}

/// T29, T35: the delays grow up to the maximum, and the supervisor serves all requests meanwhile.
#[tokio::test(start_paused = true)]
async fn backoff_delays_grow_and_do_not_block_the_supervisor() {
    let mut t = ScriptedChildren::new();
    let spec = patient().intensity(100, ms(1_000));
    let spec = spec.child(t.child("a")).child(t.child("b").backoff(Backoff::none()));
    let tree = spec.start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Fails; 6]);
    t.crash("a");
    t.reports().await;
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        let ChildState::Restarting { retry_in: Some(left) } =
            tree.which_child("a").await.unwrap().state
        else {
            panic!()
        };
        assert!(left <= ms(seconds * 1_000) && left >= ms(seconds * 1_000 - 10), "{left:?}");
        t.crash("b");
        assert_eq!(t.reports().await, ["b stops: boom", "b starts"]);
        sleep(left - ms(20)).await;
        assert!(t.reports().await.is_empty(), "it is early");
        sleep(ms(20)).await;
        assert_eq!(t.reports().await.len(), 1);
    }
    assert_eq!(states(&tree).await, ["a runs", "b runs"]);
    let delays: Vec<_> =
        tree.which_child("a").await.unwrap().history.iter().map(|h| h.delay.as_secs()).collect();
    assert_eq!(delays, [0, 1, 2, 4, 8, 16, 30]);
}

/// After a healthy run the next delay is the first one again.
#[tokio::test(start_paused = true)]
async fn a_healthy_run_resets_the_delay() {
    let t = ScriptedChildren::new();
    let child = t.child("a").backoff(exact().reset_after(ms(5_000)));
    let tree = Supervisor::one_for_one().child(child).start(&t.rt).await.unwrap();
    let retry_in = async || match tree.which_child("a").await.unwrap().state {
        ChildState::Restarting { retry_in } => retry_in.unwrap().as_millis().div_ceil(1_000),
        other => panic!("{other:?}"),
    };
    for (run, delay) in [(1, 1), (1, 2), (4, 4), (6, 1), (1, 2)] {
        sleep(Duration::from_secs(run)).await;
        t.crash("a");
        settled().await;
        assert_eq!(retry_in().await, delay);
        sleep(Duration::from_secs(u64::try_from(delay).unwrap())).await;
    }
}

/// A call by name during the delay returns the time of the next try. A call that may wait waits for
/// it.
#[tokio::test(start_paused = true)]
async fn a_call_during_a_backoff_returns_the_time_of_the_next_try() {
    let t = ScriptedChildren::new();
    let tree = patient().child(t.child("a")).start(&t.rt).await.unwrap();
    t.crash("a");
    settled().await;
    sleep(ms(399)).await;
    let gap = t.server("a").call(|reply| reply).await;
    let Err(CallError::Restarting { retry_in: Some(left) }) = gap else { panic!("{gap:?}") };
    assert!(left > ms(595) && left <= ms(601), "{left:?}");
    let start = Instant::now();
    let pid = t.server("a").call_waiting(|reply| reply, ms(5_000)).await.unwrap();
    assert!(start.elapsed() >= left);
    assert_eq!(tree.which_child("a").await.unwrap().pid(), Some(pid));
}

/// Half of each delay is fixed. The other half is drawn by the seed.
#[tokio::test(start_paused = true)]
async fn jitter_is_determined_by_the_seed() {
    let mut drawn = Vec::new();
    for seed in [7, 7, 8] {
        let t = ScriptedChildren::new();
        let spec = Supervisor::one_for_one().backoff(Backoff::new()).jitter_seed(seed);
        let tree = spec.unlimited_restarts().child(t.child("a")).start(&t.rt).await.unwrap();
        t.next_starts("a", [Start::Fails; 8]);
        t.crash("a");
        sleep(Duration::from_secs(600)).await;
        let history = tree.which_child("a").await.unwrap().history;
        let delays: Vec<_> = history.iter().map(|past| past.delay).collect();
        for (attempt, delay) in (0..).zip(&delays[1..]) {
            let longest = ms(30_000).min(ms(2_000) * 2_u32.pow(attempt));
            assert!(longest / 2 <= *delay && *delay <= longest, "{delays:?}");
        }
        drawn.push(delays);
    }
    assert_eq!(drawn[0], drawn[1]);
    assert_ne!(drawn[0], drawn[2]);
}

/// A retry that fails is tried again without end. With an unlimited budget the delays still apply,
/// and no retry gets stuck.
#[tokio::test(start_paused = true)]
async fn a_failing_retry_keeps_its_capped_delay_with_unlimited_restarts() {
    let mut t = ScriptedChildren::new();
    let tree = patient().unlimited_restarts().child(t.child("a")).start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Fails; 100]);
    t.crash("a");
    t.reports().await;
    sleep(Duration::from_secs(31 + 30 * 60)).await;
    assert_eq!(t.reports().await.len(), 5 + 60);
    t.forget_starts("a");
    sleep(Duration::from_secs(30)).await;
    assert_eq!(t.reports().await, ["a starts"]);
    assert_eq!(states(&tree).await, ["a runs"]);
}

/// INT-002: a supervisor that allows no restart gives up without a delay.
#[tokio::test(start_paused = true)]
async fn a_budget_of_zero_gives_up_without_a_backoff_delay() {
    let t = ScriptedChildren::new();
    let spec = patient().intensity(0, ms(1_000)).child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    let (ended, start) = (tree.ended(), Instant::now());
    t.crash("a");
    assert_eq!(limit(&ended.await).restarts, 0);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A child that waits for its backoff is listed as restarting, like a child whose start fails.
#[tokio::test(start_paused = true)]
async fn a_child_that_waits_for_its_backoff_is_restarting() {
    let t = ScriptedChildren::new();
    let tree = patient().child(t.child("a")).start(&t.rt).await.unwrap();
    t.crash("a");
    settled().await;
    let restarting = ChildError::Restarting("a".into());
    assert_eq!(tree.restart_child("a").await, Err(restarting.clone()));
    assert_eq!(tree.delete_child("a").await, Err(restarting));
    let present = Err(StartError::AlreadyPresent("a".into()));
    assert_eq!(tree.start_child(t.child("a")).await, present);
}

/// A pending retry does not start a child that was stopped by hand.
#[tokio::test(start_paused = true)]
async fn a_retry_of_a_child_stopped_by_hand_is_ignored() {
    let mut t = ScriptedChildren::new();
    let tree = patient().child(t.child("a")).start(&t.rt).await.unwrap();
    t.crash("a");
    settled().await;
    tree.terminate_child("a").await.unwrap();
    assert_eq!(t.server("a").call(|reply| reply).await, Err(CallError::NoHolder("a".into())));
    t.reports().await;
    sleep(ms(5_000)).await;
    assert!(t.reports().await.is_empty(), "it was stopped by hand");
    assert_eq!(states(&tree).await, ["a stopped"]);

    // The child is restarted by hand: the old retry has no effect.
    tree.restart_child("a").await.unwrap();
    t.crash("a");
    settled().await;
    sleep(ms(500)).await;
    tree.terminate_child("a").await.unwrap();
    tree.restart_child("a").await.unwrap();
    let by_hand = t.rt.whereis("a");
    t.reports().await;
    sleep(ms(5_000)).await;
    assert_eq!(t.rt.whereis("a"), by_hand);
    assert!(t.reports().await.is_empty());

    // The child crashes again before the old retry is due: it waits for its new delay.
    t.crash("a");
    settled().await;
    sleep(ms(500)).await;
    tree.terminate_child("a").await.unwrap();
    tree.restart_child("a").await.unwrap();
    t.crash("a");
    t.reports().await;
    sleep(ms(900)).await;
    assert!(t.reports().await.is_empty(), "that was the old retry");
    sleep(ms(100)).await;
    assert_eq!(t.reports().await, ["a starts"]);

    // The child is deleted, and another child of the same id is added: the old retry has no effect.
    t.crash("a");
    settled().await;
    tree.terminate_child("a").await.unwrap();
    tree.delete_child("a").await.unwrap();
    let another = tree.start_child(t.child("a")).await.unwrap();
    sleep(ms(5_000)).await;
    assert_eq!(tree.which_child("a").await.unwrap().pid(), Some(another));
}

/// A stop does not wait for pending retries, and no child starts after it.
#[tokio::test(start_paused = true)]
async fn a_stop_cancels_pending_retries() {
    let mut t = ScriptedChildren::new();
    let tree = patient().child(t.child("a")).child(t.child("b")).start(&t.rt).await.unwrap();
    t.crash("a");
    t.reports().await;
    let start = Instant::now();
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(t.rt.leftovers(), Leftovers::default());
    assert_eq!(t.server("a").call(|reply| reply).await, Err(CallError::NoHolder("a".into())));
    assert_eq!(t.reports().await, ["b stops: shutdown"]);
    sleep(Duration::from_secs(60)).await;
    assert!(t.reports().await.is_empty());
}

/// one_for_all: the group is stopped at once, waits for the delay of the failed child, and is
/// started in order.
#[tokio::test(start_paused = true)]
async fn a_one_for_all_group_waits_for_the_backoff_of_the_failed_child() {
    let mut t = ScriptedChildren::new();
    let long = exact().first(ms(10_000));
    let spec = Supervisor::one_for_all().child(t.child("a").backoff(long));
    let spec = spec.child(t.child("b").backoff(exact())).child(t.child("c"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.reports().await;
    t.crash("b");
    assert_eq!(t.reports().await, ["b stops: boom", "c stops: shutdown", "a stops: shutdown"]);
    assert_eq!(states(&tree).await, ["a stopped", "b restarting in 999 ms", "c stopped"]);
    for id in ["a", "b", "c"] {
        let gap = t.server(id).call(|reply| reply).await;
        assert!(matches!(gap, Err(CallError::Restarting { retry_in: Some(_) })), "{gap:?}");
    }
    sleep(ms(1_000)).await;
    assert_eq!(t.reports().await, ["a starts", "b starts", "c starts"]);
    // A start of the group fails: the group then waits for the backoff of that child.
    t.next_starts("a", [Start::Fails]);
    t.crash("b");
    t.reports().await;
    sleep(ms(2_000)).await;
    assert_eq!(t.reports().await, ["a fails"]);
    sleep(ms(9_900)).await;
    assert!(t.reports().await.is_empty());
    sleep(ms(100)).await;
    assert_eq!(t.reports().await, ["a starts", "b starts", "c starts"]);
}

/// one_for_all: children started before the failed start do not run while the group waits; without
/// a backoff the retry stops them.
#[tokio::test(start_paused = true)]
async fn a_partly_started_group_is_stopped_before_it_waits() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_all().child(t.child("a"));
    let tree = spec.child(t.child("b").backoff(exact())).start(&t.rt).await.unwrap();
    t.reports().await;
    t.next_starts("b", [Start::Fails]);
    t.crash("a"); // a itself has no backoff
    let told = ["a stops: boom", "b stops: shutdown", "a starts", "b fails", "a stops: shutdown"];
    assert_eq!(t.reports().await, told);
    assert_eq!(states(&tree).await, ["a stopped", "b restarting in 999 ms"]);
    sleep(ms(1_000)).await;
    assert_eq!(t.reports().await, ["a starts", "b starts"]);
}

/// rest_for_one: an earlier child crashes while later ones wait. Its restart includes the later
/// ones, and their old retry has no effect.
#[tokio::test(start_paused = true)]
async fn a_crash_of_an_earlier_child_restarts_the_waiting_children_too() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::rest_for_one().child(t.child("a"));
    let spec = spec.child(t.child("b").backoff(exact())).child(t.child("c"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.crash("b");
    settled().await;
    assert_eq!(states(&tree).await, ["a runs", "b restarting in 999 ms", "c stopped"]);
    t.reports().await;
    t.crash("a");
    assert_eq!(t.reports().await, ["a stops: boom", "a starts", "b starts", "c starts"]);
    let before = t.rt.whereis("b");
    sleep(ms(5_000)).await;
    assert!(t.reports().await.is_empty(), "no child is restarted twice");
    assert_eq!(t.rt.whereis("b"), before);
}

/// rest_for_one: an earlier child that crashes has a backoff as well. All children then wait for
/// it.
#[tokio::test(start_paused = true)]
async fn waiting_children_wait_for_the_backoff_of_an_earlier_crashed_child() {
    let mut t = ScriptedChildren::new();
    let slow = exact().first(ms(3_000));
    let spec = Supervisor::rest_for_one().child(t.child("a").backoff(slow));
    let spec = spec.child(t.child("b").backoff(exact())).child(t.child("c"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.crash("b");
    settled().await;
    t.crash("a");
    t.reports().await;
    assert_eq!(states(&tree).await, ["a restarting in 2999 ms", "b stopped", "c stopped"]);
    sleep(ms(2_000)).await;
    assert!(t.reports().await.is_empty(), "b's own retry is stale");
    sleep(ms(1_000)).await;
    assert_eq!(t.reports().await, ["a starts", "b starts", "c starts"]);
    assert_eq!(tree.which_child("b").await.unwrap().history.len(), 1);
}

/// A member of a waiting group is started by hand. The retry stops it, as in any restart of the
/// group.
#[tokio::test(start_paused = true)]
async fn a_member_started_by_hand_during_a_backoff_restarts_with_its_group() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_all().backoff(exact()).child(t.child("a"));
    let tree = spec.child(t.child("b")).start(&t.rt).await.unwrap();
    t.crash("b");
    settled().await;
    tree.restart_child("a").await.unwrap();
    t.reports().await;
    sleep(ms(1_000)).await;
    assert_eq!(t.reports().await, ["a stops: shutdown", "a starts", "b starts"]);
    // The member crashes while b waits: from then on the group waits for this member, and only
    // once.
    t.crash("b");
    settled().await;
    tree.restart_child("a").await.unwrap();
    t.crash("a");
    settled().await;
    assert_eq!(states(&tree).await, ["a restarting in 999 ms", "b stopped"]);
    t.reports().await;
    sleep(ms(10_000)).await;
    assert_eq!(t.reports().await, ["a starts", "b starts"]);
}

/// The error names the invalid setting, at the start of a tree and of a single child.
#[tokio::test(start_paused = true)]
async fn an_invalid_backoff_is_refused_by_name() {
    let t = ScriptedChildren::new();
    let bad = Backoff::new().max(ms(1));
    let tree = Supervisor::one_for_one().start(&t.rt).await.unwrap();
    let child = || t.child("a").backoff(bad);
    let errors = [
        tree.start_child(child()).await.unwrap_err(),
        Supervisor::one_for_one().child(child()).start(&t.rt).await.unwrap_err(),
        Supervisor::one_for_one().backoff(bad).start(&t.rt).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(&error, StartError::Invalid(what) if what.contains("max")), "{error:?}");
    }
}
