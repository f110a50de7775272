//! The limit of the memory of a child, by its own report. `tests/measured_memory.rs` measures it.

use regrow::{
    ChildSpec, DynamicSupervisor, FailurePolicy, MemoryLimitReached, Restart, Runtime, StartError,
    Supervisor, TaskContext,
};

use super::idle;
use crate::support::scripted_children::states;

/// A child that reports these numbers, one after the other.
fn reporting(numbers: &'static [u64]) -> ChildSpec {
    let body = move |ctx: TaskContext| async move {
        for bytes in numbers {
            ctx.set_memory(*bytes);
            tokio::task::yield_now().await;
        }
        std::future::pending().await
    };
    ChildSpec::task("a", body).named("a").restart(Restart::Temporary)
}

#[tokio::test(start_paused = true)]
async fn a_child_beyond_its_limit_ends_with_the_numbers_and_one_at_its_limit_lives() {
    let rt = Runtime::new();
    let child = reporting(&[10, 100, 101]).max_memory(100);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let reason = rt.ended(rt.whereis("a").unwrap()).await;
    let limit = reason.find_error::<MemoryLimitReached>().unwrap();
    assert_eq!((limit.limit, limit.used), (100, 101));

    let child = reporting(&[100]).max_memory(100);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    idle().await;
    assert_eq!(rt.info(rt.whereis("a").unwrap()).unwrap().memory, Some(100));
}

/// Also a child that never awaits again until it has reported a smaller number.
#[tokio::test(start_paused = true)]
async fn a_child_that_exceeded_its_limit_for_a_moment_ends() {
    let rt = Runtime::new();
    let body = |ctx: TaskContext| async move {
        ctx.set_memory(101);
        ctx.set_memory(1);
        std::future::pending().await
    };
    let child = ChildSpec::task("a", body).restart(Restart::Temporary).max_memory(100);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    idle().await;
    assert_eq!(tree.count_children().await.unwrap().specs, 0);
}

/// The end is a failure like others: the policy finds the typed error.
#[tokio::test(start_paused = true)]
async fn the_policy_of_the_child_decides_what_follows() {
    let rt = Runtime::new();
    let child = reporting(&[7]).restart(Restart::Permanent).max_memory(6).on_failure(|reason| {
        match reason.find_error::<MemoryLimitReached>() {
            Some(_) => FailurePolicy::Stop,
            None => FailurePolicy::Restart,
        }
    });
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    idle().await;
    assert_eq!(states(&tree).await, ["a given up"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_or_a_report_a_child_lives() {
    let rt = Runtime::new();
    let tree = DynamicSupervisor::new().start(&rt).await.unwrap();
    let all = [reporting(&[u64::MAX]), reporting(&[]).max_memory(1)];
    for (n, child) in all.into_iter().enumerate() {
        tree.start_child(child.named(n.to_string())).await.unwrap();
    }
    idle().await;
    assert_eq!(tree.count_children().await.unwrap().active, 2);
    assert_eq!(rt.info(rt.whereis("1").unwrap()).unwrap().memory, None);
    let ended = crate::support::dead_pid(&rt).await;
    assert!(!rt.set_memory(ended, 1));
}

#[tokio::test(start_paused = true)]
async fn a_limit_for_a_supervisor_is_refused() {
    let rt = Runtime::new();
    let inner = ChildSpec::from(Supervisor::one_for_one().with_id("inner")).max_memory(1);
    let refused = Supervisor::one_for_one().child(inner).start(&rt).await.unwrap_err();
    assert!(matches!(&refused, StartError::Invalid(why) if why.contains("limit its children")));
}
