//! Observations of trees: the picture, the changes after it, and how both fit together.

use super::viewer::{Viewer, nodes};
use crate::support;

use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    Backoff, ChangeKind, ChildSpec, DynamicSupervisor, Exhausted, ExitClass, ExitReason, Health,
    Observation, Observed, Picture, PictureState, PictureStep, Restart, Runtime, Shutdown,
    Supervisor, SupervisorRef, TaskContext,
};
use support::{crash, settled};

const SECOND: Duration = Duration::from_secs(1);

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

/// Makes a child that ignores the request to stop.
fn deaf(id: &str) -> ChildSpec {
    let body = |mut ctx: TaskContext| async move {
        let _asked = ctx.cancellation_token();
        pending().await
    };
    ChildSpec::task(id, body).named(id).shutdown(Shutdown::Timeout(5 * SECOND))
}

async fn picture(observation: &mut Observation) -> Picture {
    match observation.next().await {
        Some(Observed::Picture(picture)) => picture,
        other => panic!("a picture comes first, not {other:?}"),
    }
}

/// Returns the kinds of all changes that are there now, with their paths.
fn changes(observation: &mut Observation) -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    while let Some(Some(observed)) = observation.next().now_or_never() {
        let Observed::Change(change) = observed else { panic!("{observed:?}") };
        all.push((change.path.to_string(), change.kind.name()));
    }
    all
}

fn of(all: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    all.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect()
}

async fn app(rt: &Runtime) -> SupervisorRef {
    let ingest =
        Supervisor::rest_for_one().with_id("ingest").child(idle("feed")).child(idle("parser"));
    let app = Supervisor::one_for_one().named("app").child(idle("kv")).child(ingest);
    app.start(rt).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_picture_shows_each_child_with_its_path() {
    let rt = Runtime::new();
    let app = app(&rt).await;
    rt.set_health(rt.whereis("feed").unwrap(), Health::Degraded("slow".into()));
    rt.send_named("parser", b"to do".to_vec());
    let picture = picture(&mut app.observe().unwrap()).await;
    let paths: Vec<&str> = picture.nodes.iter().map(|node| node.path.as_str()).collect();
    assert_eq!(paths, ["app", "app/kv", "app/ingest", "app/ingest/feed", "app/ingest/parser"]);
    assert!(picture.nodes.iter().all(|node| node.state == PictureState::Running));
    let feed = picture.find("app/ingest/feed").unwrap();
    assert_eq!((feed.pid, feed.supervisor), (rt.whereis("feed"), picture.nodes[2].pid));
    assert_eq!(feed.parent.as_deref(), Some("app/ingest"));
    assert_eq!(feed.health, Health::Degraded("slow".into()));
    assert_eq!(picture.find("app/ingest/parser").unwrap().mailbox.queued, Some(1));
    let budget = picture.nodes[2].supervision.as_ref().unwrap().budget.unwrap();
    assert_eq!(
        (picture.nodes[2].supervision.as_ref().unwrap().strategy, budget.left),
        ("rest_for_one", 3)
    );
}

#[tokio::test(start_paused = true)]
async fn a_crash_and_its_restart_are_told_in_order() {
    let rt = Runtime::new();
    let app = app(&rt).await;
    let mut observation = app.observe().unwrap();
    picture(&mut observation).await;
    let (feed, parser) = (rt.whereis("feed").unwrap(), rt.whereis("parser").unwrap());
    rt.exit(feed, crash("no luck"));
    settled().await;
    let (feed_path, parser_path) = ("app/ingest/feed", "app/ingest/parser");
    let mut seen = Vec::new();
    while let Some(Some(Observed::Change(change))) = observation.next().now_or_never() {
        match &change.kind {
            ChangeKind::Ended { reason, stopped, for_good, .. } => {
                let by_itself = change.path == feed_path;
                assert_eq!((*stopped, *for_good), (!by_itself, false));
                let expected = if by_itself { ExitClass::Error } else { ExitClass::Shutdown };
                assert_eq!(ExitClass::of(reason), expected);
                assert_eq!(change.pid, Some(if by_itself { feed } else { parser }));
            }
            ChangeKind::Restarting { attempt, budget_left, .. } => {
                assert_eq!((*attempt, *budget_left), (1, Some(2)));
            }
            ChangeKind::Started { previous, .. } if change.path == feed_path => {
                assert_eq!((change.pid, *previous), (rt.whereis("feed"), Some(feed)));
            }
            _ => {}
        }
        seen.push((change.path.to_string(), change.kind.name()));
    }
    let expected = [
        (feed_path, "ended"),
        (feed_path, "restarting"),
        (parser_path, "stopping"),
        (parser_path, "ended"),
        (feed_path, "starting"),
        (feed_path, "started"),
        (parser_path, "starting"),
        (parser_path, "started"),
    ];
    assert_eq!(seen, of(&expected));
}

#[tokio::test(start_paused = true)]
async fn a_backoff_says_when_the_next_try_is() {
    let rt = Runtime::new();
    let failing = ChildSpec::task("failing", |_| async { Err(crash("no luck")) });
    let backoff = Backoff::default().first(10 * SECOND).jitter(0.0);
    let spec = Supervisor::one_for_one().named("app").child(failing.backoff(backoff));
    let mut observation = rt.observe();
    picture(&mut observation).await;
    let app = spec.start(&rt).await.unwrap();
    let mut viewer = Viewer::default();
    let waiting = viewer.read_to(&mut observation, "app/failing", "waiting").await;
    assert_eq!(waiting.kind, ChangeKind::Waiting { retry_in: Some(10 * SECOND) });
    let picture = app.observe().unwrap().picture().await;
    let failing = picture.find("app/failing").unwrap();
    assert_eq!(failing.state, PictureState::Restarting);
    let wait = failing.retry_at.unwrap().unix_millis() - picture.time.unix_millis();
    assert!((9_990..=10_000).contains(&wait), "{wait}");
    assert_eq!(failing.history[0].incarnation.reason, crash("no luck"));
}

#[tokio::test(start_paused = true)]
async fn an_observation_that_exists_before_the_tree_sees_it_start() {
    let rt = Runtime::new();
    let mut all = rt.observe();
    let mut ingest = rt.observe().below("app/ingest");
    assert!(picture(&mut all).await.nodes.is_empty());
    assert!(picture(&mut ingest).await.nodes.is_empty());
    let app = app(&rt).await;
    let ingest_paths = [
        ("app/ingest", "added"),
        ("app/ingest", "starting"),
        ("app/ingest/feed", "added"),
        ("app/ingest/feed", "starting"),
        ("app/ingest/feed", "started"),
        ("app/ingest/parser", "added"),
        ("app/ingest/parser", "starting"),
        ("app/ingest/parser", "started"),
        ("app/ingest", "started"),
    ];
    assert_eq!(changes(&mut ingest), of(&ingest_paths));
    let mut expected =
        of(&[("app", "added"), ("app/kv", "added"), ("app/kv", "starting"), ("app/kv", "started")]);
    expected.extend(of(&ingest_paths));
    expected.extend(of(&[("app", "started")]));
    assert_eq!(changes(&mut all), expected);
    app.stop().await.unwrap();
    let ends = changes(&mut all);
    assert_eq!(ends.first(), of(&[("app", "ending")]).first());
    assert_eq!(ends.last(), of(&[("app", "ended")]).first());
    // The observation of a runtime does not end with a tree.
    assert_eq!(all.next().now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn an_observation_of_a_tree_ends_with_the_tree() {
    let rt = Runtime::new();
    let app = app(&rt).await;
    let mut observation = app.observe().unwrap();
    let mut late = app.observe().unwrap();
    picture(&mut observation).await;
    app.stop().await.unwrap();
    let mut last = None;
    while let Some(observed) = observation.next().await {
        last = Some(observed);
    }
    let Some(Observed::Change(last)) = last else { panic!("{last:?}") };
    assert_eq!((last.path.as_str(), last.kind.name()), ("app", "ended"));
    assert!(picture(&mut late).await.nodes.is_empty(), "the tree ended before the first picture");
    assert_eq!(late.next().await, None);
    assert!(app.observe().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_observation_of_a_subtree_continues_with_its_successor() {
    let rt = Runtime::new();
    let app = app(&rt).await;
    let ingest = app.which_child("ingest").await.unwrap().pid().unwrap();
    let mut observation = rt.observe().below("app/ingest");
    let first = picture(&mut observation).await;
    assert_eq!(first.nodes[0].pid, Some(ingest));
    let mut viewer = Viewer::default();
    viewer.apply(&Observed::Picture(first));
    rt.kill(ingest);
    let started = viewer.read_to(&mut observation, "app/ingest", "started").await;
    assert_ne!(started.pid, Some(ingest));
    assert_eq!(viewer.nodes, nodes(&observation.picture().await));
}

#[tokio::test(start_paused = true)]
async fn a_late_observation_sees_the_history() {
    let rt = Runtime::new();
    let app = app(&rt).await;
    for _ in 0..2 {
        rt.exit(rt.whereis("kv").unwrap(), crash("no luck"));
        settled().await;
    }
    let picture = picture(&mut app.observe().unwrap()).await;
    let kv = picture.find("app/kv").unwrap();
    assert_eq!((kv.restarts, kv.history.len()), (2, 2));
    assert!(kv.history.iter().all(|run| run.incarnation.reason == crash("no luck")));
    assert!(kv.history[0].ended <= kv.history[1].started);
}

#[tokio::test(start_paused = true)]
async fn a_picture_and_the_changes_say_which_child_holds_the_stop_up() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one().named("app").child(idle("kv")).child(deaf("slow"));
    let app = spec.start(&rt).await.unwrap();
    let mut observation = app.observe().unwrap();
    picture(&mut observation).await;
    let stopping = tokio::spawn(async move { app.stop().await });
    settled().await;
    let stops = observation.picture().await;
    assert_eq!(stops.nodes[0].state, PictureState::Stopping);
    let supervision = stops.nodes[0].supervision.as_ref().unwrap();
    let Some(PictureStep::Stopping { child, .. }) = &supervision.step else { panic!("{stops:?}") };
    assert_eq!(child, "app/slow");
    assert!(supervision.ending_since.is_some());
    assert_eq!(stops.find("app/slow").unwrap().state, PictureState::Stopping);
    assert_eq!(stops.find("app/kv").unwrap().state, PictureState::Running);
    stopping.await.unwrap().unwrap();
    let rest = changes(&mut observation);
    let expected = [
        ("app/slow", "shutdown_failed"),
        ("app/slow", "ended"),
        ("app/kv", "stopping"),
        ("app/kv", "ended"),
        ("app", "ended"),
    ];
    assert_eq!(rest, of(&expected));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_falls_behind_misses_changes_and_gets_a_picture() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one().named("app").intensity(5_000, SECOND).child(idle("kv"));
    let app = spec.start(&rt).await.unwrap();
    let mut observation = app.observe().unwrap();
    let mut viewer = Viewer::default();
    viewer.apply(&observation.next().await.unwrap());
    for _ in 0..300 {
        rt.kill(rt.whereis("kv").unwrap());
        app.which_children().await.unwrap();
    }
    let missed = observation.next().await.unwrap();
    let Observed::Missed(missed) = missed else { panic!("{missed:?}") };
    assert_eq!(missed.changes, 1_200);
    let caught_up = picture(&mut observation).await;
    assert_eq!(caught_up.find("app/kv").unwrap().restarts, 300);
    viewer.apply(&Observed::Picture(caught_up));
    rt.kill(rt.whereis("kv").unwrap());
    viewer.read_to(&mut observation, "app/kv", "started").await;
    assert_eq!(viewer.nodes, nodes(&observation.picture().await));
}

#[tokio::test(start_paused = true)]
async fn the_health_of_a_child_is_a_change() {
    let rt = Runtime::new();
    let app = app(&rt).await;
    let mut observation = app.observe().unwrap();
    picture(&mut observation).await;
    rt.set_health(rt.whereis("feed").unwrap(), Health::Unready("no disk".into()));
    let outside = rt.spawn(|_| pending());
    rt.set_health(outside.pid(), Health::Starting);
    let Some(Observed::Change(change)) = observation.next().await else { panic!() };
    assert_eq!(change.path, "app/ingest/feed");
    assert_eq!(change.kind, ChangeKind::Health { health: Health::Unready("no disk".into()) });
    assert_eq!(observation.next().now_or_never(), None, "a process in no tree is not observed");
}

#[tokio::test(start_paused = true)]
async fn children_that_were_given_up_or_removed_are_told() {
    let rt = Runtime::new();
    let once = |id: &str| {
        ChildSpec::task(id, |mut ctx| async move {
            ctx.recv().await;
            Err(crash("no luck"))
        })
    };
    let spec = Supervisor::one_for_one()
        .named("app")
        .child(once("parked").named("parked").restart_budget(0, SECOND, Exhausted::GiveUp))
        .child(once("temporary").named("temporary").restart(Restart::Temporary));
    let app = spec.start(&rt).await.unwrap();
    let mut observation = app.observe().unwrap();
    picture(&mut observation).await;
    rt.send_named("parked", Vec::new());
    settled().await;
    let expected =
        [("app/parked", "ended"), ("app/parked", "limit_reached"), ("app/parked", "given_up")];
    assert_eq!(changes(&mut observation), of(&expected));
    rt.send_named("temporary", Vec::new());
    settled().await;
    let expected = [("app/temporary", "ended"), ("app/temporary", "removed")];
    assert_eq!(changes(&mut observation), of(&expected));
    let later = app.observe().unwrap().picture().await;
    assert_eq!(later.find("app/parked").unwrap().state, PictureState::GivenUp);
    let ended = later.find("app/temporary").unwrap();
    assert_eq!((ended.state, ended.history.len()), (PictureState::Ended, 1));
    let without = app.observe().unwrap().keep_ended(0).picture().await;
    assert!(without.find("app/temporary").is_none());
    assert_eq!(rt.counters().children[0].give_ups, 1);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_gives_up_is_told_before_its_end() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one().named("app").intensity(0, SECOND).child(idle("kv"));
    let app = spec.start(&rt).await.unwrap();
    let mut observation = app.observe().unwrap();
    picture(&mut observation).await;
    rt.kill(rt.whereis("kv").unwrap());
    let ended = app.ended().await;
    assert!(ended.is_abnormal());
    let kinds: Vec<&str> = changes(&mut observation).iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, ["ended", "gave_up", "stopped", "ending", "removed", "ended"]);
}

#[tokio::test]
async fn an_observation_keeps_no_runtime_alive() {
    let mut observation = {
        let rt = Runtime::new();
        let app = Supervisor::one_for_one().named("app").start(&rt).await.unwrap();
        let mut observation = rt.observe().track_mailboxes();
        picture(&mut observation).await;
        app.stop().await.unwrap();
        observation
    };
    while let Some(observed) = observation.next().await {
        assert!(matches!(observed, Observed::Change(_)));
    }
    assert!(observation.picture().await.nodes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn ids_with_special_characters_have_unambiguous_paths() {
    let rt = Runtime::new();
    let child = |id: &str| ChildSpec::task(id, |_| pending());
    let spec = Supervisor::one_for_one().named("a/b").child(child("c\nd")).child(child(""));
    let tree = spec.start(&rt).await.unwrap();
    let picture = tree.observe().unwrap().picture().await;
    let paths: Vec<&str> = picture.nodes.iter().map(|node| node.path.as_str()).collect();
    assert_eq!(paths, ["a%2Fb", "a%2Fb/c%0Ad", "a%2Fb/\"\""]);
    assert_eq!(picture.nodes[1].id, "c\nd");
    assert_eq!(picture.to_string().lines().count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_tells_each_start_and_end() {
    let rt = Runtime::new();
    let conns = DynamicSupervisor::new().named("conns").start(&rt).await.unwrap();
    let mut observation = conns.observe().unwrap();
    picture(&mut observation).await;
    let temporary = |id: &str| ChildSpec::task(id, |_| pending()).restart(Restart::Temporary);
    let first = conns.start_child(temporary("first")).await.unwrap();
    let kept = conns.start_child(idle("kept")).await.unwrap();
    rt.exit(first, ExitReason::Normal);
    rt.kill(first);
    rt.kill(kept);
    settled().await;
    let told = changes(&mut observation);
    let expected = [
        ("conns/first", "started"),
        ("conns/kept", "started"),
        ("conns/first", "ended"),
        ("conns/kept", "ended"),
        ("conns/kept", "restarting"),
        ("conns/kept", "started"),
    ];
    assert_eq!(told, of(&expected));
    let picture = observation.picture().await;
    let folded = picture.nodes[0].supervision.as_ref().unwrap().folded.unwrap();
    assert_eq!((folded.children, folded.running, folded.unhealthy), (1, 1, 0));
    assert_eq!(picture.find("conns/first").unwrap().state, PictureState::Ended);
    assert_eq!(picture.find("conns/kept").unwrap().restarts, 1);
    conns.terminate_child(rt.whereis("kept").unwrap()).await.unwrap();
    let expected = [("conns/kept", "stopping"), ("conns/kept", "ended")];
    assert_eq!(changes(&mut observation), of(&expected));
}

#[tokio::test(start_paused = true)]
async fn without_an_observation_no_change_is_made() {
    let rt = Runtime::new();
    let app = app(&rt).await;
    drop(app.observe().unwrap());
    rt.kill(rt.whereis("kv").unwrap());
    settled().await;
    assert_eq!(app.observe().unwrap().picture().await.seq, 0);
}
