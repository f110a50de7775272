//! A recorder of the `metrics` facade that keeps every value.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// A metric: its name, and its labels in the order of their keys.
type Series = (String, BTreeMap<String, String>);

/// The recorder. Its clones have the same values.
#[derive(Clone, Default)]
pub(crate) struct MetricValues(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    counters: BTreeMap<Series, Arc<AtomicU64>>,
    gauges: BTreeMap<Series, Arc<AtomicU64>>,
    histograms: BTreeMap<Series, Arc<Records>>,
    described: BTreeMap<String, (&'static str, Unit)>,
    panics: bool,
}

#[derive(Default)]
struct Records(Mutex<Vec<f64>>);

impl HistogramFn for Records {
    fn record(&self, value: f64) {
        self.0.lock().expect("no holder of the lock panics").push(value);
    }
}

fn series(name: &str, labels: &[(&str, &str)]) -> Series {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    (name.to_owned(), labels.collect())
}

fn series_of(key: &Key) -> Series {
    let labels: Vec<_> = key.labels().map(|label| (label.key(), label.value())).collect();
    series(key.name(), &labels)
}

impl MetricValues {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of the lock panics")
    }

    /// Lets each write of a counter panic, or no longer.
    pub(crate) fn panic_at_writes(&self, panics: bool) {
        self.state().panics = panics;
    }

    /// Returns a counter; `None` if it was never written.
    pub(crate) fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let state = self.state();
        state.counters.get(&series(name, labels)).map(|value| value.load(Ordering::SeqCst))
    }

    /// Returns a gauge; `None` if it was never set.
    pub(crate) fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let state = self.state();
        let value = state.gauges.get(&series(name, labels));
        value.map(|value| f64::from_bits(value.load(Ordering::SeqCst)))
    }

    /// Returns the records of a histogram, oldest first.
    pub(crate) fn records(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let state = self.state();
        let records = state.histograms.get(&series(name, labels));
        records.map_or(Vec::new(), |records| records.0.lock().expect("no panic").clone())
    }

    /// Returns the values of a label in all series of this name.
    pub(crate) fn label_values(&self, name: &str, label: &str) -> Vec<String> {
        let all = self.all().into_iter().filter(|(_, (of, _))| of == name);
        all.filter_map(|(_, (_, labels))| labels.get(label).cloned()).collect()
    }

    /// Returns all series with their types.
    pub(crate) fn all(&self) -> Vec<(&'static str, Series)> {
        let state = self.state();
        let counters = state.counters.keys().map(|series| ("counter", series.clone()));
        let gauges = state.gauges.keys().map(|series| ("gauge", series.clone()));
        let histograms = state.histograms.keys().map(|series| ("histogram", series.clone()));
        counters.chain(gauges).chain(histograms).collect()
    }

    /// Returns the type and the unit of each metric that was described.
    pub(crate) fn described(&self) -> BTreeMap<String, (&'static str, Unit)> {
        self.state().described.clone()
    }

    fn describe(&self, name: &KeyName, kind: &'static str, unit: Option<Unit>) {
        let unit = unit.expect("each metric has a unit");
        self.state().described.insert(name.as_str().to_owned(), (kind, unit));
    }
}

impl Recorder for MetricValues {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "counter", unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "gauge", unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, "histogram", unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let panics = self.state().panics;
        assert!(!panics, "{}: no disk", super::injected_panics::BOOM);
        Counter::from_arc(self.state().counters.entry(series_of(key)).or_default().clone())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.state().gauges.entry(series_of(key)).or_default().clone())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.state().histograms.entry(series_of(key)).or_default().clone())
    }
}
