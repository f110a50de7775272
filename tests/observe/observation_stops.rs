//! The deadlines of stops in pictures and changes: when each process that stops is killed.

use crate::support;

use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    ChangeKind, ChildSpec, DynamicSupervisor, Observation, Observed, Phase, Phases, Picture,
    PictureState, PictureStep, Runtime, Shutdown, Supervisor, TaskContext,
};
use support::settled;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

/// A child that ignores its stop.
fn deaf(id: &str, shutdown: Shutdown) -> ChildSpec {
    let body = |mut ctx: TaskContext| async move {
        let _asked = ctx.cancellation_token();
        pending().await
    };
    ChildSpec::task(id, body).shutdown(shutdown).named(id)
}

fn after(seconds: u32) -> Shutdown {
    Shutdown::Timeout(SECOND * seconds)
}

/// Returns the milliseconds until the process at this path is killed, if it stops.
fn left(picture: &Picture, path: &str) -> Option<u64> {
    let node = picture.find(path).unwrap_or_else(|| panic!("no {path}:\n{picture}"));
    assert!(node.state == PictureState::Stopping || node.deadline.is_none(), "{picture}");
    node.deadline.map(|deadline| deadline.unix_millis() - picture.time.unix_millis())
}

/// Returns the same for the child that the supervisor at this path waits for.
fn left_of_step(picture: &Picture, path: &str) -> Option<u64> {
    let supervision = picture.find(path).unwrap().supervision.as_ref().unwrap();
    let Some(PictureStep::Stopping { deadline, .. }) = supervision.step else {
        panic!("{picture}")
    };
    deadline.map(|deadline| deadline.unix_millis() - picture.time.unix_millis())
}

/// Returns the changes that are there now, each with the milliseconds until its deadline.
fn deadlines(observation: &mut Observation) -> Vec<(String, &'static str, Option<u64>)> {
    let mut all = Vec::new();
    while let Some(Some(Observed::Change(change))) = observation.next().now_or_never() {
        if let ChangeKind::Stopping { deadline } | ChangeKind::HoldsStop { deadline } = change.kind
        {
            // The time of day of the change is read after that of the deadline.
            let left =
                deadline.map(|at| at.unix_millis().saturating_sub(change.time.unix_millis()));
            all.push((change.path.to_string(), change.kind.name(), left));
        }
    }
    all
}

/// Whether a deadline is this number of seconds ahead. The clock of the system runs while a test
/// runs, although tokio's clock is paused.
fn is_about(left: Option<u64>, seconds: u64) -> bool {
    left.is_some_and(|left| left <= seconds * 1000 && left + 900 > seconds * 1000)
}

#[tokio::test(start_paused = true)]
async fn each_level_of_a_tree_that_stops_shows_its_own_deadline() {
    let rt = Runtime::new();
    let inner = Supervisor::one_for_one().with_id("inner").child(deaf("low", after(2)));
    let app = Supervisor::one_for_one().named("app").child(deaf("last", after(5)));
    let app = app.child(deaf("endless", Shutdown::Infinity)).child(inner);
    let app = app.start(&rt).await.unwrap();
    let mut observation = app.observe().unwrap();
    let picture = observation.picture().await;
    assert!(picture.nodes.iter().all(|node| node.deadline.is_none()), "{picture}");
    let stopping = tokio::spawn({
        let app = app.clone();
        async move { app.stop().await }
    });
    tokio::time::sleep(SECOND).await;
    let told = deadlines(&mut observation);
    assert_eq!((&*told[0].0, told[0].1, told[0].2), ("app/inner", "stopping", None));
    assert_eq!((&*told[1].0, told[1].1), ("app/inner/low", "stopping"));
    assert!(is_about(told[1].2, 2), "{told:?}");
    // The supervisor has no limit of its own; its child has one second left.
    let picture = observation.picture().await;
    assert_eq!((left(&picture, "app/inner"), left_of_step(&picture, "app")), (None, None));
    assert_eq!(left(&picture, "app/inner/low"), Some(1000));
    assert_eq!(left_of_step(&picture, "app/inner"), Some(1000));
    assert!(picture.to_string().contains("stopping  killed in 1.0s"), "{picture}");
    // The child before it has no limit.
    tokio::time::sleep(2 * SECOND).await;
    let picture = observation.picture().await;
    assert_eq!(picture.find("app/endless").unwrap().state, PictureState::Stopping);
    assert_eq!((left(&picture, "app/endless"), left_of_step(&picture, "app")), (None, None));
    rt.kill(rt.whereis("endless").unwrap());
    tokio::time::sleep(SECOND).await;
    let picture = observation.picture().await;
    assert_eq!(left(&picture, "app/last"), Some(4000));
    stopping.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_that_runs_again_after_a_stop_has_no_deadline() {
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().named("app").child(deaf("job", after(5)));
    let app = app.start(&rt).await.unwrap();
    app.terminate_child("job").await.unwrap();
    app.restart_child("job").await.unwrap();
    let picture = app.observe().unwrap().picture().await;
    assert_eq!(picture.find("app/job").unwrap().state, PictureState::Running);
    assert_eq!(left(&picture, "app/job"), None);
}

#[tokio::test(start_paused = true)]
async fn the_children_of_a_dynamic_supervisor_show_their_deadlines() {
    let rt = Runtime::new();
    let rooms = DynamicSupervisor::new().named("rooms").start(&rt).await.unwrap();
    let quick = rooms.start_child(deaf("quick", after(2))).await.unwrap();
    rooms.start_child(deaf("slow", after(9))).await.unwrap();
    rooms.start_child(deaf("endless", Shutdown::Infinity)).await.unwrap();
    let mut observation = rooms.observe().unwrap();
    observation.next().await;
    // One child is terminated.
    let terminated = tokio::spawn({
        let rooms = rooms.clone();
        async move { rooms.terminate_child(quick).await }
    });
    settled().await;
    let told = deadlines(&mut observation);
    assert!(told.len() == 1 && told[0].1 == "stopping" && is_about(told[0].2, 2), "{told:?}");
    let picture = observation.picture().await;
    assert!(is_about(left(&picture, "rooms/quick"), 2), "{picture}");
    assert_eq!(left(&picture, "rooms/slow"), None);
    terminated.await.unwrap().unwrap();
    // All children stop.
    let stopping = tokio::spawn({
        let rooms = rooms.clone();
        async move { rooms.stop().await }
    });
    tokio::time::sleep(SECOND).await;
    let told = deadlines(&mut observation);
    assert!(told.len() == 1 && told[0].1 == "holds_stop" && is_about(told[0].2, 9), "{told:?}");
    let picture = observation.picture().await;
    assert_eq!(left(&picture, "rooms/slow"), Some(8000));
    assert_eq!(left_of_step(&picture, "rooms"), Some(8000));
    assert_eq!(picture.find("rooms/endless").unwrap().state, PictureState::Stopping);
    assert_eq!(left(&picture, "rooms/endless"), None);
    rt.kill(rt.whereis("endless").unwrap());
    stopping.await.unwrap().unwrap();
}

/// More children than a dynamic supervisor publishes at a time.
#[tokio::test(start_paused = true)]
async fn all_published_children_of_a_large_dynamic_supervisor_show_their_deadlines() {
    let rt = Runtime::new();
    let rooms = DynamicSupervisor::new().named("rooms").start(&rt).await.unwrap();
    for seconds in (1..=150).rev() {
        rooms.start_child(deaf(&format!("{seconds}"), after(seconds))).await.unwrap();
    }
    let mut observation = rt.observe().list_children(1000);
    let stopping = tokio::spawn({
        let rooms = rooms.clone();
        async move { rooms.stop().await }
    });
    for passed in [0, 60, 149] {
        while rt.process_count() > 151 - passed {
            tokio::time::sleep(SECOND / 2).await;
        }
        settled().await;
        let picture = observation.picture().await;
        assert!(picture.nodes.len() > 1, "{picture}");
        assert!(picture.nodes[1..].iter().all(|node| node.deadline.is_some()), "{picture}");
    }
    stopping.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_program_that_stops_shows_its_own_deadline_and_those_of_its_phases() {
    let rt = Runtime::new();
    let tree = |child| Supervisor::one_for_one().child(child);
    let storage = Phase::new(tree(deaf("disk", Shutdown::Infinity)));
    let web = Phase::new(tree(deaf("http", Shutdown::Infinity))).stop_within(3 * SECOND);
    let phases = Phases::new("shop").phase("storage", storage).phase("web", web);
    let stop = CancellationToken::new();
    let run = regrow::Run::from(phases).on(&rt).without_signals().stop_on(stop.clone());
    let run = tokio::spawn(run.deadline(20 * SECOND).run());
    settled().await;
    let mut observation = rt.observe();
    observation.next().await;
    stop.cancel();
    tokio::time::sleep(SECOND).await;
    let picture = observation.picture().await;
    assert_eq!(left(&picture, "shop"), Some(19_000));
    assert_eq!(left(&picture, "shop/web"), Some(2000), "{picture}");
    // The time of the phase limits everything below the phase.
    assert_eq!(left(&picture, "shop/web/http"), Some(2000), "{picture}");
    assert_eq!(left_of_step(&picture, "shop"), Some(2000), "{picture}");
    assert_eq!(left_of_step(&picture, "shop/web"), Some(2000), "{picture}");
    // The time of the phase is over. The phase before it has no limit but that of the program.
    tokio::time::sleep(3 * SECOND).await;
    let picture = observation.picture().await;
    assert_eq!(left(&picture, "shop"), Some(16_000));
    assert_eq!(picture.find("shop/storage").unwrap().state, PictureState::Stopping);
    for path in ["shop/storage", "shop/storage/disk"] {
        assert_eq!(left(&picture, path), Some(16_000), "{picture}");
    }
    assert!(run.await.unwrap().unwrap().forced, "the program killed the first phase");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_stops_limits_the_deadlines_of_everything_below_its_root() {
    let rt = Runtime::new();
    let inner = Supervisor::one_for_one().with_id("inner").child(deaf("slow", after(60)));
    let tree = Supervisor::one_for_one().named("app").child(deaf("endless", Shutdown::Infinity));
    let stop = CancellationToken::new();
    let run = regrow::Run::from(tree.child(inner)).on(&rt).without_signals().stop_on(stop.clone());
    let run = tokio::spawn(run.run());
    settled().await;
    let mut observation = rt.observe();
    observation.next().await;
    stop.cancel();
    tokio::time::sleep(SECOND).await;
    let picture = observation.picture().await;
    for path in ["app", "app/inner", "app/inner/slow"] {
        assert_eq!(left(&picture, path), Some(24_000), "{picture}");
    }
    for path in ["app", "app/inner"] {
        assert_eq!(left_of_step(&picture, path), Some(24_000), "{picture}");
    }
    // A view of the child alone has the same deadline.
    let below = rt.observe().below("app/inner/slow").picture().await;
    assert_eq!(left(&below, "app/inner/slow"), Some(24_000), "{below}");
    assert!(run.await.unwrap().unwrap().forced);
}
