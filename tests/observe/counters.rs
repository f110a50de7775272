//! Counters of a runtime: exact, also in a storm.

use crate::support;

use std::time::Duration;

use regrow::{
    CallError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, ExitReason, GenServer, Reply,
    Result, Runtime, ServerContext, Supervisor,
};
use support::injected_panics::{BOOM, hush_injected_panics};
use support::{crash, settled};

const SECOND: Duration = Duration::from_secs(1);

/// The number of crashes of the storm.
const CRASHES: u32 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_exact_after_a_storm_of_ten_thousand_crashes() {
    let rt = Runtime::new();
    let failing = |id: &'static str| {
        let body = move |ctx: regrow::TaskContext| async move {
            match ctx.start_cause().restarts() < CRASHES / 4 {
                true if id == "panics" => panic!("{BOOM}, as planned"),
                true => Err(crash("as planned")),
                false => std::future::pending().await,
            }
        };
        ChildSpec::task(id, body)
    };
    let storm = |id: &str| {
        Supervisor::one_for_one()
            .with_id(id)
            .unlimited_restarts()
            .child(failing("panics"))
            .child(failing("fails"))
    };
    hush_injected_panics();
    let app = Supervisor::one_for_one().named("app").child(storm("left")).child(storm("right"));
    let _app = app.start(&rt).await.unwrap();
    let mut last = rt.counters();
    // Three supervisors and four children, and one start for each crash. A restart is counted before
    // its start.
    while rt.counters().spawned < u64::from(CRASHES) + 7 {
        let now = rt.counters();
        assert!(now.ended.panic >= last.ended.panic && now.spawned >= last.spawned);
        last = now;
        tokio::task::yield_now().await;
    }
    let counters = rt.counters();
    let crashes = u64::from(CRASHES);
    assert_eq!((counters.ended.panic, counters.ended.error), (crashes / 2, crashes / 2));
    assert_eq!(counters.ended.total(), crashes);
    assert_eq!(counters.spawned - counters.ended.total(), rt.process_count() as u64);
    let restarts: Vec<_> =
        counters.children.iter().map(|c| (c.path.as_str(), c.restarts)).collect();
    let each = crashes / 4;
    let paths = ["app/left/fails", "app/left/panics", "app/right/fails", "app/right/panics"];
    assert_eq!(restarts, paths.map(|path| (path, each)));
}

#[tokio::test(start_paused = true)]
async fn ends_are_counted_by_their_class() {
    let rt = Runtime::new();
    let ends = [
        ExitReason::Normal,
        ExitReason::Shutdown,
        ExitReason::shutdown_with("drained"),
        ExitReason::Killed,
        ExitReason::NoProc,
        crash("no luck"),
    ];
    for reason in ends {
        rt.spawn_fallible(|_| async { Err(reason) }).join().await;
    }
    let ended = rt.counters().ended;
    assert_eq!((ended.normal, ended.shutdown, ended.killed), (1, 2, 1));
    assert_eq!((ended.no_process, ended.error, ended.panic, ended.total()), (1, 1, 0, 6));
}

/// A server that answers no call.
struct Silent;

impl GenServer for Silent {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Silent)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        std::future::pending::<()>().await;
        drop(reply);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn time_outs_and_lost_messages_are_counted() {
    let rt = Runtime::with_mailbox_capacity(1);
    let silent = Silent::start(&rt, ()).await.unwrap();
    assert_eq!(silent.call_timeout(|reply| reply, SECOND).await, Err(CallError::Timeout));
    assert!(silent.cast(()));
    assert!(!silent.cast(()));
    let counters = rt.counters();
    assert_eq!((counters.timed_out, counters.refused, counters.dropped), (1, 1, 0));
    assert_eq!(rt.dropped_messages(), 1);
}

#[tokio::test(start_paused = true)]
async fn dynamic_children_are_counted_at_the_path_of_their_supervisor() {
    let rt = Runtime::new();
    let rooms = DynamicSupervisor::new().named("rooms").intensity(100, SECOND);
    let app = Supervisor::one_for_one().named("app").child(rooms).start(&rt).await.unwrap();
    let rooms = DynamicSupervisorRef::named(&rt, "rooms");
    let idle = |id: &str| ChildSpec::task(id, |_| std::future::pending()).named(id);
    for id in ["one", "two"] {
        rooms.start_child(idle(id)).await.unwrap();
        rt.kill(rt.whereis(id).unwrap());
        settled().await;
    }
    // Also the children of a supervisor below the dynamic one.
    let room = Supervisor::one_for_one().with_id("room").child(idle("chat"));
    rooms.start_child(room).await.unwrap();
    rt.kill(rt.whereis("chat").unwrap());
    settled().await;
    let children = rt.counters().children;
    assert_eq!(children.len(), 1, "{children:?}");
    assert_eq!((children[0].path.as_str(), children[0].restarts), ("app/rooms/*", 3));
    app.stop().await.unwrap();
}
