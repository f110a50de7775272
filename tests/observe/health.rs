//! The health that children report, how it propagates up the tree, and waiting for it.

use crate::support;

use std::time::Duration;

use regrow::{
    ChildError, ChildSpec, DynamicSupervisor, ExitReason, Health, Leftovers, Runtime, StartError,
    Supervisor, SupervisorRef, TaskContext,
};
use support::{crash, dead, settled};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Makes a child that sets the health that it receives as a message, or crashes on the message
/// `crash`.
fn moody(id: &str) -> ChildSpec {
    let body = |mut ctx: TaskContext| async move {
        ctx.set_health(Health::Starting);
        loop {
            let Some(said) = ctx.recv().await.message() else { continue };
            ctx.set_health(match said.as_slice() {
                b"ready" => Health::Ready,
                b"stopping" => Health::Stopping,
                b"crash" => return Err(crash("boom")),
                why => Health::Degraded(String::from_utf8_lossy(why).into_owned().into()),
            });
        }
    };
    ChildSpec::task(id, body).named(id)
}

async fn say(rt: &Runtime, name: &str, what: &str) {
    assert!(rt.send_named(name, what.as_bytes().to_vec()));
    settled().await;
}

async fn health_of(tree: &SupervisorRef) -> String {
    tree.tree().await.unwrap().health().to_string()
}

#[tokio::test(start_paused = true)]
async fn the_health_of_a_tree_is_that_of_its_worst_child() {
    let rt = Runtime::new();
    let inner = Supervisor::one_for_one().with_id("inner").child(moody("a")).child(moody("b"));
    let quiet = ChildSpec::task("quiet", |_| std::future::pending());
    let tree = Supervisor::one_for_one().child(quiet).child(inner).start(&rt).await.unwrap();
    settled().await;
    assert_eq!(health_of(&tree).await, "inner/a is starting");
    say(&rt, "a", "ready").await;
    assert_eq!(health_of(&tree).await, "inner/b is starting");
    say(&rt, "b", "the upstream answers 503").await;
    assert_eq!(health_of(&tree).await, "inner/b: the upstream answers 503");
    assert!(tree.tree().await.unwrap().health().is_serving());
    say(&rt, "a", "stopping").await;
    assert_eq!(health_of(&tree).await, "inner/a is stopping");
    assert!(!tree.tree().await.unwrap().health().is_serving());
    say(&rt, "a", "ready").await;
    say(&rt, "b", "ready").await;
    assert_eq!(health_of(&tree).await, "ready");
    assert!(tree.tree().await.unwrap().to_string().lines().all(|line| !line.contains("degraded")));
    let gone = dead(&rt).await;
    assert_eq!((rt.health(gone), rt.set_health(gone, Health::Ready)), (None, false));
}

/// A child that waits for its restart has the health `Starting`, so the tree does not serve.
#[tokio::test(start_paused = true)]
async fn a_child_that_waits_for_its_backoff_has_the_health_starting() {
    let rt = Runtime::new();
    let child = moody("a").backoff(regrow::Backoff::default());
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    say(&rt, "a", "ready").await;
    assert_eq!(health_of(&tree).await, "ready");
    say(&rt, "a", "crash").await;
    assert_eq!(health_of(&tree).await, "a is starting");
}

#[tokio::test(start_paused = true)]
async fn the_next_child_starts_when_a_ready_within_child_serves() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one().child(moody("a").ready_within(5 * SECOND));
    let spec = spec.child(ChildSpec::task("b", |_| std::future::pending()).named("b"));
    let starting = tokio::spawn({
        let rt = rt.clone();
        async move { spec.start(&rt).await }
    });
    settled().await;
    assert_eq!(rt.whereis("b"), None);
    say(&rt, "a", "a little slow").await; // a degraded child serves, too
    let tree = starting.await.unwrap().unwrap();
    assert!(rt.whereis("b").is_some());
    tree.stop().await.unwrap();
}

/// A supervisor reports no health of its own. As a child with `ready_within`, it is ready when its
/// children have started.
#[tokio::test(start_paused = true)]
async fn a_supervisor_child_is_ready_when_its_own_children_have_started() {
    let rt = Runtime::new();
    let inner =
        Supervisor::one_for_one().with_id("inner").child(moody("a").ready_within(5 * SECOND));
    let inner = ChildSpec::from(inner).ready_within(SECOND);
    let pool = ChildSpec::from(regrow::DynamicSupervisor::new()).ready_within(SECOND);
    let spec = Supervisor::one_for_one().child(inner).child(pool);
    let starting = tokio::spawn({
        let rt = rt.clone();
        async move { spec.start(&rt).await }
    });
    tokio::time::sleep(3 * SECOND).await;
    say(&rt, "a", "ready").await;
    let tree = starting.await.unwrap().unwrap();
    assert_eq!(tree.count_children().await.unwrap().active, 2);
    tree.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_not_ready_in_time_fails_the_start() {
    let rt = Runtime::new();
    let began = Instant::now();
    let spec = Supervisor::one_for_one().child(moody("a").ready_within(2 * SECOND));
    let error = spec.start(&rt).await.unwrap_err();
    let late = StartError::NotReady(2 * SECOND);
    assert_eq!(error, StartError::Child { id: "a".into(), error: Box::new(late) });
    assert_eq!(error.to_string(), "child \"a\" was not started: it was not ready within 2s");
    assert_eq!(began.elapsed(), 2 * SECOND);
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// A dynamic supervisor waits for the readiness of a child outside of its loop. A child that is not
/// ready in time receives a stop request from its supervisor, and has its shutdown time to end.
#[tokio::test(start_paused = true)]
async fn a_dynamic_child_that_is_not_ready_in_time_is_asked_to_stop() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let (drained, mut is_drained) = tokio::sync::mpsc::unbounded_channel();
    let slow = ChildSpec::task("slow", move |mut ctx: TaskContext| async move {
        ctx.set_health(Health::Starting);
        ctx.shutdown().await;
        tokio::time::sleep(SECOND).await;
        drained.send(Instant::now())?;
        Ok(())
    });
    let start = Instant::now();
    let failed = jobs.start_child(slow.ready_within(2 * SECOND)).await;
    assert_eq!(failed, Err(StartError::NotReady(2 * SECOND)));
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert_eq!(is_drained.recv().await, Some(Instant::now()));
    assert_eq!(jobs.count_children().await.unwrap().specs, 0);
    jobs.stop().await.unwrap();
    assert_eq!(rt.leftovers(), Leftovers::default());
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ends_before_it_is_ready_fails_the_start() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    let broken = ChildSpec::task("broken", |_| async { Err(crash("no disk")) });
    let failed = tree.start_child(broken.ready_within(SECOND)).await;
    assert_eq!(failed, Err(StartError::Failed(crash("no disk"))));
    assert!(matches!(tree.which_child("broken").await, Err(ChildError::NotFound(_))));
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
}

/// The status of `/healthz` and `/readyz` follows the state of the tree; `/tree` and `/tree.json`
/// show the tree.
#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn tree_routes_serve_the_probes_and_the_tree() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().named("app").child(moody("a")).start(&rt).await.unwrap();
    let routes = regrow::tree_routes(&tree);
    let ask = async |path: &str| ask(&routes, path).await;
    settled().await;
    assert_eq!(ask("/healthz").await, (200, "alive\n".into()));
    assert_eq!(ask("/readyz").await, (503, "a is starting\n".into()));
    say(&rt, "a", "ready").await;
    assert_eq!(ask("/readyz").await, (200, "ready\n".into()));
    assert!(ask("/tree").await.1.starts_with("app"));
    #[cfg(feature = "serde")]
    assert!(ask("/tree.json").await.1.starts_with('{'));
    tree.stop().await.unwrap();
    assert_eq!(ask("/healthz").await.0, 503);
    assert_eq!(ask("/readyz").await, (503, "there is no such process\n".into()));
}

/// Requests a route, and returns the status and the body of the response.
#[cfg(feature = "axum")]
async fn ask(routes: &axum::Router, path: &str) -> (u16, String) {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    let request = axum::http::Request::builder().uri(path).body(Body::empty()).unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// An orchestrator kills a program whose liveness probe is not answered within a second. So
/// `/healthz` waits for no process, even while the tree starts.
#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn the_liveness_route_answers_at_once_while_a_start_does_not_return() {
    let rt = Runtime::new();
    let routes = regrow::tree_routes(&SupervisorRef::named(&rt, "app"));
    let began = Instant::now();
    assert_eq!(ask(&routes, "/healthz").await, (503, "there is no such process\n".into()));
    let spec = Supervisor::one_for_one().named("app").child(moody("a"));
    let spec = spec.child(moody("slow").ready_within(3600 * SECOND));
    let starting = rt.clone();
    let started = tokio::spawn(async move { spec.start(&starting).await.unwrap() });
    while rt.whereis("slow").is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&routes, "/healthz").await, (200, "alive\n".into()));
    assert_eq!(began.elapsed(), Duration::ZERO);

    let (status, body) = ask(&routes, "/readyz").await;
    assert_eq!((status, body.as_str()), (503, "busy starting slow for 250ms\n"));
    let (status, body) = ask(&routes, "/tree").await;
    assert!(status == 200 && body.contains("busy starting slow for 500ms (last known)"), "{body}");
    assert!(body.contains("├─ a") && body.contains("└─ slow"), "{body}");
    assert_eq!(began.elapsed(), Duration::from_millis(500));

    say(&rt, "slow", "ready").await;
    say(&rt, "a", "ready").await;
    started.await.unwrap();
    assert_eq!(ask(&routes, "/readyz").await, (200, "ready\n".into()));
}

#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn the_liveness_route_answers_at_once_while_a_stop_does_not_end() {
    let rt = Runtime::new();
    let deaf = ChildSpec::task("deaf", |mut ctx: TaskContext| async move {
        let _asked = ctx.cancellation_token();
        std::future::pending().await
    });
    let deaf = deaf.shutdown(regrow::Shutdown::Infinity).named("deaf");
    let inner = Supervisor::one_for_one().with_id("inner").child(deaf);
    let tree = Supervisor::one_for_one().child(inner).start(&rt).await.unwrap();
    let routes = regrow::tree_routes_within(&tree, 2 * SECOND);
    settled().await;
    tokio::spawn({
        let tree = tree.clone();
        async move { tree.stop().await }
    });
    settled().await;
    let began = Instant::now();
    assert_eq!(ask(&routes, "/healthz").await, (200, "alive\n".into()));
    assert_eq!(began.elapsed(), Duration::ZERO);
    let (status, body) = ask(&routes, "/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(body, "inner is ending, and stopping deaf for 2.0s\n");
    assert_eq!(began.elapsed(), 2 * SECOND);
    rt.kill(rt.whereis("deaf").unwrap());
    tree.ended().await;
    assert_eq!(ask(&routes, "/healthz").await.0, 503);
}

/// A supervisor that waits for its restart is alive: its own supervisor will start it again, and a
/// restart of the program would end all other children, too.
#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn a_supervisor_that_waits_for_its_restart_is_alive_and_not_ready() {
    let rt = Runtime::new();
    let backoff = regrow::Backoff::default().first(10 * SECOND).jitter(0.0);
    let app = ChildSpec::from(Supervisor::one_for_one().named("app")).backoff(backoff);
    let program = Supervisor::one_for_one().child(app).start(&rt).await.unwrap();
    let app = SupervisorRef::named(&rt, "app");
    let routes = regrow::tree_routes(&app);
    let ended = app.ended();
    rt.kill(app.pid().unwrap());
    ended.await;
    settled().await;
    assert_eq!(app.pid(), None);
    assert_eq!(ask(&routes, "/healthz").await.0, 200);
    assert_eq!(ask(&routes, "/readyz").await.0, 503);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(ask(&routes, "/readyz").await.0, 200);
    program.stop().await.unwrap();
    assert_eq!(ask(&routes, "/healthz").await.0, 503);
}

/// A child on its own thread can report its health, also while it starts.
#[tokio::test]
async fn a_blocking_child_sets_its_health_also_while_it_starts() {
    let rt = Runtime::new();
    let (door, is_open) = std::sync::mpsc::channel();
    let is_open = std::sync::Arc::new(std::sync::Mutex::new(is_open));
    let store = ChildSpec::blocking("store", move |ctx| {
        ctx.set_health(Health::Starting);
        is_open.lock().unwrap().recv().unwrap(); // … recovers its journal …
        ctx.set_health(Health::Degraded("no replica".into()));
        while !ctx.wait_stop(SECOND) {}
        Ok(())
    });
    let tree = Supervisor::one_for_one().child(store.ready_within(3600 * SECOND));
    let starting = tokio::spawn({
        let rt = rt.clone();
        async move { tree.start(&rt).await.unwrap() }
    });
    support::until("the thread", || !rt.list().is_empty()).await;
    assert!(!starting.is_finished());
    door.send(()).unwrap();
    let tree = starting.await.unwrap();
    let health = tree.tree().await.unwrap().health();
    assert_eq!(health.to_string(), "store: no replica");
    tree.stop().await.unwrap();
}

/// A stuck program may have no free blocking thread, so the routes must answer without one.
#[cfg(feature = "axum")]
#[test]
fn probes_are_answered_while_all_blocking_threads_are_busy() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    tokio.block_on(async {
        let rt = Runtime::new();
        let tree = Supervisor::one_for_one().named("app").start(&rt).await.unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || held.recv().is_err());
        let routes = regrow::tree_routes(&tree);
        for route in ["/healthz", "/readyz", "/tree"] {
            assert_eq!(ask(&routes, route).await.0, 200, "{route}");
        }
        drop(release);
        assert!(busy.await.unwrap());
    });
}
