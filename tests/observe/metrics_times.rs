//! The histograms of handlers, and the age of mailboxes.

use crate::support;

use std::time::Duration;

use metrics::{LocalRecorderGuard, set_default_local_recorder};
use regrow::metrics::Metrics;
use regrow::{
    DynamicSupervisor, DynamicSupervisorRef, GenServer, Reply, Result, Runtime, ServerContext,
    Supervisor,
};
use support::metric_values::MetricValues;
use support::{crash, settled};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);
const HANDLING: &str = "regrow_handling_seconds";
const WAITING: &str = "regrow_waiting_seconds";

/// Installs a recorder for this thread.
fn recorder() -> (&'static MetricValues, LocalRecorderGuard<'static>) {
    let recorder: &MetricValues = Box::leak(Box::default());
    (recorder, set_default_local_recorder(recorder))
}

/// Sleeps for as many seconds as a cast says, and fails after 9.
struct Sleeper;

impl GenServer for Sleeper {
    type Args = ();
    type Call = Reply<()>;
    type Cast = u64;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        sleep(SECOND * 100).await;
        Ok(Sleeper)
    }

    async fn handle_call(&mut self, reply: Reply<()>, ctx: &mut ServerContext<Self>) -> Result {
        ctx.continue_with(2);
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, seconds: u64, _: &mut ServerContext<Self>) -> Result {
        sleep(SECOND * seconds as u32).await;
        if seconds == 9 { Err(crash("no time")) } else { Ok(()) }
    }

    async fn terminate(&mut self, _: &regrow::ExitReason) {
        sleep(SECOND * 50).await;
    }
}

fn handling(values: &MetricValues, path: &str, callback: &str) -> Vec<f64> {
    values.records(HANDLING, &[("path", path), ("callback", callback)])
}

fn waiting(values: &MetricValues, path: &str) -> Vec<f64> {
    values.records(WAITING, &[("path", path)])
}

#[tokio::test(start_paused = true)]
async fn each_item_has_its_waiting_time_and_each_handler_its_handling_time() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let exporter = Metrics::new().track_handlers().exporter(&rt);
    let sleeper = Sleeper::child(()).named("sleeper").init_timeout(SECOND * 200);
    let tree = Supervisor::one_for_one().named("app").child(sleeper).start(&rt).await.unwrap();
    let sleeper = rt.server::<Sleeper>("sleeper");
    for seconds in [3, 4] {
        sleeper.cast(seconds);
    }
    sleep(SECOND).await;
    sleeper.cast(0);
    exporter.collect().await;
    let oldest = |path: &str| values.gauge("regrow_mailbox_oldest_seconds", &[("path", path)]);
    assert_eq!((oldest("app/Sleeper"), oldest("app")), (Some(1.0), Some(0.0)));
    sleep(SECOND * 3).await;
    exporter.collect().await;
    assert_eq!(oldest("app/Sleeper"), Some(3.0), "the last cast, since its queueing");
    sleep(SECOND * 10).await;
    exporter.collect().await;
    assert_eq!(oldest("app/Sleeper"), Some(0.0));
    assert_eq!(waiting(values, "app/Sleeper"), [0.0, 3.0, 6.0]);
    assert_eq!(handling(values, "app/Sleeper", "handle_cast"), [3.0, 4.0, 0.0]);

    // A cast of the server to itself has not waited in the mailbox.
    sleeper.call(|reply| reply).await.unwrap();
    sleep(SECOND * 3).await;
    assert_eq!(waiting(values, "app/Sleeper"), [0.0, 3.0, 6.0, 0.0]);
    assert_eq!(handling(values, "app/Sleeper", "handle_call"), [0.0]);
    assert_eq!(handling(values, "app/Sleeper", "handle_cast"), [3.0, 4.0, 0.0, 2.0]);

    // A handler that fails has ended; `terminate` and `init` are no handlers. The successor has the
    // same path.
    sleeper.cast(9);
    sleep(SECOND * 200).await;
    sleeper.cast(1);
    sleep(SECOND * 2).await;
    let cast = handling(values, "app/Sleeper", "handle_cast");
    assert_eq!(cast, [3.0, 4.0, 0.0, 2.0, 9.0, 1.0]);
    let callbacks = values.label_values(HANDLING, "callback");
    assert!(!callbacks.iter().any(|callback| ["init", "terminate"].contains(&&**callback)));
    tree.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_recorded_unless_handlers_are_tracked_and_an_exporter_exists() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let sleeper = Sleeper::start(&rt, ()).await.unwrap();
    let cast = async || {
        sleeper.cast(1);
        sleep(SECOND * 2).await;
    };
    let records = || handling(values, "/none", "handle_cast").len();
    let exporter = Metrics::new().exporter(&rt);
    cast().await;
    assert_eq!(records(), 0, "not tracked");
    rt.track_handlers(true);
    cast().await;
    assert_eq!(records(), 1, "tracked from now on");
    rt.track_handlers(false);
    cast().await;
    // The server follows the switch when it waits again.
    let after_off = records();
    cast().await;
    assert_eq!(records(), after_off);

    let tracking = Metrics::new().track_handlers().exporter(&rt);
    cast().await;
    let two = records();
    assert_eq!(two, after_off + 1, "two exporters record once");
    drop(exporter);
    cast().await;
    assert_eq!(records(), two + 1, "one is left");
    drop(tracking);
    settled().await;
    cast().await;
    let none = records();
    cast().await;
    assert_eq!(records(), none, "no exporter, no tracking");
    assert_eq!(rt.info(sleeper.pid().unwrap()).unwrap().handled, None);
}

#[tokio::test(start_paused = true)]
async fn dynamic_children_record_under_one_path() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let _exporter = Metrics::new().track_handlers().exporter(&rt);
    let rooms = DynamicSupervisor::new().named("rooms").start(&rt).await.unwrap();
    for id in ["one", "two"] {
        let room = Sleeper::child(()).named(id).init_timeout(SECOND * 200);
        DynamicSupervisorRef::named(&rt, "rooms").start_child(room).await.unwrap();
        rt.server::<Sleeper>(id).cast(1);
    }
    sleep(SECOND * 2).await;
    assert_eq!(handling(values, "rooms/*", "handle_cast"), [1.0, 1.0]);
    assert!(!handling(values, "rooms", "handle_call").is_empty(), "a supervisor is a server, too");
    rooms.stop().await.unwrap();
}
