//! Snapshots of a tree with busy supervisors: complete in time, with their last published state.

use crate::support;

use std::future::pending;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    Busy, CallError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ExitReason, GenServer,
    Health, NodeKind, NodeState, Reply, Result, Runtime, ServerContext, Shutdown, Supervisor,
    SupervisorRef, SupervisorSpec, TaskContext, TreeNode,
};
use support::settled;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_millis(250);

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending())
}

/// Makes a child that ignores the request to stop.
fn deaf(id: &str) -> ChildSpec {
    let body = |mut ctx: TaskContext| async move {
        let _asked = ctx.cancellation_token();
        pending().await
    };
    ChildSpec::task(id, body).shutdown(Shutdown::Infinity)
}

/// Makes a child whose start never returns.
fn never_ready(id: &str) -> ChildSpec {
    let body = |ctx: TaskContext| async move {
        ctx.set_health(Health::Starting);
        pending().await
    };
    ChildSpec::task(id, body).ready_within(1_000_000 * SECOND)
}

/// Begins the start of a tree, which does not return, and returns the handle by name.
async fn begun(rt: &Runtime, name: &str, spec: SupervisorSpec) -> SupervisorRef {
    let starting = rt.clone();
    let spec = spec.named(name);
    tokio::spawn(async move { spec.start(&starting).await });
    settled().await;
    SupervisorRef::named(rt, name)
}

/// Starts a tree `app` with a supervisor `inner`, which has two idle children and is busy starting
/// a third.
async fn busy_below(rt: &Runtime) -> SupervisorRef {
    let inner = Supervisor::one_for_one().named("inner").child(idle("a")).child(idle("b"));
    let app = Supervisor::one_for_one().named("app").child(inner).child(idle("c"));
    let app = app.start(rt).await.unwrap();
    let inner = SupervisorRef::named(rt, "inner");
    tokio::spawn(async move { inner.start_child(never_ready("new")).await });
    settled().await;
    app
}

#[tokio::test(start_paused = true)]
async fn a_busy_supervisor_is_marked_and_shown_with_its_last_known_children() {
    let rt = Runtime::new();
    let app = busy_below(&rt).await;
    let began = Instant::now();
    let snapshot = app.tree().await.unwrap();
    assert_eq!(began.elapsed(), LIMIT);
    let state = |path: &str| snapshot.find(path).unwrap().state;
    assert_eq!(snapshot.root.state, NodeState::Running);
    assert_eq!((state("inner"), state("c")), (NodeState::Busy, NodeState::Running));
    assert_eq!((state("inner/a"), state("inner/b")), (NodeState::Running, NodeState::Running));
    let new = snapshot.find("inner/new").unwrap();
    assert_eq!(new.state, NodeState::Starting);
    assert!(rt.is_alive(new.pid.unwrap()));
    let inner = snapshot.find("inner").unwrap();
    assert!(matches!(inner.kind, NodeKind::Supervisor { strategy: "one_for_one", .. }));
    assert_eq!(inner.budget().unwrap().left, 3);
    let elapsed = LIMIT + Duration::from_millis(1); // the time of `settled`, before the snapshot
    assert_eq!(inner.busy, Some(Busy::Starting { child: "new".into(), elapsed }));
    let marked = "busy starting new for 251ms (last known)";
    for shown in [snapshot.to_string(), snapshot.to_dot(), snapshot.to_mermaid()] {
        assert!(shown.contains(marked), "{shown}");
    }
    assert_eq!(snapshot.health().to_string(), "inner is busy starting new for 251ms");
    assert!(!snapshot.health().is_serving());
}

#[cfg(feature = "serde")]
#[tokio::test(start_paused = true)]
async fn the_json_of_a_busy_supervisor_is_marked_as_last_known() {
    let rt = Runtime::new();
    let app = busy_below(&rt).await;
    let json: serde_json::Value =
        serde_json::from_str(&app.tree().await.unwrap().to_json()).unwrap();
    // The root, then the nodes below it.
    let [app, inner, _, _, new, _] = &json["nodes"].as_array().unwrap()[..] else {
        panic!("{json}")
    };
    let busy = serde_json::json!({ "with": "starting", "child": "new", "elapsed_ms": 251 });
    assert_eq!((&inner["state"], &inner["last_known"]), (&"busy".into(), &true.into()));
    assert_eq!(inner["busy"], busy);
    assert_eq!((&new["state"], &new["parent"]), (&"starting".into(), &inner["node"]));
    assert_eq!((&app["last_known"], &app["busy"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!((&app["parent"], &inner["parent"]), (&serde_json::Value::Null, &app["node"]));
}

/// A supervisor that answers is shown as running, even if a supervisor above or beside it is busy.
#[tokio::test(start_paused = true)]
async fn a_supervisor_below_a_busy_one_is_shown_with_its_own_answer() {
    let rt = Runtime::new();
    let below = Supervisor::one_for_one().with_id("below").child(idle("a"));
    let spec = Supervisor::one_for_one().child(below).child(DynamicSupervisor::new().named("jobs"));
    let app = begun(&rt, "app", spec.child(never_ready("new"))).await;
    let jobs = DynamicSupervisorRef::named(&rt, "jobs");
    jobs.start_child(idle("job")).await.unwrap(); // shown only if `jobs` itself is asked
    let snapshot = app.tree().await.unwrap();
    let state = |path: &str| snapshot.find(path).unwrap().state;
    assert_eq!(snapshot.root.state, NodeState::Busy);
    assert_eq!((state("below"), state("below/a")), (NodeState::Running, NodeState::Running));
    assert_eq!((state("jobs"), state("jobs/job")), (NodeState::Running, NodeState::Running));
    assert_eq!(state("new"), NodeState::Starting);
}

/// Makes a chain of this many supervisors, with this child in the innermost.
fn nested(levels: usize, innermost: ChildSpec) -> SupervisorSpec {
    let mut spec = Supervisor::one_for_one().with_id("level").child(innermost);
    for _ in 1..levels {
        spec = Supervisor::one_for_one().with_id("level").child(spec);
    }
    spec
}

/// Counts the consecutive busy supervisors from the root down.
fn busy_levels(root: &TreeNode) -> usize {
    let below = |node: &TreeNode| node.children.first().map_or(0, busy_levels);
    if root.state == NodeState::Busy { 1 + below(root) } else { 0 }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_nested_busy_supervisors_take_one_time_limit_to_show() {
    let rt = Runtime::new();
    let app = begun(&rt, "app", nested(100, never_ready("worker"))).await;
    for limit in [LIMIT, Duration::from_millis(10), SECOND] {
        let began = Instant::now();
        let snapshot = app.tree_within(limit).await.unwrap();
        assert_eq!(began.elapsed(), limit);
        assert_eq!(busy_levels(&snapshot.root), 100);
        let path = vec!["level"; 99].join("/");
        assert_eq!(snapshot.find(&format!("{path}/worker")).unwrap().state, NodeState::Starting);
        let health = snapshot.health();
        assert_eq!(health.path, path); // the lowest supervisor, for which all others wait
        assert_eq!(health.busy.unwrap().child(), Some("worker"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_nested_stopping_supervisors_take_one_time_limit_to_show() {
    let rt = Runtime::new();
    let app = nested(100, deaf("worker")).start(&rt).await.unwrap();
    settled().await;
    let stopping = app.clone();
    tokio::spawn(async move { stopping.stop().await });
    settled().await;
    let began = Instant::now();
    let snapshot = app.tree().await.unwrap();
    assert_eq!(began.elapsed(), LIMIT);
    assert_eq!(busy_levels(&snapshot.root), 100);
    let path = vec!["level"; 99].join("/");
    assert_eq!(snapshot.find(&format!("{path}/worker")).unwrap().state, NodeState::Stopping);
    assert_eq!(snapshot.health().health, Health::Stopping);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_tree_shows_the_remaining_children_and_the_one_it_waits_for() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one().named("app").child(idle("a")).child(deaf("b"));
    let app = spec.child(idle("c")).start(&rt).await.unwrap();
    settled().await;
    let stopping = app.clone();
    tokio::spawn(async move { stopping.stop().await });
    settled().await;
    let snapshot = app.tree().await.unwrap();
    let children: Vec<_> =
        snapshot.root.children.iter().map(|node| (node.id.as_str(), node.state)).collect();
    assert_eq!(children, [("a", NodeState::Running), ("b", NodeState::Stopping)]);
    let busy = snapshot.root.busy.clone().unwrap();
    assert!(matches!(busy, Busy::Ending { .. }));
    assert_eq!(busy.to_string(), "ending, and stopping b for 251ms");
    assert!(app.is_alive());
    rt.kill(snapshot.find("b").unwrap().pid.unwrap());
    app.ended().await;
    assert_eq!(app.tree().await.unwrap_err(), CallError::NoProc);
}

/// A dynamic supervisor stops all its children at once. The hundred children that it showed before
/// may all have ended, so it shows the children that it still waits for.
#[tokio::test(start_paused = true)]
async fn a_stopping_dynamic_supervisor_shows_the_children_it_waits_for() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().named("jobs").start(&rt).await.unwrap();
    for _ in 0..250 {
        jobs.start_child(idle("job")).await.unwrap();
    }
    for _ in 0..3 {
        jobs.start_child(deaf("deaf")).await.unwrap();
    }
    settled().await;
    let stopping = jobs.clone();
    tokio::spawn(async move { stopping.stop().await });
    settled().await;
    let began = Instant::now();
    let snapshot = jobs.tree().await.unwrap();
    assert_eq!(began.elapsed(), LIMIT);
    assert!(jobs.is_alive());
    let root = &snapshot.root;
    assert_eq!(root.busy.as_ref().unwrap().child(), Some("deaf"));
    let left: Vec<_> = root.children.iter().map(|node| (node.id.as_str(), node.state)).collect();
    assert_eq!(left, [("deaf", NodeState::Stopping); 3]);
    assert_eq!(root.more, 0);
}

/// When a supervisor has handled the end of a child, its picture shows both the reason and that the
/// child has no process.
#[tokio::test(start_paused = true)]
async fn a_snapshot_shows_no_child_as_running_after_its_end_was_handled() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_all().named("app").child(idle("a")).child(deaf("b"));
    let app = spec.child(idle("c")).start(&rt).await.unwrap();
    settled().await;
    let before = app.tree().await.unwrap();
    let pid = |id: &str| before.find(id).unwrap().pid.unwrap();
    rt.kill(pid("a")); // the supervisor stops c, and then waits for b
    settled().await;
    let snapshot = app.tree().await.unwrap();
    let node = |id: &str| snapshot.find(id).unwrap();
    assert_eq!(snapshot.root.busy.as_ref().unwrap().child(), Some("b"));
    assert_eq!((node("a").pid, node("c").pid), (None, None));
    assert_eq!(node("a").last_reason(), Some(&ExitReason::Killed));
    assert_eq!(node("c").last_reason(), Some(&ExitReason::Shutdown));
    assert_eq!((node("b").state, node("b").pid), (NodeState::Stopping, Some(pid("b"))));
    assert_eq!(snapshot.root.budget().unwrap().left, 2);
}

/// A child ends while its supervisor is busy and has not handled the end: the child is shown as
/// ended, not as running.
#[tokio::test(start_paused = true)]
async fn a_child_that_ended_while_its_supervisor_is_busy_is_shown_as_ended() {
    let rt = Runtime::new();
    let app = busy_below(&rt).await;
    let before = app.tree().await.unwrap();
    rt.kill(before.find("inner/a").unwrap().pid.unwrap());
    let snapshot = app.tree().await.unwrap();
    assert_eq!(snapshot.find("inner/a").unwrap().state, NodeState::Ended);
    assert!(snapshot.to_string().contains("ended"), "{snapshot}");
}

/// A busy supervisor is asked 100 times, and its mailbox holds at most 8 of the questions. It
/// handles them when it is no longer busy.
#[tokio::test(start_paused = true)]
async fn repeated_snapshots_leave_few_messages_with_a_busy_supervisor() {
    let rt = Runtime::with_mailbox_depth();
    let app = busy_below(&rt).await;
    let inner = rt.whereis("inner").unwrap();
    for _ in 0..100 {
        let snapshot = app.tree().await.unwrap();
        let inner = snapshot.find("inner").unwrap();
        assert_eq!((inner.state, inner.mailbox_depth), (NodeState::Busy, 0));
    }
    assert!(rt.info(inner).unwrap().mailbox_depth <= 8);
    let new = app.tree().await.unwrap().find("inner/new").unwrap().pid.unwrap();
    rt.set_health(new, Health::Ready);
    settled().await;
    let began = Instant::now();
    let snapshot = app.tree().await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    let node = |path: &str| snapshot.find(path).unwrap().state;
    assert_eq!((node("inner"), node("inner/new")), (NodeState::Running, NodeState::Running));
    assert_eq!(rt.info(inner).unwrap().mailbox_depth, 0);
}

/// The survey also asks a supervisor that was restarted after the survey had read the first
/// pictures.
#[tokio::test(start_paused = true)]
async fn a_snapshot_includes_a_supervisor_that_was_just_restarted() {
    let rt = Runtime::new();
    let inner = Supervisor::one_for_one().named("inner").child(idle("a"));
    let app = Supervisor::one_for_one().named("app").child(inner).start(&rt).await.unwrap();
    let old = rt.whereis("inner").unwrap();
    let ended = rt.ended(old);
    rt.kill(old);
    ended.await;
    let snapshot = app.tree().await.unwrap(); // handled after the exit
    let inner = snapshot.find("inner").unwrap();
    assert_eq!((inner.state, inner.restarts), (NodeState::Running, 1));
    assert_ne!(inner.pid, Some(old));
    assert_eq!(snapshot.find("inner/a").unwrap().state, NodeState::Running);
}

/// A server whose `init` takes a snapshot of its own tree, while its supervisor waits for the
/// `init`.
struct Curious;

impl GenServer for Curious {
    type Args = Arc<Mutex<Option<Busy>>>;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(seen: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let tree = SupervisorRef::named(&ctx.runtime(), "app").tree().await?;
        *seen.lock().unwrap() = tree.root.busy;
        Ok(Curious)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_may_take_a_snapshot_of_its_own_tree_in_its_init() {
    let rt = Runtime::new();
    let seen = Arc::default();
    let child = Curious::child(Arc::clone(&seen)).with_id("curious");
    Supervisor::one_for_one().named("app").child(child).start(&rt).await.unwrap();
    let seen = seen.lock().unwrap().clone().unwrap();
    assert_eq!(seen.to_string(), "busy starting curious for 250ms");
}

/// An error whose destructor takes a snapshot of the tree that drops it.
#[derive(Debug, Clone)]
struct Looks(SupervisorRef, Arc<()>);

impl std::fmt::Display for Looks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it looks")
    }
}

impl std::error::Error for Looks {}

impl Drop for Looks {
    fn drop(&mut self) {
        drop(self.0.tree().now_or_never());
    }
}

/// The published state of a supervisor holds the exit reasons of its children, and is dropped with
/// the supervisor. No reason is dropped under the lock of a picture: a destructor that takes a
/// snapshot would wait for that lock for ever.
#[tokio::test(start_paused = true)]
async fn the_published_state_of_a_supervisor_is_dropped_with_it() {
    let rt = Runtime::new();
    let alive = Arc::new(());
    let (seen, looks): (Weak<()>, _) =
        (Arc::downgrade(&alive), Looks(SupervisorRef::named(&rt, "app"), alive));
    let fails = ChildSpec::task("fails", move |_| {
        let looks = Looks(looks.0.clone(), looks.1.clone());
        async move { Err(ExitReason::from(looks)) }
    });
    let spec = Supervisor::one_for_one().named("app").intensity(40, SECOND);
    let app = spec.child(fails).start(&rt).await.unwrap();
    assert!(app.ended().await.crash().is_some());
    assert_eq!(app.tree().await.unwrap_err(), CallError::NoProc);
    drop(app); // the handle holds the exit reason of the supervisor
    settled().await;
    assert!(seen.upgrade().is_none());
}
