//! What processes report about themselves to an observation: health, slow handlers, deadlocks, and
//! their mailboxes.

use crate::support;

use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    CallError, Callback, ChangeKind, ChildSpec, GenServer, Health, Heartbeat, Name, Observation,
    Observed, Reply, Result, Runtime, ServerContext, ServerRef, Supervisor, SupervisorRef,
};
use support::settled;

const SECOND: Duration = Duration::from_secs(1);

/// A server that waits as long as a cast says, and that calls another one when a call says so.
struct Worker;

const OTHER: Name<Worker> = Name::new("other");

enum Ask {
    Nothing(Reply<()>),
    Other(Reply<std::result::Result<(), CallError>>),
}

impl GenServer for Worker {
    type Args = ();
    type Call = Ask;
    type Cast = Duration;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Worker)
    }

    async fn handle_call(&mut self, ask: Ask, ctx: &mut ServerContext<Self>) -> Result {
        match ask {
            Ask::Nothing(reply) => reply.send(()),
            Ask::Other(reply) => {
                let first: ServerRef<Worker> = ctx.runtime().server("first");
                // The other server calls this one, which waits for it.
                reply.send(first.call(Ask::Nothing).await);
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, time: Duration, ctx: &mut ServerContext<Self>) -> Result {
        tokio::time::sleep(time).await;
        if time.is_zero() {
            let other: ServerRef<Worker> = ctx.runtime().server(OTHER);
            let refused = other.call(Ask::Other).await;
            assert!(matches!(refused, Ok(Err(CallError::Deadlock { .. }))), "{refused:?}");
        }
        Ok(())
    }
}

async fn workers(rt: &Runtime) -> SupervisorRef {
    let worker = |name: &str| Worker::child(()).with_id(name).named(name);
    let spec = Supervisor::one_for_one().named("app").child(worker("first")).child(worker("other"));
    spec.start(rt).await.unwrap()
}

/// Returns the observation of a tree after its picture.
async fn after_the_picture(app: &SupervisorRef) -> Observation {
    let mut observation = app.observe().unwrap();
    assert!(matches!(observation.next().await, Some(Observed::Picture(_))));
    observation
}

async fn change(observation: &mut Observation) -> regrow::Change {
    match observation.next().await {
        Some(Observed::Change(change)) => change,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_reported_with_the_path_of_its_server() {
    let rt = Runtime::new();
    rt.warn_after(SECOND);
    let app = workers(&rt).await;
    let mut observation = after_the_picture(&app).await;
    let first: ServerRef<Worker> = rt.server("first");
    first.cast(5 * SECOND);
    let slow = change(&mut observation).await;
    assert_eq!((slow.path.as_str(), slow.pid), ("app/first", first.pid()));
    let ChangeKind::SlowHandler { callback, elapsed } = slow.kind else { panic!("{slow}") };
    assert_eq!((callback, elapsed), (Callback::HandleCast, SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_refused_deadlock_is_reported_with_its_cycle() {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    let app = workers(&rt).await;
    let mut observation = after_the_picture(&app).await;
    let first: ServerRef<Worker> = rt.server("first");
    first.cast(Duration::ZERO);
    let deadlock = change(&mut observation).await;
    let ChangeKind::Deadlock { cycle } = deadlock.kind else { panic!("{deadlock}") };
    let other = rt.whereis("other").unwrap();
    assert_eq!(cycle, [other, first.pid().unwrap(), other]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_late_with_its_heartbeat_is_reported_and_also_its_recovery() {
    let rt = Runtime::new();
    let body = |mut ctx: regrow::TaskContext| async move {
        loop {
            ctx.recv().await;
            ctx.heartbeat();
        }
    };
    let child = ChildSpec::task("job", body).named("job").heartbeat(Heartbeat::every(SECOND));
    let app = Supervisor::one_for_one().named("app").child(child).start(&rt).await.unwrap();
    let mut observation = after_the_picture(&app).await;
    let late = change(&mut observation).await;
    assert_eq!(late.kind, ChangeKind::Health { health: Health::Unresponsive });
    rt.send_named("job", Vec::new());
    let recovered = change(&mut observation).await;
    assert_eq!(
        (recovered.path.as_str(), recovered.kind),
        ("app/job", ChangeKind::Health { health: Health::Ready })
    );
}

#[tokio::test(start_paused = true)]
async fn samples_have_the_age_of_the_oldest_message_while_mailboxes_are_tracked() {
    let rt = Runtime::new();
    let app = workers(&rt).await;
    let first: ServerRef<Worker> = rt.server("first");
    let pid = first.pid().unwrap();
    let observation = app.observe().unwrap().sample_every(SECOND).track_mailboxes();
    let mut observation = observation;
    observation.next().await;
    first.cast(10 * SECOND);
    settled().await;
    first.cast(SECOND);
    let mut ages = Vec::new();
    for _ in 0..3 {
        let Some(Observed::Sample(sample)) = observation.next().await else { panic!() };
        let mailbox = &sample.processes[0].mailbox;
        assert_eq!((sample.processes[0].pid, mailbox.queued), (pid, Some(1)));
        assert_eq!(mailbox.handling.unwrap().callback, Callback::HandleCast);
        ages.push(mailbox.oldest.unwrap().as_secs_f64().round() as u64);
        assert_eq!(sample.supervisors[0].children, 2);
    }
    assert_eq!(ages, [1, 2, 3]);
    assert!(rt.info(pid).unwrap().handled.is_some());
    drop(observation);
    assert!(rt.info(pid).unwrap().handled.is_none(), "the tracking ends with the observation");
}

#[tokio::test(start_paused = true)]
async fn two_observations_that_track_do_not_turn_each_other_off() {
    let rt = Runtime::new();
    let app = workers(&rt).await;
    let pid = rt.whereis("first").unwrap();
    let one = app.observe().unwrap().track_mailboxes().track_mailboxes();
    let other = app.observe().unwrap().track_mailboxes();
    drop(one);
    assert!(rt.info(pid).unwrap().handled.is_some());
    drop(other);
    assert!(rt.info(pid).unwrap().handled.is_none());
    rt.track_handlers(true);
    drop(app.observe().unwrap().track_mailboxes());
    assert!(rt.info(pid).unwrap().handled.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_changes_of_other_trees_are_not_delivered() {
    let rt = Runtime::new();
    let idle = |id: &str| ChildSpec::task(id, |_| pending()).named(id);
    let start = |name: &str, child| Supervisor::one_for_one().named(name).child(child).start(&rt);
    let one = start("one", idle("a")).await.unwrap();
    let other = start("one more", idle("b")).await.unwrap();
    let mut observation = after_the_picture(&one).await;
    rt.kill(rt.whereis("b").unwrap());
    settled().await;
    other.stop().await.unwrap();
    assert_eq!(observation.next().now_or_never(), None);
    rt.kill(rt.whereis("a").unwrap());
    assert_eq!(change(&mut observation).await.path, "one/a");
}
