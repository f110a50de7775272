//! Starts under supervisors by name that wait while the supervisor is being restarted.

use crate::support;

use std::time::Duration;

use regrow::{
    Backoff, CallError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Pid, Runtime,
    StartError, Supervisor, SupervisorRef, SupervisorSpec, TaskSupervisor, TaskSupervisorRef,
};
use support::{killed, settled};

fn job() -> ChildSpec {
    ChildSpec::task("job", |_| std::future::pending())
}

/// The three kinds of supervisors, each under its own name.
fn tree() -> SupervisorSpec {
    Supervisor::one_for_one()
        .backoff(Backoff::new().jitter(0.0))
        .child(Supervisor::one_for_one().named("fixed"))
        .child(DynamicSupervisor::new().named("dynamic"))
        .child(TaskSupervisor::new().named("task"))
}

async fn start(rt: &Runtime, name: &str, limit: Duration) -> Result<Pid, StartError> {
    match name {
        "fixed" => SupervisorRef::named(rt, name).start_child_waiting(job(), limit).await,
        "dynamic" => DynamicSupervisorRef::named(rt, name).start_child_waiting(job(), limit).await,
        _ => {
            let tasks = TaskSupervisorRef::named(rt, name);
            tasks.start_child_waiting(|_| std::future::pending(), limit).await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_for_the_successor_of_a_supervisor_within_its_limit() {
    let rt = Runtime::new();
    let _tree = tree().start(&rt).await.unwrap();
    for name in ["fixed", "dynamic", "task"] {
        let before = rt.whereis(name).unwrap();
        killed(&rt, before).await;
        settled().await;
        let early = start(&rt, name, Duration::from_millis(100)).await.unwrap_err();
        let StartError::Unreachable(CallError::Restarting { .. }) = early else {
            panic!("{early}")
        };
        let pid = start(&rt, name, Duration::from_secs(5)).await.unwrap();
        assert!(rt.is_alive(pid));
        assert_ne!(rt.whereis(name), Some(before));
    }
}

/// The kill comes between the lookup of the name and the request.
#[tokio::test(start_paused = true)]
async fn a_start_that_a_supervisor_refuses_while_it_ends_goes_to_the_successor() {
    let rt = Runtime::new();
    let _tree = tree().start(&rt).await.unwrap();
    for name in ["fixed", "dynamic", "task"] {
        // The kill is accepted, and the process has not been torn down: requests are refused.
        rt.kill(rt.whereis(name).unwrap());
        assert!(rt.is_alive(start(&rt, name, Duration::from_secs(5)).await.unwrap()));
    }
}

/// No supervisor of this name will come.
#[tokio::test(start_paused = true)]
async fn a_start_under_an_unknown_name_fails_at_once_and_names_it() {
    let rt = Runtime::new();
    for name in ["fixed", "dynamic", "task"] {
        let begin = tokio::time::Instant::now();
        let error = start(&rt, name, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}

/// The limit holds for a start that takes long.
#[tokio::test(start_paused = true)]
async fn a_start_that_takes_longer_than_the_limit_times_out() {
    let rt = Runtime::new();
    let _tree = tree().start(&rt).await.unwrap();
    let slow = job().ready_within(Duration::from_secs(60));
    for limit in [Duration::ZERO, Duration::from_secs(1)] {
        let fixed = SupervisorRef::named(&rt, "fixed");
        let error = fixed.start_child_waiting(slow.clone().with_id("slow"), limit).await;
        assert_eq!(error, Err(StartError::Unreachable(CallError::Timeout)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_waits_in_vain_ends_exactly_at_its_limit() {
    let rt = Runtime::new();
    let slow = Backoff::new().first(Duration::from_secs(3_600)).max(Duration::from_secs(3_600));
    let _tree = tree().backoff(slow.jitter(0.0)).start(&rt).await.unwrap();
    for name in ["fixed", "dynamic", "task"] {
        killed(&rt, rt.whereis(name).unwrap()).await;
        settled().await;
        let (limit, begun) = (Duration::from_secs(7), tokio::time::Instant::now());
        let started = start(&rt, name, limit).await;
        let restarting = matches!(
            started,
            Err(StartError::Unreachable(CallError::Restarting { retry_in: Some(_) }))
        );
        assert!(restarting, "{name}: {started:?}");
        assert_eq!(begun.elapsed(), limit, "{name}");
    }
}
