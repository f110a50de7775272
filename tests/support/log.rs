//! A `tracing` subscriber that records every line of the lifecycle log.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// One logged event.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) message: String,
    fields: BTreeMap<&'static str, String>,
}

impl Line {
    /// Returns the field of this name; empty if the line has none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// Returns the level and the message: `"INFO spawn"`.
    pub(crate) fn head(&self) -> String {
        format!("{} {}", self.level, self.message)
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => drop(self.fields.insert(name, format!("{value:?}"))),
        }
    }
}

/// Records all lines of this thread while the value lives.
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<Line>>>,
    _listening: DefaultGuard,
}

impl Log {
    /// Starts to record the lines of this thread, for tests on a current-thread runtime.
    pub(crate) fn listen() -> Self {
        keep_lines_wanted();
        let lines = Arc::default();
        let collector = Collector { lines: Arc::clone(&lines) };
        Log { lines, _listening: tracing::subscriber::set_default(collector) }
    }

    /// Returns the lines logged since the last call.
    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.lines.lock().expect("no holder of the lock panics"))
    }

    /// Returns the level and the message of each line logged since the last call.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.take().iter().map(Line::head).collect()
    }
}

/// Keeps two more subscribers registered. If there is at most one and a thread without a subscriber
/// logs a line first, `tracing` may decide for good that no subscriber wants the line.
pub(crate) fn keep_lines_wanted() {
    static WANTED: OnceLock<[Dispatch; 2]> = OnceLock::new();
    let collector = || Dispatch::new(Collector { lines: Arc::default() });
    WANTED.get_or_init(|| [collector(), collector()]);
}

struct Collector {
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Subscriber for Collector {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.target().starts_with("regrow")
    }

    fn event(&self, event: &Event<'_>) {
        let about = event.metadata();
        let mut line = Line {
            level: *about.level(),
            target: about.target().to_owned(),
            message: String::new(),
            fields: BTreeMap::new(),
        };
        event.record(&mut line);
        self.lines.lock().expect("no holder of the lock panics").push(line);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A subscriber that panics at every line, like one that writes to a broken stderr may.
pub(crate) struct Broken;

impl Subscriber for Broken {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.target().starts_with("regrow")
    }

    fn event(&self, _: &Event<'_>) {
        panic!("stderr is gone");
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
