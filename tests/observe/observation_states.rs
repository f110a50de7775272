//! The changes of a child until it runs, stops, or is given up: each state that a picture shows is also
//! reported as a change.

use crate::support;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    ChangeKind, ChildSpec, DynamicSupervisor, Exhausted, ExitReason, GenServer, Health,
    Observation, Observed, PictureState, Restart, Result, Runtime, ServerContext, StartContext,
    StartError, Started, Supervisor,
};
use support::{crash, settled};

const SECOND: Duration = Duration::from_secs(1);

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

/// Returns the changes that are there now.
fn changes(observation: &mut Observation) -> Vec<regrow::Change> {
    let mut all = Vec::new();
    while let Some(Some(observed)) = observation.next().now_or_never() {
        let Observed::Change(change) = observed else { panic!("{observed:?}") };
        all.push(change);
    }
    all
}

fn kinds(observation: &mut Observation) -> Vec<&'static str> {
    changes(observation).iter().map(|change| change.kind.name()).collect()
}

/// A server that is not needed.
struct Unneeded;

impl GenServer for Unneeded {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        Err(ctx.ignore())
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_stops_is_reported_as_stopped() {
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().named("app").child(idle("a")).start(&rt).await.unwrap();
    let mut observation = app.observe().unwrap();
    observation.next().await;
    app.terminate_child("a").await.unwrap();
    assert_eq!(kinds(&mut observation), ["stopping", "ended", "stopped"]);
    app.terminate_child("a").await.unwrap();
    assert_eq!(kinds(&mut observation), [""; 0], "it has stopped already");

    let once = ChildSpec::task("once", |mut ctx| async move {
        ctx.recv().await;
        Ok::<(), ExitReason>(())
    });
    app.start_child(once.named("once").restart(Restart::Transient)).await.unwrap();
    assert_eq!(kinds(&mut observation), ["added", "starting", "started"]);
    rt.send_named("once", Vec::new());
    settled().await;
    assert_eq!(kinds(&mut observation), ["ended", "stopped"]);

    assert_eq!(app.start_child(Unneeded::child(())).await, Err(StartError::Ignored));
    assert_eq!(kinds(&mut observation), ["added", "starting", "stopped"]);
    let picture = observation.picture().await;
    let is_stopped = |node: &&regrow::PictureNode| node.state == PictureState::Stopped;
    assert_eq!(picture.nodes.iter().filter(is_stopped).count(), 3);
}

/// A child whose second start fails.
struct Flaky(Arc<AtomicU32>);

#[async_trait::async_trait]
impl regrow::StartChild for Flaky {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            1 => Err(StartError::Failed(ExitReason::crashed("no luck"))),
            _ => ctx.task(|_| pending()).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_after_a_failed_one_names_the_last_process() {
    let rt = Runtime::new();
    let flaky = || ChildSpec::new("flaky", Flaky(Arc::default()));
    let fixed = Supervisor::one_for_one().named("fixed").child(flaky()).start(&rt).await.unwrap();
    let dynamic = DynamicSupervisor::new().named("dynamic").start(&rt).await.unwrap();
    let of_fixed = fixed.which_child("flaky").await.unwrap().pid().unwrap();
    let of_dynamic = dynamic.start_child(flaky()).await.unwrap();
    for (pid, mut observation) in
        [(of_fixed, fixed.observe().unwrap()), (of_dynamic, dynamic.observe().unwrap())]
    {
        observation.next().await;
        rt.kill(pid);
        settled().await;
        let all = changes(&mut observation);
        assert!(all.iter().any(|change| change.kind.name() == "start_failed"), "{all:?}");
        let ChangeKind::Started { previous, .. } = &all.last().unwrap().kind else { panic!() };
        assert_eq!(*previous, Some(pid));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_child_that_reaches_its_limit_is_reported_like_a_declared_one() {
    let rt = Runtime::new();
    for (exhausted, last) in [(Exhausted::GiveUp, "given_up"), (Exhausted::Forget, "removed")] {
        let child = || {
            let body = |mut ctx: regrow::TaskContext| async move {
                ctx.recv().await;
                Err::<(), _>(crash("no luck"))
            };
            ChildSpec::task("a", body).restart_budget(0, SECOND, exhausted)
        };
        let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
        let pid = dynamic.start_child(child()).await.unwrap();
        let mut observation = dynamic.observe().unwrap();
        observation.next().await;
        rt.send(pid, Vec::new());
        settled().await;
        assert_eq!(kinds(&mut observation), ["ended", "limit_reached", last]);
        let fixed = Supervisor::one_for_one().child(child()).start(&rt).await.unwrap();
        let mut of_fixed = fixed.observe().unwrap();
        of_fixed.next().await;
        rt.send(fixed.which_child("a").await.unwrap().pid().unwrap(), Vec::new());
        settled().await;
        let kinds = kinds(&mut of_fixed);
        assert_eq!((kinds[0], kinds[1], *kinds.last().unwrap()), ("ended", "limit_reached", last));
        if last == "removed" {
            let ended = observation.picture().await.nodes.pop().unwrap();
            assert_eq!((ended.id.as_str(), ended.state), ("a", PictureState::Ended));
            assert_eq!(ended.history.last().unwrap().incarnation.reason, crash("no luck"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_equal_health_is_no_change() {
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().named("app").child(idle("a")).start(&rt).await.unwrap();
    let mut observation = app.observe().unwrap();
    observation.next().await;
    let pid = rt.whereis("a").unwrap();
    for health in [Health::Ready, Health::Starting, Health::Starting, Health::Ready] {
        assert!(rt.set_health(pid, health));
    }
    assert_eq!(kinds(&mut observation), ["health", "health"]);
}
