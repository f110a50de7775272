//! The settings of an exporter.

use std::time::Duration;

/// The default of [`Metrics::every`].
const EVERY: Duration = Duration::from_secs(5);

/// The shortest interval.
const SHORTEST: Duration = Duration::from_millis(10);

/// The default of [`Metrics::max_paths`].
const MOST_PATHS: usize = 1_000;

/// The settings of an [`Exporter`](crate::metrics::Exporter). [`export`](super::export) uses the
/// defaults.
///
/// ```
/// use std::time::Duration;
/// use regrow::{Runtime, Supervisor, metrics::Metrics};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let metrics = Metrics::new()
///     .every(Duration::from_secs(1))
///     .label("runtime", "ingest")
///     .track_handlers() // histograms, and the age of mailboxes
///     .child();
/// let tree = Supervisor::one_for_one().child(metrics).start(&rt).await?;
/// assert_eq!(tree.tree().await?.root.children[0].id, "metrics");
/// # tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "it does nothing until `child` or `exporter` is called"]
pub struct Metrics {
    pub(super) every: Duration,
    pub(super) labels: Vec<(String, String)>,
    pub(super) most_paths: usize,
    pub(super) tracks: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { every: EVERY, labels: Vec::new(), most_paths: MOST_PATHS, tracks: false }
    }
}

impl Metrics {
    /// Returns the default settings: a write each five seconds, no label but those of the metrics,
    /// 1,000 paths, handlers not tracked. [`Metrics`] has an example.
    pub fn new() -> Self {
        Metrics::default()
    }

    /// Sets how often the child writes the metrics. The default is five seconds. A reader of the
    /// recorder sees values that are at most this old. An interval of less than 10 ms counts as
    /// 10 ms.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval.max(SHORTEST);
        self
    }

    /// Adds a label to all metrics of this exporter. Two runtimes of one program need different
    /// labels: without them both write to the same metrics, and a counter shows the larger of both
    /// values. A label with the same key replaces the former one; the keys `path`, `class` and
    /// `callback` belong to the metrics themselves.
    ///
    /// # Panics
    ///
    /// Panics if the key is `path`, `class` or `callback`.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        let is_own = ["path", "class", "callback"].contains(&key.as_str());
        assert!(!is_own, "the label `{key}` belongs to the metrics: choose another key");
        self.labels.retain(|(other, _)| *other != key);
        self.labels.push((key, value));
        self
    }

    /// Sets how many paths have metrics of their own. The default is 1,000. All further paths share
    /// the path `/other`: their counts are added up there, so sums over all paths stay exact. A path
    /// keeps its metrics when its process is gone.
    pub fn max_paths(mut self, most: usize) -> Self {
        self.most_paths = most;
        self
    }

    /// Tracks the handlers of the runtime while the exporter exists, as
    /// [`Runtime::track_handlers`](crate::Runtime::track_handlers) does, with its costs. Histograms
    /// and the age of mailboxes need this. The default is off.
    pub fn track_handlers(mut self) -> Self {
        self.tracks = true;
        self
    }
}
