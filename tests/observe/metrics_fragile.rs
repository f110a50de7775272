//! Recorders that panic: in the destructors of their handles, and instead of making a handle.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata, Recorder,
    SharedString, Unit, set_default_local_recorder,
};
use regrow::metrics::Metrics;
use regrow::{ExitReason, GenServer, Runtime, ServerRef};
use support::injected_panics::{BOOM, hush_injected_panics};
use support::ledger::{Call, Ledger, Setup};

async fn ledger(rt: &Runtime) -> ServerRef<Ledger> {
    Ledger::start(rt, Setup::default()).await.unwrap()
}

/// A handle whose destructor panics.
struct Fragile(&'static AtomicUsize);

impl HistogramFn for Fragile {
    fn record(&self, _: f64) {}
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("{BOOM}: dropped");
    }
}

/// A recorder whose histograms are fragile, or which panics instead of making one.
struct FragileRecorder {
    dropped: &'static AtomicUsize,
    asked: &'static AtomicUsize,
    makes: bool,
}

impl Recorder for FragileRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert!(self.makes, "{BOOM}: no histogram");
        Histogram::from_arc(Arc::new(Fragile(self.dropped)))
    }
}

fn fragile(makes: bool) -> (&'static FragileRecorder, LocalRecorderGuard<'static>) {
    let number = || &*Box::leak(Box::new(AtomicUsize::new(0)));
    let recorder = FragileRecorder { dropped: number(), asked: number(), makes };
    let recorder: &'static FragileRecorder = Box::leak(Box::new(recorder));
    (recorder, set_default_local_recorder(recorder))
}

#[tokio::test(start_paused = true)]
async fn a_server_outlives_a_recorder_whose_handles_panic_in_their_destructors() {
    hush_injected_panics();
    let (recorder, _installed) = fragile(true);
    let rt = Runtime::new();
    let exporter = Metrics::new().track_handlers().exporter(&rt);
    let [first, second] = [ledger(&rt).await, ledger(&rt).await];
    for server in [&first, &second] {
        server.call(Call::Lines).await.unwrap();
        server.call(Call::Lines).await.unwrap();
    }
    // One server ends while it has its meter, the other one drops it at its next item.
    first.stop(ExitReason::Normal).await.unwrap();
    drop(exporter);
    second.call(Call::Lines).await.unwrap();
    second.call(Call::Lines).await.unwrap();
    assert!(recorder.dropped.load(Ordering::SeqCst) >= 4, "each has two histograms");
    second.stop(ExitReason::Normal).await.unwrap();
    assert_eq!(rt.counters().ended.panic, 0);
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_makes_no_histogram_is_asked_once_for_each_server() {
    hush_injected_panics();
    let (recorder, _installed) = fragile(false);
    let rt = Runtime::new();
    let _exporter = Metrics::new().track_handlers().exporter(&rt);
    let server = ledger(&rt).await;
    for _ in 0..10 {
        server.call(Call::Lines).await.unwrap();
    }
    assert_eq!(recorder.asked.load(Ordering::SeqCst), 1);
}
