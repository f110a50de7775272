//! Interleavings of a picture with the changes around it. A change is in the picture or follows it:
//! the [`Viewer`] panics if a change is lost or delivered twice.

use super::viewer::{Viewer, nodes};
use crate::support;

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Health, Observed, Runtime, Supervisor,
    SupervisorRef, TaskContext,
};
use support::rng::Rng;
use support::settled;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

/// Starts a tree whose picture needs an answer of the dynamic supervisor `rooms`, after `early` was
/// read and before `late` is read.
async fn tree(rt: &Runtime) -> SupervisorRef {
    let inner = |id: &str, child: &str| Supervisor::one_for_one().named(id).child(idle(child));
    let spec = Supervisor::one_for_one().named("app").intensity(1_000, SECOND);
    let spec = spec.child(inner("early", "a")).child(DynamicSupervisor::new().named("rooms"));
    spec.child(inner("late", "b")).start(rt).await.unwrap()
}

/// Kills a child and waits until it was restarted.
async fn restarted(rt: &Runtime, name: &str) {
    rt.kill(rt.whereis(name).unwrap());
    settled().await;
    assert!(rt.whereis(name).is_some());
}

/// Takes a picture, and lets `meanwhile` happen after `early` was read and before `late` is read.
/// Returns the viewer after all changes, and the kinds of the changes with their paths.
async fn during_a_picture(
    app: &SupervisorRef,
    meanwhile: impl AsyncFnOnce(),
) -> (Viewer, Vec<(String, &'static str)>) {
    let mut observation = app.observe().unwrap();
    let mut viewer = Viewer::default();
    {
        // The dynamic supervisor answers when this task first awaits something else.
        let mut first = pin!(observation.next());
        assert!(first.as_mut().now_or_never().is_none(), "it waits for the dynamic supervisor");
        meanwhile().await;
        viewer.apply(&first.await.unwrap());
    }
    while let Some(Some(observed)) = observation.next().now_or_never() {
        viewer.apply(&observed);
    }
    let seen = viewer.seen.clone();
    assert_eq!(viewer.nodes, nodes(&observation.picture().await), "{seen:?}");
    (viewer, seen)
}

#[tokio::test(start_paused = true)]
async fn a_child_that_crashes_after_its_supervisor_was_read_follows_as_changes() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let (viewer, seen) = during_a_picture(&app, async || restarted(&rt, "a").await).await;
    let kinds: Vec<&str> = seen
        .iter()
        .map(|(path, kind)| {
            assert_eq!(path, "app/early/a");
            *kind
        })
        .collect();
    assert_eq!(kinds, ["ended", "restarting", "starting", "started"]);
    assert_eq!(viewer.nodes["app/early/a"].1, rt.whereis("a"));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_crashes_before_its_supervisor_is_read_is_only_in_the_picture() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let (viewer, seen) = during_a_picture(&app, async || restarted(&rt, "b").await).await;
    // No picture shows that a supervisor has decided to restart a child.
    assert_eq!(seen, [("app/late/b".to_owned(), "restarting")]);
    assert_eq!(viewer.nodes["app/late/b"].1, rt.whereis("b"));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_restarted_after_it_was_read_follows_with_its_children() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let (_, seen) = during_a_picture(&app, async || restarted(&rt, "early").await).await;
    assert!(seen.contains(&("app/early/a".to_owned(), "started")));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_restarted_after_the_one_above_was_read_follows_with_its_children() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let (_, seen) = during_a_picture(&app, async || restarted(&rt, "late").await).await;
    assert!(seen.contains(&("app/late/b".to_owned(), "started")));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_added_during_the_picture_follows() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let add = async || {
        let more = Supervisor::one_for_one().with_id("more").child(idle("c"));
        app.start_child(more).await.unwrap();
        SupervisorRef::named(&rt, "late").start_child(idle("d")).await.unwrap();
    };
    let (viewer, seen) = during_a_picture(&app, add).await;
    assert!(seen.iter().all(|(path, _)| path.starts_with("app/more")), "{seen:?}");
    assert!(viewer.nodes.contains_key("app/late/d"));
}

#[tokio::test(start_paused = true)]
async fn a_tree_that_ends_during_the_picture_ends_the_observation() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let mut observation = app.observe().unwrap();
    let mut viewer = Viewer::default();
    let mut first = Box::pin(observation.next());
    assert!(first.as_mut().now_or_never().is_none());
    app.stop().await.unwrap();
    viewer.apply(&first.await.unwrap());
    while let Some(observed) = observation.next().await {
        viewer.apply(&observed);
    }
    assert_eq!(viewer.nodes.len(), 0, "{:?}", viewer.nodes);
    assert_eq!(viewer.seen.last().unwrap(), &("app".to_owned(), "ended"));
}

/// Starts, kills and stops children of all kinds.
async fn disturb(rt: &Runtime, app: &SupervisorRef, rng: &mut Rng, round: usize) {
    let kill = |name: &str| rt.whereis(name).is_some_and(|pid| rt.kill(pid));
    match rng.below(9) {
        0 => drop(kill("a")),
        1 => drop(kill("b")),
        2 => drop(kill("early")),
        3 => drop(kill("late")),
        4 => drop(kill("rooms")),
        5 => {
            let id = format!("room {round}");
            drop(DynamicSupervisorRef::named(rt, "rooms").start_child(idle(&id)).await);
        }
        6 => drop(kill(&format!("room {}", rng.below(round + 1)))),
        7 => drop(app.restart_child("late").await),
        _ => {
            let pid = rt.whereis(&format!("room {}", rng.below(round + 1)));
            let rooms = DynamicSupervisorRef::named(rt, "rooms");
            if let Some(pid) = pid {
                drop(rooms.terminate_child(pid).await);
            }
        }
    }
}

/// The picture shows no child of a supervisor that has ended before it was read. So what that
/// supervisor had reported about its children is no news.
#[tokio::test(start_paused = true)]
async fn the_changes_of_a_supervisor_that_ends_during_a_picture_are_not_delivered() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let before = rt.whereis("b").unwrap();
    let (_, seen) = during_a_picture(&app, async || {
        restarted(&rt, "b").await;
        restarted(&rt, "late").await;
    })
    .await;
    assert_ne!(rt.whereis("b"), Some(before));
    let of_b = seen.iter().filter(|(path, _)| path == "app/late/b").map(|(_, kind)| *kind);
    // A decision to restart is delivered always, since no picture shows it.
    assert_eq!(
        of_b.collect::<Vec<_>>(),
        ["restarting", "added", "starting", "started"],
        "{seen:?}"
    );
    app.stop().await.unwrap();
}

/// Starts `app/outer/inner` with the child `b` below a dynamic supervisor, so that a picture waits
/// after `app` and before `outer` is read.
async fn nested_tree(rt: &Runtime) -> SupervisorRef {
    let inner = Supervisor::one_for_one().named("inner").child(idle("b"));
    let outer = Supervisor::one_for_one().named("outer").child(inner);
    let between = Supervisor::one_for_one().named("between").child(outer);
    let app = Supervisor::one_for_one().named("app").child(DynamicSupervisor::new().named("rooms"));
    app.child(between).start(rt).await.unwrap()
}

/// The picture shows the successor of a supervisor that was restarted before the supervisor above it
/// was read. What the ended one had reported is no news, and would not fit to its successor.
#[tokio::test(start_paused = true)]
async fn the_changes_of_a_supervisor_that_was_restarted_before_the_one_above_was_read_are_included()
{
    // `inner` reports changes, and then it or a supervisor above it ends.
    for restarted_one in ["inner", "outer"] {
        let rt = Runtime::new();
        let app = nested_tree(&rt).await;
        let (viewer, seen) = during_a_picture(&app, async || {
            restarted(&rt, "b").await;
            restarted(&rt, restarted_one).await;
        })
        .await;
        // A decision to restart is delivered always, since no picture shows it.
        assert!(seen.iter().all(|(_, kind)| *kind == "restarting"), "{restarted_one}: {seen:?}");
        assert_eq!(viewer.nodes["app/between/outer/inner/b"].1, rt.whereis("b"));
        app.stop().await.unwrap();
    }
}

/// The picture shows `between` without children, since it has ended before it was read.
#[tokio::test(start_paused = true)]
async fn the_changes_below_a_supervisor_that_ends_before_it_is_read_are_not_delivered() {
    let rt = Runtime::new();
    let app = nested_tree(&rt).await;
    let (viewer, seen) = during_a_picture(&app, async || {
        restarted(&rt, "b").await;
        restarted(&rt, "between").await;
    })
    .await;
    let kinds: Vec<&str> = seen
        .iter()
        .filter(|(path, _)| path == "app/between/outer/inner/b")
        .map(|(_, kind)| *kind)
        .collect();
    assert_eq!(kinds, ["restarting", "added", "starting", "started"], "{seen:?}");
    assert_eq!(viewer.nodes["app/between/outer/inner/b"].1, rt.whereis("b"));
    app.stop().await.unwrap();
}

/// The health of an ended process is no news, and would not fit to its successor.
#[tokio::test(start_paused = true)]
async fn the_health_of_a_process_that_ends_before_its_supervisor_is_read_is_included() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let (_, seen) = during_a_picture(&app, async || {
        rt.set_health(rt.whereis("b").unwrap(), Health::Starting);
        restarted(&rt, "b").await;
    })
    .await;
    assert_eq!(seen, [("app/late/b".to_owned(), "restarting")]);
    app.stop().await.unwrap();
}

/// It has answered that it serves, and begins to stop before its published state is read.
#[tokio::test(start_paused = true)]
async fn a_stop_that_begins_after_the_answer_of_a_dynamic_supervisor_follows_once() {
    let rt = Runtime::new();
    let app = tree(&rt).await;
    let deaf = |mut ctx: TaskContext| async move {
        ctx.shutdown().await;
        pending().await
    };
    let rooms = DynamicSupervisorRef::named(&rt, "rooms");
    rooms.start_child(ChildSpec::task("deaf", deaf)).await.unwrap();
    let mut observation = app.observe().unwrap();
    let picture = {
        let mut first = pin!(observation.next());
        assert!(first.as_mut().now_or_never().is_none(), "it waits for the dynamic supervisor");
        settled().await;
        let app = app.clone();
        tokio::spawn(async move { app.terminate_child("rooms").await });
        settled().await;
        first.await
    };
    let Some(Observed::Picture(picture)) = picture else { panic!("a picture is first") };
    let rooms = picture.find("app/rooms").unwrap();
    assert_eq!(rooms.supervision.as_ref().unwrap().ending_since, None);
    let mut kinds = Vec::new();
    while let Some(Some(Observed::Change(change))) = observation.next().now_or_never() {
        kinds.push(format!("{} {}", change.path, change.kind.name()));
    }
    let expected = ["app/rooms stopping", "app/rooms ending", "app/rooms/deaf holds_stop"];
    assert_eq!(kinds, expected);
    app.stop().await.unwrap();
}

/// Readers that attach at any moment and read at any speed end with what a fresh picture shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observers_of_a_storm_agree_with_a_fresh_picture() {
    for seed in 1..=8 {
        let rt = Runtime::new();
        let app = Supervisor::one_for_one().named("app").unlimited_restarts();
        let inner = |id: &str, child: &str| {
            Supervisor::one_for_one().named(id).unlimited_restarts().child(idle(child))
        };
        let app = app.child(inner("early", "a"));
        let app = app.child(DynamicSupervisor::new().named("rooms").unlimited_restarts());
        let app = app.child(inner("late", "b")).start(&rt).await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (app, stopped) = (app.clone(), stopped.clone());
                tokio::spawn(read_until(app, stopped))
            })
            .collect();
        let mut rng = Rng::new(seed);
        for round in 0..300 {
            disturb(&rt, &app, &mut rng, round).await;
        }
        rt.observe().picture().await;
        // Each server has handled all ends when it answers the second time.
        while rt.whereis("a").is_none()
            || rt.whereis("b").is_none()
            || rt.whereis("rooms").is_none()
        {
            tokio::task::yield_now().await;
        }
        quiet(&rt).await;
        stop.send(true).unwrap();
        let expected = nodes(&app.observe().unwrap().picture().await);
        for reader in readers {
            let viewer = reader.await.unwrap();
            assert_eq!(viewer.nodes, expected, "seed {seed}");
        }
        app.stop().await.unwrap();
    }
}

/// Waits until no change has been made for a while.
async fn quiet(rt: &Runtime) {
    let mut observation = rt.observe();
    observation.next().await;
    let still = Duration::from_millis(50);
    while tokio::time::timeout(still, observation.next()).await.is_ok() {}
}

/// Applies everything that an observation delivers until `stopped`, and then what is left.
async fn read_until(app: SupervisorRef, mut stopped: tokio::sync::watch::Receiver<bool>) -> Viewer {
    let mut observation = app.observe().unwrap();
    let mut viewer = Viewer::default();
    loop {
        tokio::select! {
            biased;
            observed = observation.next() => viewer.apply(&observed.expect("the tree lives")),
            _ = stopped.changed() => break,
        }
    }
    while let Some(Some(observed)) = observation.next().now_or_never() {
        viewer.apply(&observed);
    }
    viewer
}
