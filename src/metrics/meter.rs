//! The histograms of one server.
//!
//! A server registers its histograms when its handlers begin to be tracked, with the recorder that is
//! installed then. A record is then one call of the recorder, without a search.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Histogram, Key, Label, Level, Metadata, SharedString, with_recorder};

use crate::base::{CaughtDrop, SharedStr};
use crate::metrics::labels::{Labels, NONE};
use crate::metrics::names::{HANDLING, WAITING};
use crate::observe::Callback;
use crate::observe::handler_meter::{HandlerMeter, MeterSource};

/// The target of the metrics, by which a recorder may filter them.
pub(super) const METADATA: Metadata<'static> =
    Metadata::new("regrow::metrics", Level::INFO, Some("regrow::metrics"));

/// Makes the meters of the servers of one exporter.
pub(super) struct Meters(pub(super) Arc<Labels>);

impl MeterSource for Meters {
    fn meter(&self, path: Option<SharedStr>) -> Box<dyn HandlerMeter> {
        let labels = self.0.clone();
        let path = labels.path(&path.unwrap_or_else(|| NONE.into()));
        let waiting = histogram(&labels.key(&WAITING, Some(Label::new("path", path.clone()))));
        Box::new(Meter { labels, path, waiting, handling: Vec::new() })
    }
}

/// The histograms of one server.
struct Meter {
    labels: Arc<Labels>,
    path: SharedString,
    waiting: CaughtDrop<Histogram>,
    /// A histogram for each callback that the server has run; `None` if the recorder panicked.
    handling: Vec<(Callback, Option<CaughtDrop<Histogram>>)>,
}

impl HandlerMeter for Meter {
    fn waited(&mut self, waited: Duration) {
        self.waiting.record(waited);
    }

    fn handled(&mut self, callback: Callback, elapsed: Duration) {
        let known = self.handling.iter().position(|(known, _)| *known == callback);
        let at = known.unwrap_or_else(|| {
            self.handling.push((callback, None));
            self.handling.len() - 1
        });
        if known.is_none() {
            let path = Label::new("path", self.path.clone());
            let labels = [path, Label::new("callback", callback.to_string())];
            self.handling[at].1 = Some(histogram(&self.labels.key_of_two(&HANDLING, labels)));
        }
        if let Some(histogram) = &self.handling[at].1 {
            histogram.record(elapsed);
        }
    }
}

/// Registers a histogram with the recorder that is installed. Two handles whose destructors panic
/// would abort the program if both were dropped by one unwinding, so each is dropped on its own.
fn histogram(key: &Key) -> CaughtDrop<Histogram> {
    CaughtDrop::new(with_recorder(|recorder| recorder.register_histogram(key, &METADATA)))
}
