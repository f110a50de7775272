//! A recorder of metrics, as an exporter to a metrics system has one: the last value of each series.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// The values of all series: of a histogram, the number of records.
#[derive(Clone, Default)]
pub(crate) struct Recorded(Arc<Mutex<HashMap<Key, Arc<Value>>>>);

#[derive(Default)]
struct Value(Mutex<f64>);

impl Value {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(&mut self.0.lock().expect("no holder panics"));
    }
}

impl CounterFn for Value {
    fn increment(&self, more: u64) {
        self.change(|value| *value += more as f64);
    }

    fn absolute(&self, total: u64) {
        self.change(|value| *value = value.max(total as f64));
    }
}

impl GaugeFn for Value {
    fn increment(&self, more: f64) {
        self.change(|value| *value += more);
    }

    fn decrement(&self, less: f64) {
        self.change(|value| *value -= less);
    }

    fn set(&self, now: f64) {
        self.change(|value| *value = now);
    }
}

impl HistogramFn for Value {
    fn record(&self, _: f64) {
        self.change(|value| *value += 1.0);
    }
}

impl Recorded {
    fn value(&self, key: &Key) -> Arc<Value> {
        let mut series = self.0.lock().expect("no holder panics");
        series.entry(key.clone()).or_default().clone()
    }

    /// Returns the sum of all series with this name, and with this value of a label if it is given.
    pub(crate) fn sum(&self, name: &str, label: Option<&str>) -> u64 {
        let series = self.0.lock().expect("no holder panics");
        let wanted = |key: &&Key| {
            let mut labels = key.labels();
            key.name() == name && label.is_none_or(|value| labels.any(|l| l.value() == value))
        };
        let of = |key: &Key| *series[key].0.lock().expect("no holder panics");
        series.keys().filter(wanted).map(of).sum::<f64>() as u64
    }

    /// The number of series.
    pub(crate) fn series(&self) -> usize {
        self.0.lock().expect("no holder panics").len()
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.value(key))
    }
}
