//! Dynamic children with a restart budget for each child: only the child that exceeds its budget is
//! given up.

use crate::support;

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use regrow::{
    ChildError, ChildSpec, ChildState, DynamicSupervisor, DynamicSupervisorRef, Exhausted,
    ExitReason, LifecycleEvent, Pid, Runtime, StartError,
};
use support::{crash, idle, killed, settled};

const MINUTE: Duration = Duration::from_secs(60);

/// A child that fails at once, and counts its starts.
fn failing(starts: &Arc<AtomicU32>) -> ChildSpec {
    let starts = starts.clone();
    ChildSpec::task("failing", move |_| async move {
        starts.fetch_add(1, Ordering::Relaxed);
        Err(crash("no hub"))
    })
}

async fn pool(rt: &Runtime, exhausted: Exhausted) -> DynamicSupervisorRef {
    let spec = DynamicSupervisor::new().max_children(2);
    spec.child_intensity(3, MINUTE, exhausted).start(rt).await.unwrap()
}

/// Checks that a start was refused because its name was given up, and returns the `retry_in` of the
/// error.
#[track_caller]
fn retry_in(refused: Result<Pid, StartError>) -> Duration {
    let Err(StartError::GivenUp { name, retry_in, reason }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((name.as_str(), reason), ("key", crash("no hub")));
    retry_in
}

#[tokio::test(start_paused = true)]
async fn repeated_get_or_start_of_a_failing_key_stays_within_its_restart_budget() {
    let rt = Runtime::new();
    let homes = pool(&rt, Exhausted::GiveUp).await;
    let starts = Arc::new(AtomicU32::new(0));
    assert!(homes.get_or_start("key", failing(&starts)).await.is_ok());
    settled().await;
    for _ in 0..99 {
        let left = retry_in(homes.get_or_start("key", failing(&starts)).await);
        assert!(left > MINUTE / 2 && left <= MINUTE, "{left:?}");
        let named = failing(&starts).named("key");
        retry_in(homes.start_child(named).await);
    }
    assert_eq!(starts.load(Ordering::Relaxed), 1 + 3);
    let known = homes.which_children().await.unwrap();
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!(known[0].state, ChildState::GivenUp);

    // The window is over. The next start under the name replaces the child, with a new budget.
    tokio::time::advance(MINUTE).await;
    let second = homes.get_or_start("key", failing(&starts)).await.unwrap();
    settled().await;
    retry_in(homes.get_or_start("key", failing(&starts)).await);
    assert_eq!(starts.load(Ordering::Relaxed), 2 * (1 + 3));
    assert_eq!(homes.which_children().await.unwrap().len(), 1);
    homes.terminate_child(second).await.unwrap();
    assert!(homes.which_children().await.unwrap().is_empty());
    // The given-up child was removed, so a start under its name is no longer refused.
    assert!(homes.get_or_start("key", failing(&starts)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn children_that_were_given_up_do_not_count_against_max_children() {
    let rt = Runtime::new();
    let homes = pool(&rt, Exhausted::GiveUp).await;
    let starts = Arc::new(AtomicU32::new(0));
    for _ in 0..10 {
        homes.start_child(failing(&starts)).await.unwrap();
        settled().await;
    }
    assert_eq!(homes.count_children().await.unwrap().specs, 10);
    let good = ChildSpec::task("good", |_| pending());
    homes.start_child(good.clone()).await.unwrap();
    homes.get_or_start("good", good.clone()).await.unwrap();
    assert_eq!(homes.start_child(good).await, Err(StartError::MaxChildren(2)));
}

#[tokio::test(start_paused = true)]
async fn a_child_given_up_with_forget_can_be_started_again_at_once() {
    let rt = Runtime::new();
    let homes = pool(&rt, Exhausted::Forget).await;
    let starts = Arc::new(AtomicU32::new(0));
    for round in 1..=5 {
        let pid = homes.get_or_start("key", failing(&starts)).await.unwrap();
        settled().await;
        assert_eq!(starts.load(Ordering::Relaxed), round * (1 + 3));
        assert!(homes.which_children().await.unwrap().is_empty());
        let gone = homes.terminate_child(pid).await;
        assert_eq!(gone, Err(ChildError::NotFound(pid.to_string())));
        assert_eq!(rt.whereis("key"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn another_process_may_register_the_name_of_a_child_that_was_given_up() {
    let rt = Runtime::new();
    let homes = pool(&rt, Exhausted::GiveUp).await;
    homes.get_or_start("key", failing(&Arc::default())).await.unwrap();
    settled().await;
    let stranger = idle(&rt);
    assert!(rt.register("key", stranger));
    assert_eq!(homes.get_or_start("key", failing(&Arc::default())).await, Ok(stranger));
    killed(&rt, stranger).await;
    retry_in(homes.get_or_start("key", failing(&Arc::default())).await);
}

/// Returns the pids of all incarnations of the only child, the running one last.
async fn incarnations(homes: &DynamicSupervisorRef) -> Vec<Pid> {
    let children = homes.which_children().await.unwrap();
    assert_eq!(children.len(), 1, "{children:?}");
    let over = children[0].history.iter().filter_map(|over| over.pid);
    over.chain(children[0].pid()).collect()
}

#[tokio::test(start_paused = true)]
async fn terminate_child_accepts_the_first_and_the_last_pid_of_a_child() {
    let rt = Runtime::new();
    let idle = ChildSpec::task("idle", |_| pending());
    for given_up in [false, true] {
        for first in [false, true] {
            let homes = pool(&rt, Exhausted::GiveUp).await;
            let told = homes.start_child(idle.clone()).await.unwrap();
            for _ in 0..if given_up { 4 } else { 2 } {
                killed(&rt, incarnations(&homes).await.pop().unwrap()).await;
                settled().await;
            }
            let pids = incarnations(&homes).await;
            assert_eq!(pids[0], told);
            let running = homes.count_children().await.unwrap().active;
            assert_eq!(running, usize::from(!given_up));
            let between = homes.terminate_child(pids[1]).await;
            assert_eq!(between, Err(ChildError::NotFound(pids[1].to_string())));
            let last = *pids.last().unwrap();
            homes.terminate_child(if first { told } else { last }).await.unwrap();
            assert!(homes.which_children().await.unwrap().is_empty());
            assert!(!rt.is_alive(last));
            let again = homes.terminate_child(told).await;
            assert_eq!(again, Err(ChildError::NotFound(told.to_string())));
            homes.stop().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_given_up_keeps_its_history_and_its_event_has_the_last_pid() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let homes = pool(&rt, Exhausted::GiveUp).await;
    let first = homes.get_or_start("key", failing(&Arc::default())).await.unwrap();
    settled().await;
    let known = homes.which_children().await.unwrap().remove(0);
    assert_eq!((known.state, known.restarts), (ChildState::GivenUp, 3));
    let attempts: Vec<_> = known.history.iter().map(|over| over.attempt).collect();
    assert_eq!(attempts, [0, 1, 2, 3]);
    let pids: BTreeSet<_> = known.history.iter().map(|over| over.pid.unwrap()).collect();
    assert_eq!((pids.len(), pids.first()), (4, Some(&first)));
    assert!(known.history.iter().all(|over| over.reason == crash("no hub")));

    let given_up = loop {
        if let LifecycleEvent::GivenUp { pid, child, supervisor, .. } = events.next().await.unwrap()
        {
            break (pid, child.to_string(), Some(supervisor));
        }
    };
    assert_eq!(given_up, (pids.last().copied(), "failing".to_owned(), homes.pid()));

    let text = homes.tree().await.unwrap().to_string();
    assert!(text.contains("given up  3 restarts, last: no hub"), "{text}");
}

/// Only the first incarnation of the child ran. The failed restarts have no pid, so the child is
/// known by the pid of the first incarnation.
#[tokio::test(start_paused = true)]
async fn a_child_whose_restarts_fail_is_given_up_under_its_last_pid() {
    let rt = Runtime::new();
    let homes = pool(&rt, Exhausted::GiveUp).await;
    let idle_one = ChildSpec::task("key", |_| pending());
    let pid = homes.get_or_start("key", idle_one.clone()).await.unwrap();
    // Another process takes the name of the child, so that every restart fails.
    let stranger = idle(&rt);
    rt.unregister("key");
    assert!(rt.register("key", stranger));
    killed(&rt, pid).await;
    settled().await;
    let known = homes.which_children().await.unwrap().remove(0);
    assert_eq!(known.state, ChildState::GivenUp);
    let pids: Vec<_> = known.history.iter().map(|over| over.pid).collect();
    assert_eq!(pids, [Some(pid), None, None, None]);
    killed(&rt, stranger).await;
    let refused = homes.get_or_start("key", idle_one).await.unwrap_err();
    let StartError::GivenUp { reason: ExitReason::Crashed(why), .. } = refused else { panic!() };
    assert!(matches!(why.downcast_ref(), Some(StartError::AlreadyStarted { .. })));
    homes.terminate_child(pid).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_most_a_thousand_children_that_were_given_up_are_kept() {
    let rt = Runtime::new();
    let homes = pool(&rt, Exhausted::GiveUp).await;
    for key in 0..1_100 {
        homes.get_or_start(format!("key {key}"), failing(&Arc::default())).await.unwrap();
        settled().await;
    }
    assert_eq!(homes.count_children().await.unwrap().specs, 1_000);
    let late = homes.get_or_start("key 1099", failing(&Arc::default())).await;
    assert!(matches!(late, Err(StartError::GivenUp { .. })));
    assert!(homes.get_or_start("key 0", failing(&Arc::default())).await.is_ok());
}

/// The next start under the name fails before the new child is ready. The old child stays given up.
#[tokio::test(start_paused = true)]
async fn a_failed_start_of_a_given_up_name_renews_the_retry_interval() {
    let rt = Runtime::new();
    let homes = pool(&rt, Exhausted::GiveUp).await;
    let starts = Arc::new(AtomicU32::new(0));
    assert!(homes.get_or_start("key", failing(&starts)).await.is_ok());
    tokio::time::sleep(MINUTE).await;
    let never_ready = failing(&starts).ready_within(MINUTE);
    let refused = homes.get_or_start("key", never_ready).await;
    assert_eq!(refused, Err(StartError::Failed(crash("no hub"))));
    for _ in 0..100 {
        assert_eq!(retry_in(homes.get_or_start("key", failing(&starts)).await), MINUTE);
    }
    assert_eq!(starts.load(Ordering::Relaxed), 1 + 3 + 1);
    assert_eq!(homes.which_children().await.unwrap()[0].history.len(), 4);
}

/// The budget of a child's own specification replaces that of the supervisor.
#[tokio::test(start_paused = true)]
async fn a_dynamic_child_may_have_a_budget_by_its_own_specification() {
    let rt = Runtime::new();
    let homes = DynamicSupervisor::new().intensity(0, MINUTE).start(&rt).await.unwrap();
    let starts = Arc::new(AtomicU32::new(0));
    let own = failing(&starts).restart_budget(5, MINUTE, Exhausted::GiveUp);
    homes.start_child(own.clone()).await.unwrap();
    settled().await;
    assert_eq!(starts.load(Ordering::Relaxed), 1 + 5);
    assert_eq!(homes.which_children().await.unwrap()[0].state, ChildState::GivenUp);

    let escalates = own.restart_budget(1, MINUTE, Exhausted::Escalate);
    homes.start_child(escalates).await.unwrap();
    let reason = homes.ended().await;
    let limit: &regrow::RestartLimitReached = reason.crash().unwrap().downcast_ref().unwrap();
    assert_eq!((limit.restarts, limit.counts[0].restarts), (1, 2));
}
