//! Children of a fixed list with a restart budget of their own.

use crate::support;

use std::time::Duration;

use regrow::{
    AutoShutdown, Backoff, ChildError, ChildSpec, Exhausted, ExitReason, LifecycleEvent, Limit,
    Restart, Run, RunError, Supervisor, SupervisorSpec,
};
use support::scripted_children::{ScriptedChildren, Start, limit, states};
use support::{killed, settled};

const MINUTE: Duration = Duration::from_secs(60);
const MS: Duration = Duration::from_millis(1);

/// Allows one restart in a minute, and then gives up only the child.
fn own(child: ChildSpec) -> ChildSpec {
    child.restart_budget(1, MINUTE, Exhausted::GiveUp)
}

/// A supervisor that allows no restart of a child without its own budget.
fn strict(spec: SupervisorSpec) -> SupervisorSpec {
    spec.intensity(0, MINUTE)
}

/// The restarts of the child count against its own budget only.
#[tokio::test(start_paused = true)]
async fn a_child_that_uses_up_its_own_budget_is_given_up_and_the_others_run_on() {
    let mut t = ScriptedChildren::new();
    let spec = strict(Supervisor::one_for_one()).child(own(t.child("a"))).child(t.child("b"));
    let tree = spec.start(&t.rt).await.unwrap();
    let mut events = t.rt.events();
    t.reports().await;
    t.crash("a");
    assert_eq!(t.reports().await, ["a stops: boom", "a starts"]);
    assert_eq!(tree.tree().await.unwrap().root.budget().unwrap().left, 0);
    let last = t.server("a").pid();
    t.crash("a");
    assert_eq!(t.reports().await, ["a stops: boom"]);
    assert_eq!(states(&tree).await, ["a given up", "b runs"]);
    assert_eq!(t.rt.whereis("a"), None);
    assert!(t.rt.register("a", t.server("b").pid().unwrap()), "its name is free");

    let health = tree.tree().await.unwrap().health();
    assert_eq!((health.to_string().as_str(), health.is_serving()), ("a: given up: boom", false));
    let given_up = loop {
        if let LifecycleEvent::GivenUp { child, pid, reason, .. } = events.next().await.unwrap() {
            break (child.to_string(), pid, limit(&reason).restarts);
        }
    };
    assert_eq!(given_up, ("a".to_owned(), last, 1));

    // A request starts it again, with a fresh budget.
    t.rt.unregister("a");
    tree.restart_child("a").await.unwrap();
    t.reports().await;
    t.crash("a");
    assert_eq!(t.reports().await, ["a stops: boom", "a starts"]);
    assert_eq!(states(&tree).await, ["a runs", "b runs"]);
    assert!(tree.tree().await.unwrap().health().is_serving());
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_given_up_can_be_restarted_terminated_and_deleted() {
    let t = ScriptedChildren::new();
    let spec = Supervisor::one_for_one().child(own(t.child("a"))).start(&t.rt);
    let tree = spec.await.unwrap();
    for _ in 0..2 {
        t.crash("a");
        settled().await;
    }
    assert_eq!(states(&tree).await, ["a given up"]);
    t.next_starts("a", [Start::Fails]);
    assert!(matches!(tree.restart_child("a").await, Err(ChildError::NotStarted(_))));
    assert_eq!(states(&tree).await, ["a given up"]);
    assert!(!tree.tree().await.unwrap().health().is_serving());
    tree.terminate_child("a").await.unwrap();
    tree.delete_child("a").await.unwrap();
    assert!(states(&tree).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_own_budget_that_escalates_or_forgets() {
    for (exhausted, ends) in [(Exhausted::Escalate, true), (Exhausted::Forget, false)] {
        let t = ScriptedChildren::new();
        let child = t.child("a").restart_budget(2, MINUTE, exhausted);
        let spec = strict(Supervisor::one_for_one()).child(child).child(t.child("b"));
        let tree = spec.start(&t.rt).await.unwrap();
        for _ in 0..3 {
            t.crash("a");
            settled().await;
        }
        assert_eq!(tree.is_alive(), !ends);
        if ends {
            let reason = tree.ended().await;
            let limit = limit(&reason);
            assert_eq!(
                (limit.child.as_str(), limit.restarts, limit.limit),
                ("a", 2, Limit::Budget)
            );
        } else {
            assert_eq!(states(&tree).await, ["b runs"]);
        }
    }
}

/// A group restart leaves a given-up child out.
#[tokio::test(start_paused = true)]
async fn a_restart_of_its_group_does_not_start_a_child_that_was_given_up() {
    let mut t = ScriptedChildren::new();
    let spec = Supervisor::one_for_all().child(t.child("a")).child(own(t.child("b")));
    let tree = spec.child(t.child("c")).start(&t.rt).await.unwrap();
    for _ in 0..2 {
        t.crash("b");
        settled().await;
    }
    assert_eq!(states(&tree).await, ["a runs", "b given up", "c runs"]);
    t.reports().await;
    t.crash("a");
    let restart = ["a stops: boom", "c stops: shutdown", "a starts", "c starts"];
    assert_eq!(t.reports().await, restart);
    assert_eq!(states(&tree).await, ["a runs", "b given up", "c runs"]);
    assert_eq!(t.rt.whereis("b"), None);
    assert!(t.rt.register("b", t.server("a").pid().unwrap()), "its name is not reserved");
}

/// The group that waits for a child is started without it when the child is given up: after a
/// delay that was the last, or at a retry that its budget refuses.
#[tokio::test(start_paused = true)]
async fn a_group_that_waits_for_a_child_is_started_without_it_when_the_child_is_given_up() {
    for with_backoff in [true, false] {
        let mut t = ScriptedChildren::new();
        let mut b = own(t.child("b"));
        if with_backoff {
            b = b.backoff(
                Backoff::new().jitter(0.0).reset_after(MS).give_up_after(Duration::from_secs(2)),
            );
        }
        let spec = Supervisor::one_for_all().child(t.child("a")).child(b).child(t.child("c"));
        let tree = spec.start(&t.rt).await.unwrap();
        t.reports().await;
        t.next_starts("b", [Start::Fails; 9]);
        t.crash("b");
        tokio::time::sleep(MINUTE).await;
        assert_eq!(states(&tree).await, ["a runs", "b given up", "c runs"], "{with_backoff}");
        let reports = t.reports().await;
        assert_eq!(reports.last().unwrap(), "c starts", "{reports:?}");
        tree.stop().await.unwrap();
    }
}

/// Two children with their own budgets fail in one restart of the group.
#[tokio::test(start_paused = true)]
async fn a_member_that_is_given_up_in_a_restart_of_another_does_not_hold_up_the_rest() {
    let t = ScriptedChildren::new();
    let hopeless = |id| t.child(id).restart_budget(0, MINUTE, Exhausted::GiveUp);
    let spec = Supervisor::rest_for_one().child(t.child("a")).child(hopeless("b"));
    let tree = spec.child(t.child("c")).start(&t.rt).await.unwrap();
    t.next_starts("b", [Start::Fails]);
    t.crash("a");
    settled().await;
    assert_eq!(states(&tree).await, ["a runs", "b given up", "c runs"]);
}

/// Giving up is an end for good.
#[tokio::test(start_paused = true)]
async fn giving_up_a_significant_child_may_end_its_supervisor() {
    for (auto, ends) in
        [(AutoShutdown::AnySignificant, true), (AutoShutdown::AllSignificant, false)]
    {
        let t = ScriptedChildren::new();
        let significant = |id| t.child(id).restart(Restart::Transient).significant(true);
        let spec = Supervisor::one_for_one().auto_shutdown(auto).child(own(significant("a")));
        let tree = spec.child(significant("b")).start(&t.rt).await.unwrap();
        for _ in 0..2 {
            t.crash("a");
            settled().await;
        }
        assert_eq!(tree.is_alive(), !ends, "{auto:?}");
        if ends {
            assert_eq!(tree.ended().await, ExitReason::Shutdown);
            continue;
        }
        // The given-up child does not count as one that is left.
        t.end("b", ExitReason::Normal);
        assert_eq!(tree.ended().await, ExitReason::Shutdown);
    }
}

/// The other significant children of the group, or of the description, are about to start when one
/// is given up.
#[tokio::test(start_paused = true)]
async fn a_significant_child_that_is_about_to_start_counts_as_running() {
    for (failing, crashing) in [(Start::Fails, "a"), (Start::Fails, "x"), (Start::GivesUp, "x")] {
        let t = ScriptedChildren::new();
        let significant = |id| t.child(id).restart(Restart::Transient).significant(true);
        let spec = Supervisor::one_for_all().auto_shutdown(AutoShutdown::AllSignificant);
        let a = significant("a").restart_budget(
            if crashing == "a" { 1 } else { 0 },
            MINUTE,
            Exhausted::GiveUp,
        );
        let spec = spec.child(t.child("x")).child(a).child(significant("c"));
        let tree = spec.start(&t.rt).await.unwrap();
        t.next_starts("a", [failing]);
        t.crash(crashing);
        settled().await;
        assert_eq!(states(&tree).await, ["x runs", "a given up", "c runs"], "{failing:?}");
        t.end("c", ExitReason::Normal);
        assert_eq!(tree.ended().await, ExitReason::Shutdown);
    }

    let t = ScriptedChildren::new();
    let significant =
        |id| t.child(id).restart(Restart::Transient).significant(true).retry_first_start(true);
    t.next_starts("a", [Start::GivesUp]);
    t.next_starts("b", [Start::Fails, Start::GivesUp]);
    let spec = Supervisor::one_for_one().auto_shutdown(AutoShutdown::AllSignificant);
    let spec = ["a", "b", "c"].into_iter().fold(spec, |spec, id| spec.child(significant(id)));
    let tree = spec.start(&t.rt).await.unwrap();
    settled().await;
    assert_eq!(states(&tree).await, ["a given up", "b given up", "c runs"]);
    t.end("c", ExitReason::Normal);
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
}

/// A new incarnation of the supervisor starts the child again.
#[tokio::test(start_paused = true)]
async fn a_new_incarnation_of_the_supervisor_starts_a_child_that_was_given_up() {
    let t = ScriptedChildren::new();
    let inner = Supervisor::one_for_one().named("inner").child(own(t.child("a")));
    let _tree = Supervisor::one_for_one().child(inner).start(&t.rt).await.unwrap();
    let inner = regrow::SupervisorRef::named(&t.rt, "inner");
    for _ in 0..2 {
        t.crash("a");
        settled().await;
    }
    assert_eq!(states(&inner).await, ["a given up"]);
    killed(&t.rt, inner.pid().unwrap()).await;
    settled().await;
    assert_eq!(states(&inner).await, ["a runs"]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_a_zero_period_is_refused() {
    let t = ScriptedChildren::new();
    let child = t.child("a").restart_budget(1, Duration::ZERO, Exhausted::GiveUp);
    let error = Supervisor::one_for_one().child(child).start(&t.rt).await.unwrap_err();
    assert!(error.to_string().contains("`restart_budget`"), "{error}");
}

/// The error of a run names the child whose own budget escalated.
#[tokio::test(start_paused = true)]
async fn a_run_names_the_child_whose_own_budget_escalated() {
    let failing = ChildSpec::task("feed", |_| async { Err(ExitReason::crashed("no route")) });
    let failing = failing.restart_budget(7, MINUTE, Exhausted::Escalate);
    let run = Run::new(Supervisor::one_for_one().named("app").child(failing)).without_signals();
    let Err(RunError::GaveUp { path, limit, .. }) = run.run().await else { panic!() };
    assert_eq!((path.as_str(), limit.restarts), ("app/feed", 7));
}

/// A forgotten child is as good as one that has ended.
#[tokio::test(start_paused = true)]
async fn forgetting_a_significant_child_may_end_its_supervisor() {
    let t = ScriptedChildren::new();
    let child = t.child("a").restart(Restart::Transient).significant(true);
    let child = child.restart_budget(0, MINUTE, Exhausted::Forget);
    let spec = Supervisor::one_for_one().auto_shutdown(AutoShutdown::AnySignificant);
    let tree = spec.child(child).child(t.child("b")).start(&t.rt).await.unwrap();
    t.crash("a");
    assert_eq!(tree.ended().await, ExitReason::Shutdown);
}

/// The supervisor allows no restart, so a child without a budget would have no backoff.
#[tokio::test(start_paused = true)]
async fn a_child_with_its_own_budget_has_its_backoff_and_reports_what_is_left_of_its_budget() {
    let t = ScriptedChildren::new();
    let a = t.child("a").restart_budget(5, MINUTE, Exhausted::GiveUp);
    let a = a.backoff(Backoff::new().first(1_000 * MS).jitter(0.0));
    let tree = strict(Supervisor::one_for_one()).child(a).start(&t.rt).await.unwrap();
    let mut events = t.rt.events();
    t.crash("a");
    settled().await;
    assert_eq!(states(&tree).await, ["a restarting in 999 ms"]);
    tokio::time::sleep(1_001 * MS).await;
    assert_eq!(states(&tree).await, ["a runs"]);
    let mut left = Vec::new();
    while let Some(Some(event)) = futures_util::FutureExt::now_or_never(events.next()) {
        if let LifecycleEvent::Restarting { budget_left, .. } = event {
            left.push(budget_left);
        }
    }
    assert_eq!(left, [Some(5)]);
}
