//! Actions on children of a dynamic supervisor that are requested from outside.

use super::control::{idle, slow_stop};
use crate::support;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regrow::{
    ChildError, ChildSpec, ChildState, ControlAction, ControlError, ControlRequest,
    DynamicSupervisor, DynamicSupervisorRef, Events, Exhausted, ExitReason, LifecycleEvent, Pid,
    Restart, Result, Runtime, StartChild, StartContext, StartError, Started,
};
use support::settled;
use tokio::sync::Notify;

const SECOND: Duration = Duration::from_secs(1);

/// Carries out this action on the child of `jobs` with this id and pid.
async fn control(
    rt: &Runtime,
    jobs: &DynamicSupervisorRef,
    action: ControlAction,
    (id, pid): (&str, Pid),
) -> Result<(), ControlError> {
    let request = ControlRequest::new(action).path(format!("jobs/{id}")).pid(pid);
    rt.control(request.supervisor(jobs.pid().unwrap())).await
}

/// The outcome of the next request that is reported.
async fn outcome(events: &mut Events) -> &'static str {
    loop {
        if let LifecycleEvent::Control { outcome, .. } = events.next().await.unwrap() {
            return outcome.name();
        }
    }
}

/// A start function that fails, or waits until it is notified, as its flags say.
#[derive(Clone, Default)]
struct Start {
    fails: Arc<AtomicBool>,
    waits: Arc<AtomicBool>,
    go_on: Arc<Notify>,
}

#[async_trait::async_trait]
impl StartChild for Start {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        if self.waits.load(Ordering::Relaxed) {
            self.go_on.notified().await;
        }
        if self.fails.load(Ordering::Relaxed) {
            return Err(StartError::Failed(ExitReason::crashed("no disk")));
        }
        ctx.task(|_| pending()).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_the_budget_and_the_other_children() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    let mut pid = jobs.start_child(idle("a")).await.unwrap();
    let (first, other) = (pid, jobs.start_child(idle("b")).await.unwrap());
    for _ in 0..10 {
        control(&rt, &jobs, ControlAction::Restart, ("a", pid)).await.unwrap();
        assert!(!rt.is_alive(pid));
        pid = rt.whereis("a").unwrap();
    }
    assert!(rt.is_alive(other));
    let children = jobs.which_children().await.unwrap();
    let a = children.iter().find(|child| child.id == "a").unwrap();
    assert_eq!((a.state, a.restarts, a.starts_by_hand), (ChildState::Running(pid), 0, 10));
    assert_eq!(a.history.len(), 8);
    // A handle to the first process still reaches the child, a request of a page does not.
    let refused = control(&rt, &jobs, ControlAction::Restart, ("a", first)).await;
    let changed = ChildError::Changed { id: "a".into(), pid: Some(pid) };
    assert_eq!(refused, Err(ControlError::Child(changed)));
    jobs.terminate_child(first).await.unwrap();
    assert!(!rt.is_alive(pid));
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_earlier_failures_count_neither_for_the_backoff_nor_for_the_own_budget() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs");
    let jobs = jobs.child_intensity(2, 3600 * SECOND, Exhausted::GiveUp).start(&rt).await.unwrap();
    let backoff = regrow::Backoff::new().first(SECOND).factor(8.0).jitter(0.0);
    jobs.start_child(idle("a").backoff(backoff)).await.unwrap();
    let crash = async || {
        rt.kill(rt.whereis("a").unwrap());
        settled().await;
        let state = jobs.which_children().await.unwrap()[0].state;
        let ChildState::Restarting { retry_in } = state else { panic!("{state:?}") };
        tokio::time::sleep(retry_in.unwrap()).await;
        settled().await;
        (retry_in.unwrap() + SECOND / 2).as_secs() // a little has passed since the crash
    };
    assert_eq!((crash().await, crash().await), (1, 8));
    let a = rt.whereis("a").unwrap();
    control(&rt, &jobs, ControlAction::Restart, ("a", a)).await.unwrap();
    assert_eq!((crash().await, crash().await), (1, 8));
}

#[tokio::test(start_paused = true)]
async fn a_pid_with_the_path_of_another_child_is_not_found() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    let a = jobs.start_child(idle("a")).await.unwrap();
    for action in [ControlAction::Restart, ControlAction::Terminate] {
        let refused = control(&rt, &jobs, action, ("b", a)).await;
        assert_eq!(refused, Err(ControlError::Child(ChildError::NotFound("b".into()))));
    }
    let refused = control(&rt, &jobs, ControlAction::Kill, ("b", a)).await;
    assert_eq!(refused, Err(ControlError::NotFound("jobs/b".into())));
    assert!(rt.is_alive(a));
}

#[tokio::test(start_paused = true)]
async fn a_slow_restart_delays_no_other_child_and_a_second_request_is_refused() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    let a = jobs.start_child(slow_stop("a", 20 * SECOND)).await.unwrap();
    let b = jobs.start_child(idle("b")).await.unwrap();
    let both = tokio::join!(control(&rt, &jobs, ControlAction::Restart, ("a", a)), async {
        settled().await;
        let refused = control(&rt, &jobs, ControlAction::Restart, ("a", a)).await;
        let other = control(&rt, &jobs, ControlAction::Restart, ("b", b)).await;
        assert!(rt.is_alive(a));
        (refused, other)
    },);
    let stopping = Err(ControlError::Child(ChildError::Stopping("a".into())));
    assert_eq!(both, (Ok(()), (stopping, Ok(()))));
}

/// The terminate wins: the child is not started again, and its name is free.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_terminated_while_it_stops_for_a_restart_is_removed() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    let a = jobs.start_child(slow_stop("a", 2 * SECOND)).await.unwrap();
    let mut events = rt.events();
    let (restarted, terminated) =
        tokio::join!(control(&rt, &jobs, ControlAction::Restart, ("a", a)), async {
            settled().await;
            jobs.terminate_child(a).await
        },);
    assert_eq!(terminated, Ok(()));
    // The restart has stopped the child, so it is not reported as refused.
    assert_eq!(restarted, Err(ControlError::Failed(ChildError::Stopping("a".into()))));
    assert_eq!(outcome(&mut events).await, "unfinished");
    assert_eq!(jobs.count_children().await.unwrap().specs, 0);
    jobs.start_child(idle("a")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_unfinished_if_its_supervisor_ends() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    let a = jobs.start_child(slow_stop("a", 2 * SECOND)).await.unwrap();
    let (restarted, stopped) =
        tokio::join!(control(&rt, &jobs, ControlAction::Restart, ("a", a)), async {
            settled().await;
            jobs.stop().await
        },);
    assert_eq!(restarted, Err(ControlError::Unfinished));
    stopped.unwrap();
    assert_eq!(rt.process_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_is_not_restarted_and_can_be_terminated() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    let a = jobs.start_child(idle("a").restart(Restart::Temporary)).await.unwrap();
    let refused = control(&rt, &jobs, ControlAction::Restart, ("a", a)).await;
    assert_eq!(refused, Err(ControlError::Child(ChildError::Temporary("a".into()))));
    control(&rt, &jobs, ControlAction::Terminate, ("a", a)).await.unwrap();
    assert_eq!(jobs.count_children().await.unwrap().specs, 0);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_given_up_is_started_with_a_new_budget() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").max_children(1);
    let jobs = jobs.child_intensity(1, 60 * SECOND, Exhausted::GiveUp).start(&rt).await.unwrap();
    let first = jobs.start_child(idle("a")).await.unwrap();
    let crash = async || {
        for _ in 0..2 {
            rt.kill(rt.whereis("a").unwrap());
            settled().await;
        }
        let child = &jobs.which_children().await.unwrap()[0];
        assert_eq!(child.state, ChildState::GivenUp);
        child.history.last().unwrap().pid.unwrap()
    };
    let given_up = crash().await;
    assert_ne!(given_up, first);
    let b = jobs.start_child(idle("b")).await.unwrap();
    let mut events = rt.events();
    let refused = control(&rt, &jobs, ControlAction::Restart, ("a", given_up)).await;
    assert_eq!(outcome(&mut events).await, "refused");
    let full = ChildError::NotStarted(StartError::MaxChildren(1));
    assert_eq!(refused, Err(ControlError::Child(full)));
    jobs.terminate_child(b).await.unwrap();
    control(&rt, &jobs, ControlAction::Restart, ("a", given_up)).await.unwrap();
    crash().await; // it took two crashes again
    jobs.terminate_child(first).await.unwrap(); // the first pid still names the child
    assert_eq!(jobs.count_children().await.unwrap().specs, 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_start_the_restart_policy_decides() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    let (start, backoff) = (Start::default(), regrow::Backoff::new());
    let spec = ChildSpec::new("a", start.clone()).named("a").backoff(backoff);
    let a = jobs.start_child(spec).await.unwrap();
    start.fails.store(true, Ordering::Relaxed);
    let failed = control(&rt, &jobs, ControlAction::Restart, ("a", a)).await;
    let reason = StartError::Failed(ExitReason::crashed("no disk"));
    assert_eq!(failed, Err(ControlError::Failed(ChildError::NotStarted(reason))));
    start.fails.store(false, Ordering::Relaxed);
    let refused = control(&rt, &jobs, ControlAction::Restart, ("a", a)).await;
    assert_eq!(refused, Err(ControlError::Child(ChildError::Restarting("a".into()))));
    tokio::time::sleep(2 * SECOND).await;
    assert!(rt.whereis("a").is_some());
    let child = &jobs.which_children().await.unwrap()[0];
    assert_eq!((child.restarts, child.starts_by_hand), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_terminated_during_its_requested_start_is_removed() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    let start = Start::default();
    let a = jobs.start_child(ChildSpec::new("a", start.clone())).await.unwrap();
    start.waits.store(true, Ordering::Relaxed);
    let (restarted, terminated) =
        tokio::join!(control(&rt, &jobs, ControlAction::Restart, ("a", a)), async {
            settled().await;
            jobs.terminate_child(a).await
        },);
    assert_eq!(terminated, Ok(()));
    assert_eq!(restarted, Err(ControlError::Failed(ChildError::Stopping("a".into()))));
    assert_eq!(jobs.count_children().await.unwrap().specs, 0);
    assert_eq!(rt.process_count(), 1);
}
