// **Uses** `base`, `exit`, `observe`, `process`, `kernel`, `runtime`, `child`, `supervisor`,
// `observation`.
// **Knows nothing of** programs, and of the exporter that publishes the metrics.

//! Metrics: the counters, gauges and histograms of a runtime, for the recorder that the program has
//! installed with the crate [`metrics`](https://docs.rs/metrics). Requires the feature `metrics`.
//!
//! [`export`] returns a child that writes them to the recorder at intervals. [`Metrics`] has the
//! settings, and [`Exporter::collect`] writes them at once, for a program that renders them when it
//! is asked to.
//!
//! # What is exact
//!
//! The counters are those of [`Runtime::counters`](crate::Runtime::counters). The kernel counts each
//! event once, when it happens, whether or not there is an exporter; the exporter writes the totals.
//! So a counter misses nothing in a storm, while the exporter is restarted, or between two writes: it
//! is at most one interval old. Gauges are read at each write. Histograms are recorded by each server
//! as its handler ends, while handlers are [tracked](crate::Runtime::track_handlers).
//!
//! The chapter *Metrics* of the book has the table of all names, a dashboard and alerts.
//!
//! # Labels
//!
//! The label `path` is the path of a supervisor or child, such as `app/ingest/feed`, as in
//! [`Change::path`](crate::Change::path). No label has a pid. The number of paths is bounded:
//!
//! * All processes below a dynamic supervisor have one path together, that of the supervisor and
//!   `/*`, such as `app/sessions/*`. The supervisor itself has its own.
//! * The first 1,000 paths have metrics of their own, or as many as [`Metrics::max_paths`] says. All
//!   others share the path `/other`, and `regrow_paths_folded_total` counts them.
//! * Processes that are in no tree share the path `/none`.
//!
//! Ids may come from outside of the program. Line breaks, quotes and other controls in an id are
//! escaped in its path, as in a URL; the other characters of a label are passed to the recorder as
//! they are, and its exporter has to escape them.
//!
//! # Several runtimes
//!
//! Two runtimes of one program write to the same metrics, unless each exporter has a
//! [label](Metrics::label) of its own. Without one, a counter shows the larger of both values.
//!
//! # Costs
//!
//! Without an exporter, nothing. With one, a message costs nothing unless handlers are tracked; then
//! each message costs two more reads of the clock, and two records of a histogram. A write reads the
//! record of each process under its lock.

use crate::child::ChildSpec;

mod names;
mod settings;
mod labels;
mod reading;
mod meter;
mod push;
mod exporter;

pub use exporter::Exporter;
pub use settings::Metrics;

/// Specifies a child `metrics` that writes the metrics of its runtime to the installed recorder, each
/// five seconds and when it stops. [`Metrics::child`] describes the child.
///
/// ```
/// use regrow::{ChildSpec, Runtime, Supervisor, metrics};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// // A program first installs a recorder, such as that of `metrics-exporter-prometheus`.
/// let rt = Runtime::new();
/// let job = ChildSpec::task("job", |_| std::future::pending());
/// let tree = Supervisor::one_for_one()
///     .child(metrics::export()) // the first child stops last
///     .child(job)
///     .start(&rt)
///     .await?;
/// tree.stop().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub fn export() -> ChildSpec {
    Metrics::new().child()
}
