//! A supervisor is killed at any step of a start, a restart or a stop: no orphan remains, no end is
//! lost, and all names are free.
//!
//! Hooks report the steps; they exist only under `--cfg regrow_proof`. Each scene runs once to
//! count its steps. Then it runs once for each step, and the supervisor is killed at that step.

use crate::support;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use regrow::proof::at_each_step;
use regrow::{
    Backoff, ChildSpec, ExitReason, Leftovers, Restart, Runtime, Shutdown, Supervisor,
    SupervisorSpec,
};
use support::scripted_children::{ScriptedChildren, Start, Stop};
use support::settled;
use tokio::time::sleep;

/// Returns the tree of all scenes. Its root, `top`, is the supervisor that is killed.
fn tree(t: &ScriptedChildren, spec: SupervisorSpec) -> SupervisorSpec {
    t.on_stop("slow", Stop::Takes(Duration::from_millis(10)));
    t.on_stop("deaf", Stop::Deaf);
    let brief = Shutdown::Timeout(Duration::from_millis(50));
    spec.named("top")
        .intensity(9, Duration::from_secs(3600))
        .child(t.child("a"))
        .child(t.child("slow"))
        .child(ChildSpec::task("plain", |_| std::future::pending()).named("plain"))
        .child(t.child("brutal").shutdown(Shutdown::BrutalKill))
        .child(t.child("x").restart(Restart::Temporary))
        .child(t.child("deaf").shutdown(brief))
}

/// Plays the scene, and kills the supervisor at step number `victim`. Returns the number of steps,
/// and their names.
async fn play<F: Future<Output = ()>>(
    scene: impl Fn(ScriptedChildren) -> F,
    victim: usize,
) -> (usize, BTreeSet<&'static str>) {
    let t = ScriptedChildren::new();
    let rt = t.rt.clone();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (steps, kernel) = (seen.clone(), rt.clone());
    at_each_step(Some(Box::new(move |name| {
        steps.borrow_mut().push(name);
        if steps.borrow().len() == victim {
            assert!(kernel.kill(kernel.whereis("top").expect("it takes a step")));
        }
    })));
    scene(t).await;
    assert_no_orphan(&rt, victim, &seen.borrow()).await;
    at_each_step(None);
    let seen = seen.borrow();
    (seen.len(), seen.iter().copied().collect())
}

/// Asserts that no process is left after the time that children may take to end after their
/// supervisor.
async fn assert_no_orphan(rt: &Runtime, victim: usize, seen: &[&str]) {
    if let Some(top) = rt.whereis("top") {
        assert!(rt.kill(top));
    }
    sleep(Duration::from_secs(6)).await;
    let at = victim.checked_sub(1).and_then(|step| seen.get(step));
    assert_eq!(rt.leftovers(), Leftovers::default(), "killed at step {victim}, {at:?}");
    assert_eq!(rt.spawned(), rt.finished());
    assert!(rt.registered().is_empty());
}

/// Plays the scene once for each of its steps.
async fn at_all_steps<F: Future<Output = ()>>(
    scene: impl Fn(ScriptedChildren) -> F,
    expected: &[&str],
) {
    let (steps, names) = play(&scene, 0).await;
    for name in expected {
        assert!(names.contains(name), "no step {name:?} among {names:?}");
    }
    for victim in 1..=steps {
        play(&scene, victim).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_step_of_a_start_leaves_no_orphan() {
    let scene = async |t: ScriptedChildren| {
        let started = tree(&t, Supervisor::one_for_one()).start(&t.rt).await;
        settled().await;
        drop(started);
    };
    let steps = ["before a supervisor's init", "before a start", "after a start"];
    at_all_steps(scene, &steps).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_step_of_a_failing_start_leaves_no_orphan() {
    let scene = async |t: ScriptedChildren| {
        let spec = tree(&t, Supervisor::one_for_one()).child(t.child("bad"));
        t.next_starts("bad", [Start::Fails]);
        assert!(spec.start(&t.rt).await.is_err());
    };
    at_all_steps(scene, &["before a stop", "between a kill and its end", "after a stop"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_step_of_a_stop_leaves_no_orphan() {
    let scene = async |t: ScriptedChildren| {
        let Ok(top) = tree(&t, Supervisor::one_for_one()).start(&t.rt).await else { return };
        // The stop fails if the supervisor is killed meanwhile.
        let _ = top.stop().await;
    };
    let steps = [
        "before a stop",
        "between a stop's request and its end",
        "between a kill and its end",
        "after a stop",
    ];
    at_all_steps(scene, &steps).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_step_of_a_restart_leaves_no_orphan() {
    for spec in [Supervisor::one_for_one(), Supervisor::one_for_all(), Supervisor::rest_for_one()] {
        let scene = async |t: ScriptedChildren| {
            let Ok(_top) = tree(&t, spec.clone()).start(&t.rt).await else { return };
            t.next_starts("a", [Start::Fails]);
            t.server("a").cast(ExitReason::crashed("boom"));
            sleep(Duration::from_millis(200)).await;
        };
        let steps = ["before a restart", "between a group's stop and its start"];
        at_all_steps(scene, &steps).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_step_of_a_delayed_restart_leaves_no_orphan() {
    let scene = async |t: ScriptedChildren| {
        let spec = Supervisor::one_for_all().backoff(Backoff::new().jitter(0.0));
        let Ok(_top) = tree(&t, spec).start(&t.rt).await else { return };
        t.next_starts("slow", [Start::Fails]);
        t.server("a").cast(ExitReason::crashed("boom"));
        sleep(Duration::from_secs(5)).await;
    };
    at_all_steps(scene, &["after a restart was put off", "before a restart"]).await;
}

/// A child ends at each step at which the supervisor stops and starts other children. The end is
/// not lost, and is counted once.
#[tokio::test(start_paused = true)]
async fn a_child_exit_at_any_step_of_the_supervisor_is_counted_once() {
    for at in 1.. {
        let t = ScriptedChildren::new();
        let spec = Supervisor::one_for_one();
        let tree = tree(&t, spec).start(&t.rt).await.unwrap();
        settled().await;
        let (a, left) = (t.server("a"), Rc::new(Cell::new(at)));
        let counting = left.clone();
        at_each_step(Some(Box::new(move |_| {
            counting.set(counting.get() - 1);
            if counting.get() == 0 {
                assert!(a.cast(ExitReason::crashed("boom")));
            }
        })));
        for id in ["deaf", "slow"] {
            tree.terminate_child(id).await.unwrap();
            tree.restart_child(id).await.unwrap();
        }
        sleep(Duration::from_millis(100)).await;
        at_each_step(None);
        let crashed = left.get() <= 0;
        let a = tree.which_child("a").await.unwrap();
        assert!(a.pid().is_some());
        assert_eq!(a.restarts, u32::from(crashed), "at step {at}");
        tree.stop().await.unwrap();
        if !crashed {
            assert!(at > 10, "there are more steps than {at}");
            return;
        }
    }
}
