//! The children whose readiness counts for that of the tree.

use crate::support;

use std::time::Duration;

use regrow::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Exhausted, Health, Readiness, Runtime,
    StartError, Supervisor, SupervisorSpec,
};
use support::{crash, settled};

fn child(id: &str, health: Health) -> ChildSpec {
    ChildSpec::task(id, move |ctx| {
        ctx.set_health(health.clone());
        std::future::pending()
    })
}

async fn health(spec: SupervisorSpec) -> String {
    let rt = Runtime::new();
    let tree = spec.start(&rt).await.unwrap();
    settled().await;
    tree.tree().await.unwrap().health().to_string()
}

/// An ignored child and everything below it do not count.
#[tokio::test(start_paused = true)]
async fn an_ignored_child_and_the_nodes_below_it_do_not_count() {
    let slow = || child("slow", Health::Starting);
    let ignored = |spec: ChildSpec| spec.readiness(Readiness::Ignored);
    let tree = || Supervisor::one_for_one().named("app");
    assert_eq!(health(tree().child(slow())).await, "slow is starting");
    assert_eq!(health(tree().child(ignored(slow()))).await, "ready");
    let inner = || Supervisor::one_for_one().with_id("inner").child(slow());
    assert_eq!(health(tree().child(inner())).await, "inner/slow is starting");
    assert_eq!(health(tree().child(ignored(inner().into()))).await, "ready");
    let both = tree().child(ignored(slow().with_id("other"))).child(slow());
    assert_eq!(health(both).await, "slow is starting");
    let failing = ChildSpec::task("failing", |_| async { Err(crash("no luck")) });
    let failing = failing.restart_budget(0, Duration::from_secs(1), Exhausted::GiveUp);
    assert_eq!(health(tree().child(failing.clone())).await, "failing: given up: no luck");
    assert_eq!(health(tree().child(ignored(failing))).await, "ready");
}

/// The share of a dynamic supervisor.
#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_counts_its_children_as_a_share_or_not_at_all() {
    for (percent, ready_of_ten, expected) in [
        (0, 0, "ready"),
        (90, 9, "ready"),
        (90, 8, "jobs: 8 of 10 children are ready, 90 % have to be"),
        (100, 9, "jobs: 9 of 10 children are ready, 100 % have to be"),
        (100, 10, "ready"),
    ] {
        let rt = Runtime::new();
        let jobs = DynamicSupervisor::new().named("jobs").ready_share(percent);
        let tree = Supervisor::one_for_one().child(jobs).start(&rt).await.unwrap();
        assert!(tree.tree().await.unwrap().health().is_serving(), "no children");
        let jobs = DynamicSupervisorRef::named(&rt, "jobs");
        for at in 0..10 {
            let health = if at < ready_of_ten { Health::Ready } else { Health::Starting };
            jobs.start_child(child("job", health)).await.unwrap();
        }
        settled().await;
        let health = tree.tree().await.unwrap().health();
        assert_eq!(health.to_string(), expected);
        assert_eq!(health.is_serving(), expected == "ready");
    }
}

/// A child that waits for its restart or was given up is not ready.
#[tokio::test(start_paused = true)]
async fn a_given_up_dynamic_child_is_not_ready() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").ready_share(60);
    let jobs = jobs.child_intensity(0, Duration::from_secs(1), Exhausted::GiveUp);
    let jobs = jobs.start(&rt).await.unwrap();
    let failing = ChildSpec::task("failing", |_| async { Err(crash("no luck")) });
    jobs.start_child(failing).await.unwrap();
    jobs.start_child(child("good", Health::Degraded("slow".into()))).await.unwrap();
    settled().await;
    let text = jobs.tree().await.unwrap().health().to_string();
    assert_eq!(text, "1 of 2 children are ready, 60 % have to be");
}

#[tokio::test(start_paused = true)]
async fn a_share_above_all_children_is_refused() {
    let rt = Runtime::new();
    let error = DynamicSupervisor::new().ready_share(101).start(&rt).await.unwrap_err();
    assert!(matches!(error, StartError::Invalid(what) if what.contains("`ready_share`")));
}
