//! The labels of an exporter: its own, and the bounded set of paths.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use metrics::{Key, KeyName, Label, SharedString};

use crate::base::random::{Map, MapHasher};
use crate::base::{PlainMutex, SharedStr};
use crate::metrics::Metrics;
use crate::metrics::names::Metric;
use crate::observe::counters::OTHERS;

/// The path of all paths beyond the bound. No node has such a path: paths begin with an id, and a
/// slash in an id is escaped.
const OTHER: &str = "/other";

/// The path of processes that are in no tree.
pub(super) const NONE: &str = "/none";

/// The maximum number of paths beyond the bound that are remembered, so that each is counted once.
const MOST_REMEMBERED: usize = 65_536;

/// The labels of an exporter.
#[derive(Debug)]
pub(super) struct Labels {
    own: Vec<Label>,
    most: usize,
    paths: PlainMutex<Paths>,
}

#[derive(Debug, Default)]
struct Paths {
    /// The paths that have metrics of their own.
    kept: Map<SharedStr, SharedString>,
    /// Hashes of the paths beyond the bound.
    folded: HashSet<u64>,
    hasher: MapHasher,
}

impl Labels {
    pub(super) fn new(settings: &Metrics) -> Self {
        let own = settings.labels.iter();
        let own = own.map(|(key, value)| Label::new(key.clone(), value.clone())).collect();
        Labels { own, most: settings.most_paths, paths: PlainMutex::default() }
    }

    /// Returns the label of a path: the path itself, if it is one of the first ones.
    pub(super) fn path(&self, path: &SharedStr) -> SharedString {
        match path.as_str() {
            NONE => return SharedString::const_str(NONE),
            OTHERS => return SharedString::const_str(OTHER),
            _ => {}
        }
        let mut paths = self.paths.lock();
        if let Some(kept) = paths.kept.get(path) {
            return kept.clone();
        }
        if paths.kept.len() < self.most {
            let label = SharedString::from_shared(Arc::from(path.as_str()));
            paths.kept.insert(path.clone(), label.clone());
            return label;
        }
        if paths.folded.len() < MOST_REMEMBERED {
            let hash = paths.hasher.hash_one(path);
            paths.folded.insert(hash);
        }
        SharedString::const_str(OTHER)
    }

    /// Returns how many paths are beyond the bound.
    pub(super) fn folded(&self) -> u64 {
        self.paths.lock().folded.len() as u64
    }

    /// Returns the key of a metric with this label beside the own ones.
    pub(super) fn key(&self, metric: &Metric, label: Option<Label>) -> Key {
        let labels: Vec<Label> = self.own.iter().cloned().chain(label).collect();
        Key::from_parts(KeyName::from_const_str(metric.name), labels)
    }

    /// Returns the key of a metric with two labels beside the own ones.
    pub(super) fn key_of_two(&self, metric: &Metric, labels: [Label; 2]) -> Key {
        let labels: Vec<Label> = self.own.iter().cloned().chain(labels).collect();
        Key::from_parts(KeyName::from_const_str(metric.name), labels)
    }
}
