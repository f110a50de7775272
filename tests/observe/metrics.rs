//! The metrics of a runtime: counters that are exact, gauges that show what is there.

use crate::support;

use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use metrics::{LocalRecorderGuard, set_default_local_recorder};
use regrow::metrics::{Metrics, export};
use regrow::{
    ChildSpec, ExitClass, ExitReason, FailurePolicy, GenServer, Result, Runtime, ServerContext,
    Supervisor,
};
use support::injected_panics::{BOOM, hush_injected_panics};
use support::log::Log;
use support::metric_values::MetricValues;
use support::{killed, settled};

const SECOND: Duration = Duration::from_secs(1);

/// The number of crashes of the storm.
const CRASHES: u32 = 1_000;

/// Installs a recorder for this thread.
fn recorder() -> (&'static MetricValues, LocalRecorderGuard<'static>) {
    let recorder: &MetricValues = Box::leak(Box::default());
    (recorder, set_default_local_recorder(recorder))
}

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

/// Asserts that the recorder has the counters of the runtime.
fn assert_exact(values: &MetricValues, rt: &Runtime) {
    let truth = rt.counters();
    let total = |name: &str| values.counter(name, &[]).unwrap();
    assert_eq!(total("regrow_processes_spawned_total"), truth.spawned);
    assert_eq!(total("regrow_messages_refused_total"), truth.refused);
    assert_eq!(total("regrow_messages_dropped_total"), truth.dropped);
    assert_eq!(total("regrow_messages_unhandled_total"), truth.unhandled);
    assert_eq!(total("regrow_calls_timed_out_total"), truth.timed_out);
    assert_eq!(total("regrow_resumed_failures_total"), truth.resumed);
    let ended = |class: ExitClass| {
        let label = [("class", &*class.to_string())];
        values.counter("regrow_processes_ended_total", &label).unwrap()
    };
    assert_eq!(ended(ExitClass::Normal), truth.ended.normal);
    assert_eq!(ended(ExitClass::Shutdown), truth.ended.shutdown);
    assert_eq!(ended(ExitClass::Error), truth.ended.error);
    assert_eq!(ended(ExitClass::Panic), truth.ended.panic);
    assert_eq!(ended(ExitClass::Killed), truth.ended.killed);
    assert_eq!(ended(ExitClass::NoProcess), truth.ended.no_process);
    for child in &truth.children {
        let label = [("path", child.path.as_str())];
        assert_eq!(values.counter("regrow_restarts_total", &label), Some(child.restarts));
        assert_eq!(values.counter("regrow_give_ups_total", &label), Some(child.give_ups));
    }
}

#[tokio::test(start_paused = true)]
async fn counters_are_exact_after_a_storm_in_which_the_exporter_is_killed() {
    let (values, _installed) = recorder();
    hush_injected_panics();
    let rt = Runtime::new();
    let exporter = Metrics::new().every(SECOND).exporter(&rt);
    let failing = ChildSpec::task("failing", move |ctx| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(ctx.start_cause().restarts() >= CRASHES, "{BOOM}, as planned");
        pending().await
    });
    let storm = Supervisor::one_for_one().with_id("storm").unlimited_restarts().child(failing);
    let app = Supervisor::one_for_one()
        .named("app")
        .unlimited_restarts()
        .child(exporter.child().named("metrics"))
        .child(storm);
    let app = app.start(&rt).await.unwrap();
    let mut last = 0;
    while rt.counters().ended.panic < u64::from(CRASHES) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let spawned = values.counter("regrow_processes_spawned_total", &[]).unwrap();
        assert!(spawned >= last, "a counter decreased");
        last = spawned;
        killed(&rt, rt.whereis("metrics").unwrap()).await;
    }
    settled().await;
    exporter.collect().await;
    assert_exact(values, &rt);
    let label = [("path", "app/storm/failing")];
    let restarts = values.counter("regrow_restarts_total", &label);
    assert_eq!(restarts, Some(u64::from(CRASHES)));
    app.stop().await.unwrap();
    exporter.collect().await;
    assert_exact(values, &rt);
    assert_eq!(values.gauge("regrow_processes", &[]), Some(0.0));
}

/// Each message is a failure.
struct Failing;

impl GenServer for Failing {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Failing)
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::crashed("as asked"))
    }
}

/// The budget allows two failures; the third one is a restart.
#[tokio::test(start_paused = true)]
async fn a_failure_after_which_a_server_goes_on_is_counted_and_is_no_restart() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let exporter = Metrics::new().exporter(&rt);
    let child = Failing::child(()).with_id("failing").named("failing");
    let child = child.on_failure(|_| FailurePolicy::Resume).resume_budget(2, SECOND);
    let app = Supervisor::one_for_one().named("app").child(child).start(&rt).await.unwrap();
    let total = || values.counter("regrow_resumed_failures_total", &[]);
    exporter.collect().await;
    assert_eq!(total(), Some(0));
    for (resumed, restarts) in [(1, 0), (2, 0), (2, 1)] {
        rt.server::<Failing>("failing").cast(());
        settled().await;
        exporter.collect().await;
        assert_eq!(total(), Some(resumed));
        let label = [("path", "app/failing")];
        assert_eq!(values.counter("regrow_restarts_total", &label), Some(restarts));
    }
    assert_exact(values, &rt);
    app.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_write_of_the_first_child_has_the_ends_of_all_others() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().child(export()).child(idle("one")).child(idle("two"));
    let app = app.start(&rt).await.unwrap();
    settled().await;
    assert_eq!(values.counter("regrow_processes_spawned_total", &[]), Some(4));
    let shutdowns = || values.counter("regrow_processes_ended_total", &[("class", "shutdown")]);
    assert_eq!(shutdowns(), Some(0));
    app.stop().await.unwrap();
    assert_eq!(shutdowns(), Some(2), "not its own end, and not that of its supervisor");
}

#[tokio::test(start_paused = true)]
async fn metrics_are_written_in_each_interval() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().child(Metrics::new().every(SECOND * 10).child());
    let _app = app.start(&rt).await.unwrap();
    settled().await;
    let _more = rt.spawn(|_| pending());
    let processes = || values.gauge("regrow_processes", &[]);
    tokio::time::sleep(SECOND * 9).await;
    assert_eq!(processes(), Some(2.0), "as at the start");
    tokio::time::sleep(SECOND).await;
    assert_eq!(processes(), Some(3.0));
}

/// The shortest interval replaces one of zero. With the longest, the first and the last write remain.
#[tokio::test(start_paused = true)]
async fn a_zero_interval_is_the_shortest_and_a_max_one_never_passes() {
    for (every, is_written) in [(Duration::ZERO, true), (Duration::MAX, false)] {
        let (values, _installed) = recorder();
        let rt = Runtime::new();
        let app = Supervisor::one_for_one().child(Metrics::new().every(every).child());
        let app = app.start(&rt).await.unwrap();
        tokio::time::sleep(SECOND).await;
        let spawned = || values.counter("regrow_processes_spawned_total", &[]);
        let before = spawned().unwrap();
        app.start_child(idle("late")).await.unwrap();
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(spawned().unwrap() > before, is_written, "{every:?}");
        app.stop().await.unwrap();
        assert!(spawned().unwrap() > before, "{every:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn gauges_show_mailboxes_children_and_budgets() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let exporter = Metrics::new().exporter(&rt);
    let part = Supervisor::one_for_one().named("part").intensity(4, SECOND);
    let app =
        Supervisor::one_for_one().named("app").child(part.child(idle("job")).child(idle("off")));
    let app = app.start(&rt).await.unwrap();
    for _ in 0..3 {
        assert!(rt.send_named("off", b"work".to_vec()));
    }
    killed(&rt, rt.whereis("job").unwrap()).await;
    settled().await;
    exporter.collect().await;
    let of = |name: &str, path: &str| values.gauge(name, &[("path", path)]);
    assert_eq!(of("regrow_mailbox_items", "app/part/off"), Some(3.0));
    assert_eq!(of("regrow_mailbox_items", "app/part/job"), Some(0.0));
    assert_eq!(of("regrow_mailbox_oldest_seconds", "app/part/off"), None, "not tracked");
    assert_eq!(of("regrow_children", "app/part"), Some(2.0));
    assert_eq!(of("regrow_children", "app"), Some(1.0));
    assert_eq!(of("regrow_children", "app/part/job"), None, "a worker");
    assert_eq!(of("regrow_restart_budget", "app/part"), Some(4.0));
    assert_eq!(of("regrow_restart_budget_used", "app/part"), Some(1.0));
    assert_eq!(of("regrow_restart_budget", "app"), Some(3.0));
    // A series from zero on, so that a rate includes the first restart.
    let restarts = |path| values.counter("regrow_restarts_total", &[("path", path)]);
    assert_eq!((restarts("app/part/job"), restarts("app/part/off")), (Some(1), Some(0)));
    assert_eq!(values.gauge("regrow_processes", &[]), Some(4.0));

    // What is gone is shown as nothing, and uses up no budget.
    app.stop().await.unwrap();
    exporter.collect().await;
    assert_eq!(of("regrow_mailbox_items", "app/part/off"), Some(0.0));
    assert_eq!(of("regrow_children", "app/part"), Some(0.0));
    assert_eq!(of("regrow_restart_budget_used", "app/part"), Some(0.0));
    assert_eq!(of("regrow_restart_budget", "app/part"), Some(4.0));
}

#[tokio::test(start_paused = true)]
async fn two_runtimes_with_labels_have_metrics_of_their_own() {
    let (values, _installed) = recorder();
    let (one, two) = (Runtime::new(), Runtime::new());
    let _process = two.spawn(|_| pending());
    Metrics::new().label("runtime", "one").exporter(&one).collect().await;
    let replaced = Metrics::new().label("runtime", "two").label("runtime", "second");
    replaced.exporter(&two).collect().await;
    let spawned =
        |runtime: &str| values.counter("regrow_processes_spawned_total", &[("runtime", runtime)]);
    assert_eq!((spawned("one"), spawned("second"), spawned("two")), (Some(0), Some(1), None));
    assert!(values.all().iter().all(|(_, (_, labels))| labels.contains_key("runtime")));
}

#[test]
#[should_panic(expected = "the label `path` belongs to the metrics")]
fn a_label_of_the_metrics_themselves_is_refused() {
    let _ = Metrics::new().label("path", "mine");
}

#[tokio::test(start_paused = true)]
async fn an_exporter_of_another_runtime_does_not_start() {
    let (one, two) = (Runtime::new(), Runtime::new());
    let spec = Metrics::new().exporter(&one).child();
    let error = Supervisor::one_for_one().child(spec).start(&two).await.unwrap_err();
    assert!(error.to_string().contains("of another runtime"), "{error}");
    // The child of settings alone exports the runtime that it is started in.
    let (values, _installed) = recorder();
    let spec = export();
    let tree = |spec: &ChildSpec| Supervisor::one_for_one().child(spec.clone());
    let _first = tree(&spec).start(&one).await.unwrap();
    let _others: Vec<_> = (0..5).map(|_| two.spawn(|_| pending())).collect();
    let _second = tree(&spec).start(&two).await.unwrap();
    settled().await;
    assert_eq!(values.gauge("regrow_processes", &[]), Some(7.0));
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_panics_is_logged_and_ends_nothing() {
    let (values, _installed) = recorder();
    let log = Log::listen();
    hush_injected_panics();
    let rt = Runtime::new();
    values.panic_at_writes(true);
    let app = Supervisor::one_for_one().child(Metrics::new().every(SECOND).child());
    let app = app.start(&rt).await.unwrap();
    settled().await;
    let lines = log.take();
    let warns = lines.iter().filter(|line| line.target == "regrow::metrics");
    let warns: Vec<_> = warns.map(|line| (line.head(), line.field("panic").to_owned())).collect();
    let head = "WARN the recorder of the metrics panicked".to_owned();
    assert_eq!(warns, [(head, "boom: no disk".to_owned())]);
    values.panic_at_writes(false);
    tokio::time::sleep(SECOND).await;
    assert_eq!(values.counter("regrow_processes_spawned_total", &[]), Some(2), "no restart");
    app.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_exporter_keeps_no_runtime_alive() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let exporter = Metrics::new().track_handlers().exporter(&rt);
    exporter.collect().await;
    drop(rt);
    let before = values.all().len();
    exporter.collect().await;
    assert_eq!(values.all().len(), before);
}

/// A call that is no longer polled holds no other up. When it goes on, it writes no older gauges.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_kept_unfinished_delays_no_other_and_writes_nothing_old() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let exporter = Metrics::new().exporter(&rt);
    // More than a task visits in one go.
    let idle: Vec<_> = (0..2_000).map(|_| support::idle(&rt)).collect();
    let mut kept = Box::pin(exporter.collect());
    assert!(kept.as_mut().now_or_never().is_none());
    rt.kill(idle[0]);
    settled().await;
    exporter.collect().await;
    assert_eq!(values.gauge("regrow_processes", &[]), Some(1_999.0));
    rt.kill(idle[1]);
    settled().await;
    kept.await;
    assert_eq!(values.gauge("regrow_processes", &[]), Some(1_999.0), "the older call has written");
    exporter.collect().await;
    assert_eq!(values.gauge("regrow_processes", &[]), Some(1_998.0));
}
