//! Significant children: their end stops their supervisor.

use crate::support;

use std::time::Duration;

use regrow::{AutoShutdown, Backoff, ExitReason, Restart, StartError, Supervisor, SupervisorSpec};
use support::scripted_children::{ScriptedChildren, Start, states};
use support::{crash, settled};

fn with(auto: AutoShutdown) -> SupervisorSpec {
    Supervisor::one_for_one().auto_shutdown(auto).intensity(9, Duration::from_secs(3600))
}

/// Ends a child with this reason.
async fn end(t: &ScriptedChildren, id: &'static str, reason: ExitReason) {
    match reason {
        ExitReason::Killed => drop(t.rt.kill(t.rt.whereis(id).unwrap())),
        reason => t.end(id, reason),
    }
    settled().await;
}

/// SGN-001.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_child_that_is_not_significant_does_not_stop_the_supervisor() {
    let autos = [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];
    for auto in autos {
        let t = ScriptedChildren::new();
        let temporary = t.child("x").restart(Restart::Temporary);
        let transient = t.child("t").restart(Restart::Transient);
        let tree = with(auto).child(t.child("p")).start(&t.rt).await.unwrap();
        tree.start_child(transient).await.unwrap();
        for reason in [ExitReason::Normal, crash("boom"), ExitReason::Killed] {
            tree.start_child(temporary.clone()).await.unwrap();
            end(&t, "x", reason.clone()).await;
            end(&t, "p", reason).await;
        }
        end(&t, "t", ExitReason::Normal).await;
        assert_eq!(states(&tree).await, ["p runs", "t stopped"]);
    }
}

/// SGN-002.
#[tokio::test(start_paused = true)]
async fn every_exit_of_a_significant_temporary_child_stops_the_supervisor() {
    for reason in [ExitReason::Normal, crash("boom"), ExitReason::Killed] {
        let mut t = ScriptedChildren::new();
        let work = t.child("x").restart(Restart::Temporary).significant(true);
        let spec = with(AutoShutdown::AnySignificant).child(t.child("a")).child(work);
        let tree = spec.child(t.child("b")).start(&t.rt).await.unwrap();
        t.reports().await;
        let ended = tree.ended();
        end(&t, "x", reason.clone()).await;
        assert_eq!(ended.await, ExitReason::Shutdown);
        let told = t.reports().await;
        assert_eq!(told[told.len() - 2..], ["b stops: shutdown", "a stops: shutdown"]);
        assert_eq!(t.rt.leftovers(), regrow::Leftovers::default());
    }
}

/// SGN-003.
#[tokio::test(start_paused = true)]
async fn a_clean_exit_of_a_significant_transient_child_stops_the_supervisor() {
    let t = ScriptedChildren::new();
    let work = t.child("t").restart(Restart::Transient).significant(true);
    let spec = with(AutoShutdown::AnySignificant).child(work).child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    let a = t.rt.whereis("a");
    for reason in [crash("boom"), ExitReason::Killed] {
        end(&t, "t", reason).await;
        assert_eq!(states(&tree).await, ["t runs", "a runs"]);
    }
    assert_eq!(t.rt.whereis("a"), a);
    let ended = tree.ended();
    t.end("t", ExitReason::Normal);
    assert_eq!(ended.await, ExitReason::Shutdown);
}

/// SGN-005: neither a stop by hand nor a stop with its group ends the supervisor.
#[tokio::test(start_paused = true)]
async fn stopping_a_significant_child_does_not_stop_the_supervisor() {
    let t = ScriptedChildren::new();
    let autos = [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];
    for auto in autos {
        let spec = Supervisor::one_for_all().auto_shutdown(auto).child(t.child("a"));
        let temporary = t.child("x").restart(Restart::Temporary).significant(true);
        let transient = t.child("t").restart(Restart::Transient).significant(true);
        let tree = spec.start(&t.rt).await.unwrap();
        for significant in [temporary.clone(), transient] {
            let id = significant.id().to_owned();
            tree.start_child(significant).await.unwrap();
            tree.terminate_child(&id).await.unwrap();
        }
        assert_eq!(states(&tree).await, ["a runs", "t stopped"]);
        tree.start_child(temporary).await.unwrap();
        end(&t, "a", crash("boom")).await;
        assert_eq!(states(&tree).await, ["a runs", "t runs"]);
        tree.stop().await.unwrap();
    }
}

/// SGN-006, T20.
#[tokio::test(start_paused = true)]
async fn all_significant_stops_the_supervisor_at_the_last_exit() {
    let mut t = ScriptedChildren::new();
    let significant = |id| t.child(id).significant(true).restart(Restart::Transient);
    let spec = with(AutoShutdown::AllSignificant).child(significant("t1"));
    let spec = spec.child(significant("t2").restart(Restart::Temporary)).child(t.child("a"));
    let tree = spec.start(&t.rt).await.unwrap();
    end(&t, "t1", ExitReason::Normal).await;
    assert_eq!(states(&tree).await, ["t1 stopped", "t2 runs", "a runs"]);
    t.reports().await;
    let ended = tree.ended();
    end(&t, "t2", ExitReason::Normal).await;
    assert_eq!(ended.await, ExitReason::Shutdown);
    assert_eq!(t.reports().await, ["t2 stops: normal", "a stops: shutdown"]);
}

/// A significant child that is being restarted counts as running.
#[tokio::test(start_paused = true)]
async fn a_significant_child_in_a_restart_counts_as_running() {
    let t = ScriptedChildren::new();
    let significant = |id| t.child(id).significant(true).restart(Restart::Transient);
    let spec = with(AutoShutdown::AllSignificant).child(significant("t1"));
    let tree = spec.child(significant("t2")).start(&t.rt).await.unwrap();
    t.next_starts("t1", [Start::FailsAfter(Duration::from_secs(1)); 3]);
    t.crash("t1");
    t.end("t2", ExitReason::Normal);
    settled().await;
    assert_eq!(states(&tree).await, ["t1 restarting", "t2 stopped"]);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(states(&tree).await, ["t1 runs", "t2 stopped"]);
    let ended = tree.ended();
    t.end("t1", ExitReason::Normal);
    assert_eq!(ended.await, ExitReason::Shutdown);
}

/// The restart of `b` waits, and `c`, which was stopped with its group, waits with it. Meanwhile
/// the end of `a`, the only significant child that runs, does not stop the supervisor. The later
/// end of `c` does.
#[tokio::test(start_paused = true)]
async fn a_significant_child_that_waits_with_its_group_counts_as_running() {
    let (t, wait) = (ScriptedChildren::new(), Duration::from_secs(10));
    let significant = |id| t.child(id).significant(true).restart(Restart::Transient);
    let waits = t.child("b").backoff(Backoff::new().first(wait).jitter(0.0));
    let spec = Supervisor::rest_for_one().auto_shutdown(AutoShutdown::AllSignificant);
    let spec = spec.child(significant("a")).child(waits).child(significant("c"));
    let tree = spec.start(&t.rt).await.unwrap();
    end(&t, "b", crash("boom")).await;
    end(&t, "a", ExitReason::Normal).await;
    assert_eq!(states(&tree).await, ["a stopped", "b restarting in 9998 ms", "c stopped"]);
    tokio::time::sleep(wait).await;
    assert_eq!(states(&tree).await, ["a stopped", "b runs", "c runs"]);
    let ended = tree.ended();
    end(&t, "c", ExitReason::Normal).await;
    assert_eq!(ended.await, ExitReason::Shutdown);
}

/// A member of the waiting group that was started by hand ends. The pending restart will start `a`
/// again, so `a` counts as running.
#[tokio::test(start_paused = true)]
async fn a_waiting_significant_child_counts_as_running_when_a_sibling_ends() {
    let (t, wait) = (ScriptedChildren::new(), Duration::from_secs(10));
    let significant = |id| t.child(id).significant(true).restart(Restart::Transient);
    let waits = t.child("b").backoff(Backoff::new().first(wait).jitter(0.0));
    let spec = Supervisor::one_for_all().auto_shutdown(AutoShutdown::AllSignificant);
    let spec = spec.child(significant("a")).child(waits).child(significant("c"));
    let tree = spec.start(&t.rt).await.unwrap();
    end(&t, "b", crash("boom")).await;
    tree.restart_child("c").await.unwrap();
    end(&t, "c", ExitReason::Normal).await;
    tokio::time::sleep(wait).await;
    assert_eq!(states(&tree).await, ["a runs", "b runs", "c runs"]);
}

/// The restart is cancelled by hand. The children that waited with it then count as stopped by
/// hand.
#[tokio::test(start_paused = true)]
async fn a_cancelled_restart_leaves_no_significant_child_counted_as_running() {
    let (t, wait) = (ScriptedChildren::new(), Duration::from_secs(10));
    let significant = |id| t.child(id).significant(true).restart(Restart::Transient);
    let waits = t.child("b").backoff(Backoff::new().first(wait).jitter(0.0));
    let spec = Supervisor::rest_for_one().auto_shutdown(AutoShutdown::AllSignificant);
    let spec = spec.child(significant("a")).child(waits).child(significant("c"));
    let tree = spec.start(&t.rt).await.unwrap();
    end(&t, "b", crash("boom")).await;
    tree.terminate_child("b").await.unwrap();
    let ended = tree.ended();
    end(&t, "a", ExitReason::Normal).await;
    assert_eq!(ended.await, ExitReason::Shutdown);
}

/// SGN-009.
#[tokio::test(start_paused = true)]
async fn invalid_significant_settings_are_refused_by_name() {
    let t = ScriptedChildren::new();
    let transient = t.child("t").restart(Restart::Transient).significant(true);
    let permanent = t.child("p").significant(true);
    let cases = [
        (AutoShutdown::Never, transient, ["\"t\"", "significant", "auto_shutdown is Never"]),
        (AutoShutdown::AnySignificant, permanent, ["\"p\"", "significant", "permanent"]),
    ];
    for (auto, child, words) in cases {
        let at_start = with(auto).child(child.clone()).start(&t.rt).await.unwrap_err();
        assert_eq!(t.rt.process_count(), 0);
        let tree = with(auto).start(&t.rt).await.unwrap();
        let at_run_time = tree.start_child(child).await.unwrap_err();
        assert!(tree.which_children().await.unwrap().is_empty());
        for error in [at_start, at_run_time] {
            let StartError::Invalid(what) = error else { panic!("{error:?}") };
            assert!(words.iter().all(|word| what.contains(word)), "{what}");
        }
        tree.stop().await.unwrap();
    }
}

/// Any significant: a child that ignores its restart has not ended, so the supervisor runs on.
#[tokio::test(start_paused = true)]
async fn a_significant_child_that_ignores_its_restart_does_not_stop_the_supervisor() {
    let t = ScriptedChildren::new();
    let significant = t.child("a").significant(true).restart(Restart::Transient);
    let spec = with(AutoShutdown::AnySignificant).child(significant).child(t.child("p"));
    let tree = spec.start(&t.rt).await.unwrap();
    t.next_starts("a", [Start::Ignores]);
    t.crash("a");
    settled().await;
    assert_eq!(states(&tree).await, ["a stopped", "p runs"]);
}

/// The supervisor ends with `shutdown`, which is clean: only a permanent one is restarted.
#[tokio::test(start_paused = true)]
async fn the_restart_type_of_a_supervisor_decides_what_follows_its_automatic_shutdown() {
    let expected = [(Restart::Permanent, "inner runs"), (Restart::Transient, "inner stopped")];
    for (restart, state) in expected {
        let t = ScriptedChildren::new();
        let significant = t.child("a").significant(true).restart(Restart::Transient);
        let inner = with(AutoShutdown::AnySignificant).child(significant).with_id("inner");
        let inner = regrow::ChildSpec::from(inner).restart(restart);
        let tree = Supervisor::one_for_one().child(inner).start(&t.rt).await.unwrap();
        t.end("a", ExitReason::Normal);
        settled().await;
        assert_eq!(states(&tree).await, [state]);
    }
}
