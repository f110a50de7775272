//! Children that must report that they are well.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    ChildSpec, CrashKind, DynamicSupervisor, ExitReason, GenServer, Health, Heartbeat,
    HeartbeatMissed, LifecycleEvent, Name, Pid, Restart, Result, Runtime, ServerContext, Shutdown,
    StartError, Supervisor, SupervisorRef, TaskContext,
};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, sleep};

use crate::support::{self, log::Log};
use support::settled;

fn sec(time: u64) -> Duration {
    Duration::from_secs(time)
}

fn missed(reason: &ExitReason) -> Option<&HeartbeatMissed> {
    reason.crash()?.downcast_ref()
}

/// A server that reports a heartbeat with each tick.
struct Worker;

enum Cast {
    Tick,
    /// A handler that awaits for ever.
    Hang,
}

impl GenServer for Worker {
    type Args = ();
    type Call = std::convert::Infallible;
    type Cast = Cast;

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        ctx.cast_every(sec(3), MissedTickBehavior::Skip, || Cast::Tick);
        Ok(Worker)
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Tick => ctx.heartbeat(),
            Cast::Hang => std::future::pending().await,
        }
        Ok(())
    }
}

const WORKER: Name<Worker> = Name::new("worker");

/// Unresponsive after 10 s, restarted after 30 s.
fn heartbeat() -> Heartbeat {
    Heartbeat::every(sec(10)).restart_after(sec(20))
}

fn worker() -> ChildSpec {
    Worker::child(()).named(WORKER).with_id("worker").heartbeat(heartbeat())
}

async fn under(rt: &Runtime, child: ChildSpec) -> SupervisorRef {
    Supervisor::one_for_one().child(child).start(rt).await.unwrap()
}

async fn health_of(tree: &SupervisorRef) -> String {
    tree.tree().await.unwrap().health().to_string()
}

fn pid(rt: &Runtime) -> Pid {
    rt.whereis("worker").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_unready_and_is_then_restarted() {
    let (log, rt) = (Log::listen(), Runtime::new());
    let tree = under(&rt, worker()).await;
    sleep(sec(60)).await;
    assert_eq!(health_of(&tree).await, "ready", "its ticks are heartbeats");

    let (start, first) = (Instant::now(), pid(&rt));
    rt.server(WORKER).cast(Cast::Hang); // the last tick came at 60 s
    sleep(sec(9)).await;
    assert_eq!(health_of(&tree).await, "ready");
    sleep(sec(2)).await;
    assert_eq!(health_of(&tree).await, "worker is unresponsive");
    assert!(!tree.tree().await.unwrap().health().is_serving());
    assert_eq!(rt.health(first), Some(Health::Unresponsive));

    let reason = rt.ended(first).await;
    assert_eq!(start.elapsed(), sec(30));
    let missed = missed(&reason).expect("a crash with that error");
    assert_eq!((missed.every, missed.silent), (sec(10), sec(30)));
    assert_eq!(reason.crash().unwrap().kind(), CrashKind::Error);
    assert_eq!(
        reason.to_string(),
        "error: no heartbeat for 30.0s, and one is due every 10s: find out what the child waits \
         for, or make it call `heartbeat` more often"
    );
    tree.count_children().await.unwrap(); // answered after the restart
    assert_ne!(pid(&rt), first);
    assert_eq!(health_of(&tree).await, "ready");
    let warnings = log.take().into_iter().filter(|line| line.head().contains("heartbeat"));
    let warnings: Vec<_> =
        warnings.map(|line| format!("{} {}", line.head(), line.field("child"))).collect();
    assert_eq!(
        warnings,
        [
            "WARN a child is late with its heartbeat worker",
            "WARN a child without a heartbeat is ended worker",
        ]
    );
    sleep(sec(60)).await;
    assert_eq!(health_of(&tree).await, "ready");
}

#[tokio::test(start_paused = true)]
async fn a_late_child_that_reports_again_is_ready_and_is_not_ended() {
    let (rt, go) = (Runtime::new(), Arc::new(Notify::new()));
    let child = ChildSpec::task("worker", {
        let go = go.clone();
        move |ctx: TaskContext| async move {
            loop {
                go.notified().await;
                ctx.heartbeat();
            }
        }
    });
    let tree = under(&rt, child.named("worker").heartbeat(heartbeat())).await;
    for _ in 0..3 {
        sleep(sec(29)).await;
        assert_eq!(health_of(&tree).await, "worker is unresponsive");
        go.notify_one();
        settled().await;
        assert_eq!(health_of(&tree).await, "ready");
    }
    let first = pid(&rt);
    sleep(sec(29)).await;
    assert_eq!(rt.health(first), Some(Health::Unresponsive), "the time counts from the last one");
    assert!(missed(&rt.ended(first).await).is_some());
}

#[tokio::test(start_paused = true)]
async fn without_restart_after_a_child_stays_late_and_lives() {
    let rt = Runtime::new();
    let idle = ChildSpec::task("worker", |_| std::future::pending()).named("worker");
    let tree = under(&rt, idle.heartbeat(Heartbeat::every(sec(10)))).await;
    let first = pid(&rt);
    sleep(sec(3_600)).await;
    assert_eq!((health_of(&tree).await.as_str(), pid(&rt)), ("worker is unresponsive", first));
    assert!(rt.heartbeat(first), "any process can report for the child");
    assert_eq!(health_of(&tree).await, "ready");
    sleep(sec(11)).await;
    assert_eq!(health_of(&tree).await, "worker is unresponsive");
}

/// The worse of the two healths counts, and the child's own health is there again after a
/// heartbeat.
#[tokio::test(start_paused = true)]
async fn a_late_child_keeps_the_health_that_it_has_reported() {
    let rt = Runtime::new();
    let idle = ChildSpec::task("worker", |_| std::future::pending()).named("worker");
    let _tree = under(&rt, idle.heartbeat(Heartbeat::every(sec(10)))).await;
    let own = [
        (Health::Degraded("slow".into()), Health::Unresponsive),
        (Health::Stopping, Health::Stopping),
    ];
    for (reported, late) in own {
        rt.set_health(pid(&rt), reported.clone());
        sleep(sec(11)).await;
        assert_eq!(rt.health(pid(&rt)), Some(late));
        rt.heartbeat(pid(&rt));
        assert_eq!(rt.health(pid(&rt)), Some(reported));
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_server_needs_no_heartbeat() {
    let rt = Runtime::new();
    let tree = under(&rt, worker()).await;
    let (server, first) = (rt.server(WORKER), pid(&rt));
    server.suspend().await.unwrap();
    sleep(sec(3_600)).await;
    assert_eq!((health_of(&tree).await.as_str(), pid(&rt)), ("ready", first));
    server.resume().await.unwrap();
    server.cast(Cast::Hang);
    settled().await;
    assert!(missed(&rt.ended(first).await).is_some());
}

/// The child has 60 s to stop, and reports nothing in that time.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_being_stopped_needs_no_heartbeat() {
    let rt = Runtime::new();
    let slow = ChildSpec::task("worker", |mut ctx: TaskContext| async move {
        ctx.shutdown().await;
        sleep(sec(50)).await;
        Ok(())
    });
    let slow = slow.named("worker").heartbeat(heartbeat()).shutdown(Shutdown::Timeout(sec(60)));
    let tree = under(&rt, slow).await;
    settled().await;
    let (start, ended) = (Instant::now(), rt.ended(pid(&rt)));
    tree.stop().await.unwrap();
    assert_eq!((ended.await, start.elapsed()), (ExitReason::Shutdown, sec(50)));
}

/// A server whose init takes a second and whose `terminate` takes 40 s.
struct Flushing;

impl GenServer for Flushing {
    type Args = ();
    type Call = std::convert::Infallible;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        sleep(sec(1)).await;
        Ok(Flushing)
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::Normal)
    }

    async fn terminate(&mut self, _: &ExitReason) {
        sleep(sec(40)).await;
    }
}

fn flushing() -> ChildSpec {
    let child = Flushing::child(()).named("worker").with_id("worker");
    child.restart(Restart::Transient).heartbeat(heartbeat())
}

/// The server ends by its own decision or by a request, on time or when it is already late.
#[tokio::test(start_paused = true)]
async fn a_server_in_terminate_needs_no_heartbeat() {
    for (by_request, silent) in [(false, 5), (true, 5), (false, 15), (true, 15)] {
        let rt = Runtime::new();
        let tree = under(&rt, flushing()).await;
        sleep(sec(silent)).await;
        let (start, ended) = (Instant::now(), rt.ended(pid(&rt)));
        let server = rt.server::<Flushing>("worker");
        if by_request {
            drop(tokio::spawn(async move { server.stop(ExitReason::Normal).await }));
        } else {
            assert!(server.cast(()));
        }
        sleep(sec(20)).await;
        assert_eq!(health_of(&tree).await, "ready");
        assert_eq!((ended.await, start.elapsed()), (ExitReason::Normal, sec(40)));
        sleep(sec(60)).await;
        assert_eq!(tree.count_children().await.unwrap().active, 0, "it is not restarted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_suspended_at_the_end_of_its_start_needs_no_heartbeat() {
    let rt = Runtime::new();
    let server = rt.server::<Flushing>("worker");
    let suspended = tokio::spawn({
        let server = server.clone();
        async move {
            settled().await; // now the server runs its init
            server.suspend().await.unwrap();
        }
    });
    let tree = under(&rt, flushing()).await;
    suspended.await.unwrap();
    let first = pid(&rt);
    sleep(sec(60)).await;
    assert_eq!((health_of(&tree).await.as_str(), pid(&rt)), ("ready", first));
    server.resume().await.unwrap();
    assert!(missed(&rt.ended(first).await).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_restart_type_decides_what_follows() {
    for (restart, children) in
        [(Restart::Permanent, 1), (Restart::Transient, 1), (Restart::Temporary, 0)]
    {
        let rt = Runtime::new();
        let children_of = DynamicSupervisor::new().start(&rt).await.unwrap();
        let idle = ChildSpec::task("worker", |_| std::future::pending()).restart(restart);
        let first = children_of.start_child(idle.heartbeat(heartbeat())).await.unwrap();
        assert!(missed(&rt.ended(first).await).is_some());
        settled().await;
        assert_eq!(children_of.count_children().await.unwrap().active, children);
    }
}

/// The child ends by itself in each of its three states: on time, late, and due to be ended.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_the_watch_of_a_child_that_has_ended() {
    for after in [sec(5), sec(15), sec(30)] {
        let rt = Runtime::new();
        let child = ChildSpec::task("worker", move |_| async move {
            sleep(after).await;
            Ok(())
        });
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let child = child.restart(Restart::Transient).named("worker").heartbeat(heartbeat());
        let tree = under(&rt, child).await;
        rt.ended(pid(&rt)).await;
        tree.stop().await.unwrap();
        settled().await;
        assert_eq!(tasks(), before);
        assert_eq!(rt.process_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_is_no_child_that_reports_heartbeats() {
    let rt = Runtime::new();
    let inner = ChildSpec::from(Supervisor::one_for_one().named("inner")).heartbeat(heartbeat());
    let error = Supervisor::one_for_one().child(inner).start(&rt).await.unwrap_err();
    let StartError::Invalid(text) = error else { panic!("{error}") };
    assert!(text.starts_with("child \"inner\" must report heartbeats, and is a supervisor"));
    assert_eq!(rt.process_count(), 0);
}

/// A server without ticks: only `resume` counts as a heartbeat.
struct Silent;

impl GenServer for Silent {
    type Args = ();
    type Call = std::convert::Infallible;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Silent)
    }
}

/// One event each time that the child becomes late.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_late_is_an_event() {
    let rt = Runtime::new();
    let child = Silent::child(()).named("worker").with_id("worker");
    let tree = under(&rt, child.heartbeat(Heartbeat::every(sec(10)))).await;
    let mut events = rt.events();
    let late = LifecycleEvent::Unresponsive {
        supervisor: tree.pid().unwrap(),
        child: "worker".into(),
        pid: pid(&rt),
    };
    for _ in 0..2 {
        sleep(sec(45)).await;
        assert_eq!(events.next().now_or_never(), Some(Some(late.clone())));
        assert_eq!(events.next().now_or_never(), None);
        assert!(rt.heartbeat(pid(&rt)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_resumed_has_a_whole_interval_again() {
    let rt = Runtime::new();
    let child = Silent::child(()).named("worker").with_id("worker").heartbeat(heartbeat());
    let tree = under(&rt, child).await;
    let server = rt.server::<Silent>("worker");
    server.suspend().await.unwrap();
    sleep(sec(55)).await;
    server.resume().await.unwrap();
    sleep(sec(9)).await;
    assert_eq!(health_of(&tree).await, "ready");
    sleep(sec(2)).await;
    assert_eq!(health_of(&tree).await, "worker is unresponsive");
}
