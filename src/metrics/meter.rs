//! The histograms of one server.
//!
//! A server registers its histograms when its handlers begin to be tracked, with the recorder that is
//! installed then. A record is then one call of the recorder, without a search.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Histogram, Key, Label, Level, Metadata, SharedString, with_recorder};

use crate::base::SharedStr;
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
    waiting: Histogram,
    /// A histogram for each callback that the server has run.
    handling: Vec<(Callback, Histogram)>,
}

impl HandlerMeter for Meter {
    fn waited(&mut self, waited: Duration) {
        self.waiting.record(waited);
    }

    fn handled(&mut self, callback: Callback, elapsed: Duration) {
        if let Some((_, known)) = self.handling.iter().find(|(known, _)| *known == callback) {
            return known.record(elapsed);
        }
        let labels =
            [Label::new("path", self.path.clone()), Label::new("callback", callback.to_string())];
        let added = histogram(&self.labels.key_of_two(&HANDLING, labels));
        added.record(elapsed);
        self.handling.push((callback, added));
    }
}

fn histogram(key: &Key) -> Histogram {
    with_recorder(|recorder| recorder.register_histogram(key, &METADATA))
}
