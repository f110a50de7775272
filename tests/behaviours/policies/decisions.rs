//! `Restart`, `Stop` and `Escalate`, under both kinds of supervisor, and beside their other settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use regrow::FailurePolicy::{Escalate, Restart, Resume, Stop};
use regrow::{
    AutoShutdown, Backoff, ChildSpec, DynamicSupervisor, Exhausted, ExitReason, FailurePolicy,
    GenServer, LifecycleEvent, Limit, RestartLimitReached, Runtime, StartChild, StartContext,
    StartError, Started, Supervisor,
};

use super::{Ask, Do, Number, SECOND, as_asked, get, idle};
use crate::support::log::Log;
use crate::support::scripted_children::states;

fn number(id: &'static str) -> ChildSpec {
    Number::child(40).with_id(id).named(id).on_failure(as_asked)
}

fn limit(reason: &ExitReason) -> &RestartLimitReached {
    reason.find_error().expect("a supervisor that has given up")
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_followed_by_what_its_policy_says_and_only_by_that() {
    for (policy, expected) in [
        (Restart, ["a runs", "b runs"]),
        (Resume, ["a runs", "b runs"]),
        (Stop, ["a given up", "b runs"]),
    ] {
        let rt = Runtime::new();
        let tree = Supervisor::one_for_one().child(number("a")).child(number("b"));
        let tree = tree.start(&rt).await.unwrap();
        let (a, b) = (rt.whereis("a"), rt.whereis("b"));
        rt.server::<Number>("a").cast(Do::Fail(policy));
        idle().await;
        assert_eq!(states(&tree).await, expected, "{policy}");
        assert_eq!(rt.whereis("b"), b);
        assert_eq!(rt.whereis("a") == a, policy == Resume);
        let restarts = u32::from(policy == Restart);
        assert_eq!(tree.which_child("a").await.unwrap().restarts, restarts);
    }
}

/// The supervisor above is asked about the supervisor, and finds the error of the child.
#[tokio::test(start_paused = true)]
async fn an_escalated_failure_ends_the_supervisor_at_once_and_the_one_above_decides() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let inner = Supervisor::one_for_one().unlimited_restarts().with_id("inner").child(number("a"));
    let seen = Arc::new(AtomicU32::new(0));
    let counted = seen.clone();
    let inner = ChildSpec::from(inner).on_failure(move |reason| {
        assert_eq!(limit(reason).limit, Limit::Escalated);
        counted.fetch_add(u32::from(reason.find_error::<Ask>().is_some()), Ordering::SeqCst);
        Restart
    });
    let tree = Supervisor::one_for_one().child(inner).child(number("b")).start(&rt).await.unwrap();
    let (inner, b) = (tree.which_child("inner").await.unwrap().pid(), rt.whereis("b"));
    rt.server::<Number>("a").cast(Do::Fail(Escalate));
    idle().await;
    assert_ne!(tree.which_child("inner").await.unwrap().pid(), inner);
    assert_eq!((get(&rt, "a").await, rt.whereis("b")), (40, b));
    assert!(seen.load(Ordering::SeqCst) > 0);
    let gave_up = loop {
        if let Some(LifecycleEvent::GaveUp { child, reason, .. }) = events.next().await {
            break (child, reason.to_string());
        }
    };
    let text = "error: a failure of child \"a\" ends its supervisor by its policy: error";
    assert_eq!((gave_up.0.as_str(), gave_up.1.as_str()), ("a", text));
}

/// A root ends with the error, whose `last` is the reason of the child.
#[tokio::test(start_paused = true)]
async fn a_root_whose_child_escalates_ends_with_the_reason_of_the_child() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(number("a")).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Escalate));
    let reason = tree.ended().await;
    let limit = limit(&reason);
    assert_eq!((limit.limit, limit.restarts), (Limit::Escalated, 0));
    assert_eq!(as_asked(&limit.last), Escalate);
    assert_eq!(rt.process_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn policies_hold_under_a_dynamic_supervisor_also_for_temporary_children() {
    for restart in [regrow::Restart::Permanent, regrow::Restart::Temporary] {
        let rt = Runtime::new();
        let tree = DynamicSupervisor::new().start(&rt).await.unwrap();
        let child = number("a").restart(restart);
        for policy in [Resume, Stop] {
            let pid = tree.start_child(child.clone()).await.unwrap();
            rt.server::<Number>("a").cast(Do::Fail(policy));
            idle().await;
            assert_eq!(rt.is_alive(pid), policy == Resume);
            assert_eq!(tree.count_children().await.unwrap().active, usize::from(policy == Resume));
            rt.kill(pid);
            rt.ended(pid).await;
            idle().await;
            for left in tree.which_children().await.unwrap() {
                tree.terminate_child(left.pid().unwrap()).await.unwrap();
            }
        }
        tree.start_child(child).await.unwrap();
        rt.server::<Number>("a").cast(Do::Fail(Escalate));
        assert_eq!(limit(&tree.ended().await).limit, Limit::Escalated);
    }
}

/// A temporary child is never restarted, whatever the policy.
#[tokio::test(start_paused = true)]
async fn the_policy_restart_leaves_a_temporary_child_down() {
    let rt = Runtime::new();
    let child = number("a").restart(regrow::Restart::Temporary);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Restart));
    idle().await;
    assert_eq!(tree.count_children().await.unwrap().specs, 0);
}

/// In a group only `Restart` concerns the others.
#[tokio::test(start_paused = true)]
async fn only_the_policy_restart_restarts_the_group() {
    for policy in [Restart, Stop, Resume] {
        let rt = Runtime::new();
        let tree = Supervisor::one_for_all().child(number("a")).child(number("b"));
        let tree = tree.start(&rt).await.unwrap();
        let b = rt.whereis("b");
        rt.server::<Number>("a").cast(Do::Fail(policy));
        idle().await;
        assert_eq!(rt.whereis("b") == b, policy != Restart, "{policy}");
        // A restart of the group does not start a child that was given up.
        rt.server::<Number>("b").cast(Do::Panic);
        idle().await;
        let a = if policy == Stop { "a given up" } else { "a runs" };
        assert_eq!(states(&tree).await, [a, "b runs"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_significant_child_may_end_its_supervisor() {
    let rt = Runtime::new();
    let child = number("a").restart(regrow::Restart::Transient).significant(true);
    let tree = Supervisor::one_for_one().auto_shutdown(AutoShutdown::AnySignificant);
    let tree = tree.child(child).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Stop));
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
}

/// The closure is asked about failures only: not about clean ends, stops and decisions of the child.
#[tokio::test(start_paused = true)]
async fn the_closure_is_not_asked_about_clean_ends_stops_and_decisions_of_the_child() {
    let asked = Arc::new(AtomicU32::new(0));
    let rt = Runtime::new();
    let counted = asked.clone();
    let child = number("a").on_failure(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Escalate
    });
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::End);
    idle().await;
    assert_eq!(states(&tree).await, ["a runs"]);
    rt.server::<Number>("a").cast(Do::GiveUp);
    idle().await;
    assert_eq!(states(&tree).await, ["a given up"]);
    tree.restart_child("a").await.unwrap();
    tree.terminate_child("a").await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// A member that its supervisor stops may have failed just before: the restart of the group starts it.
#[tokio::test(start_paused = true)]
async fn a_failure_in_the_stop_of_a_group_is_not_asked_about() {
    struct Deaf;
    #[async_trait::async_trait]
    impl StartChild for Deaf {
        async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
            ctx.task(|mut ctx| async move {
                ctx.cancellation_token().cancelled().await;
                Err(Ask(Escalate))?
            })
            .await
        }
    }
    let rt = Runtime::new();
    let deaf = ChildSpec::new("b", Deaf).on_failure(as_asked);
    let tree = Supervisor::one_for_all().child(number("a")).child(deaf).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Restart));
    idle().await;
    assert_eq!(states(&tree).await, ["a runs", "b runs"]);
}

/// A start whose error asks for a policy, from the second start on.
#[derive(Clone)]
struct Failing(Arc<AtomicU32>, FailurePolicy);

#[async_trait::async_trait]
impl StartChild for Failing {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => ctx.task(|_| async { Err(Ask(Restart))? }).await,
            _ => Err(StartError::Failed(Ask(self.1).into())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_decided_by_its_error() {
    let failing = |policy| {
        ChildSpec::new("a", Failing(Arc::default(), policy))
            .on_failure(as_asked)
            .backoff(Backoff::new())
    };
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(failing(Stop)).start(&rt).await.unwrap();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(states(&tree).await, ["a given up"]);
    let tree = Supervisor::one_for_one().child(failing(Escalate)).start(&rt).await.unwrap();
    assert_eq!(limit(&tree.ended().await).limit, Limit::Escalated);
    let tree = DynamicSupervisor::new().start(&rt).await.unwrap();
    tree.start_child(failing(Stop)).await.unwrap();
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(tree.count_children().await.unwrap().specs, 0);
    tree.start_child(failing(Escalate)).await.unwrap();
    assert_eq!(limit(&tree.ended().await).limit, Limit::Escalated);
}

/// A start on request returns its error, and the supervisor lives.
#[tokio::test(start_paused = true)]
async fn a_start_on_request_that_fails_does_not_escalate() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    let spec = ChildSpec::new("a", Failing(Arc::new(AtomicU32::new(1)), Escalate));
    let failed = tree.start_child(spec.on_failure(as_asked)).await.unwrap_err();
    assert!(matches!(failed, StartError::Failed(_)));
    assert_eq!(tree.count_children().await.unwrap().specs, 0);
}

/// Policies other than `Restart` spend no budget, and `Restart` spends that of the child.
#[tokio::test(start_paused = true)]
async fn restarts_by_policy_count_against_the_budget_and_the_others_do_not() {
    let rt = Runtime::new();
    let child = number("a").restart_budget(2, 60 * SECOND, Exhausted::GiveUp);
    let child = child.resume_budget(100, SECOND);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    for _ in 0..20 {
        rt.server::<Number>("a").cast(Do::Fail(Resume));
    }
    for _ in 0..2 {
        rt.server::<Number>("a").cast(Do::Fail(Restart));
        idle().await;
        assert_eq!(states(&tree).await, ["a runs"]);
    }
    rt.server::<Number>("a").cast(Do::Fail(Restart));
    idle().await;
    assert_eq!(states(&tree).await, ["a given up"]);
}

/// The delay of the backoff holds for the policy `Restart`.
#[tokio::test(start_paused = true)]
async fn a_restart_by_policy_waits_for_the_backoff() {
    let rt = Runtime::new();
    let child = number("a").backoff(Backoff::new());
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Restart));
    idle().await;
    assert!(states(&tree).await[0].starts_with("a restarting"), "{:?}", states(&tree).await);
}

/// The restart type decides instead, and a line says so.
#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_leaves_the_decision_to_the_restart_type() {
    let log = Log::listen();
    let rt = Runtime::new();
    let child = number("a").on_failure(|_| panic!("no idea"));
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    rt.server::<Number>("a").cast(Do::Fail(Resume));
    idle().await;
    assert_eq!((states(&tree).await, get(&rt, "a").await), (vec!["a runs".to_owned()], 40));
    let lines = log.take();
    let line = lines.iter().find(|line| line.message.starts_with("on_failure panicked")).unwrap();
    assert_eq!((line.field("child"), line.field("panic")), ("a", "no idea"));
}

/// A kill is a failure that no handler survives.
#[tokio::test(start_paused = true)]
async fn a_killed_server_is_restarted_although_its_policy_is_resume() {
    let rt = Runtime::new();
    let child = number("a").on_failure(|_| Resume);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let a = rt.whereis("a").unwrap();
    rt.kill(a);
    idle().await;
    assert_eq!(states(&tree).await, ["a runs"]);
    assert_ne!(rt.whereis("a"), Some(a));
}

#[tokio::test(start_paused = true)]
async fn a_resume_budget_with_a_period_of_zero_is_refused() {
    let rt = Runtime::new();
    let child = number("a").resume_budget(1, std::time::Duration::ZERO);
    let refused = Supervisor::one_for_one().child(child).start(&rt).await.unwrap_err();
    assert!(matches!(&refused, StartError::Invalid(why) if why.contains("`resume_budget`")));
    assert_eq!(rt.spawned(), 0);
}
