//! The log lines and the events of one runtime, for a test.
//!
//! **Guarantees.** A capture has the lines of its own runtime only: those that regrow writes about the
//! runtime, and those that code inside of its processes writes, on every thread. Tests that run side
//! by side do not see each other's lines. Each line also reaches the subscriber that the test had
//! before.
//!
//! The runtime makes the capture the default subscriber of the thread while it polls a process, and
//! while it writes a line of its own. So no field of a line must name the runtime, and no subscriber
//! of the whole program is needed.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use tokio::task::unconstrained;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher};

use crate::base::{PlainMutex, consume_budget};
use crate::observe::{LifecycleEvent, LogLevel};
use crate::runtime::{Events, Runtime};
use crate::testing::{CallSite, wait_for};

type Lines = Arc<PlainMutex<Vec<LogLine>>>;

/// Captures the log lines and the lifecycle events of a runtime, from now on until the [`Capture`] is
/// dropped. [`Capture`] has an example.
///
/// # Panics
///
/// If the runtime is captured already.
#[track_caller]
pub fn capture(runtime: &Runtime) -> Capture {
    keep_lines_wanted();
    let lines = Lines::default();
    let outer = dispatcher::get_default(Dispatch::clone);
    let recorder = Dispatch::new(Recorder { lines: lines.clone(), outer });
    let first = runtime.kernel.switches.capture(recorder);
    assert!(first, "this runtime is captured already: use that capture");
    let level = runtime.kernel.log_level();
    runtime.set_log_level(LogLevel::Debug);
    Capture { runtime: runtime.clone(), lines, events: runtime.events(), kept: Vec::new(), level }
}

/// The log lines and lifecycle events of one runtime, from [`capture`].
///
/// A capture has the lines that regrow writes about the runtime and its processes, at all [log
/// levels](LogLevel), and the lines that code inside its processes writes through `tracing`: the
/// bodies, the handlers, and their destructors. It has no lines of the test itself and of tokio tasks
/// that are no processes.
///
/// OTP: `ExUnit.CaptureLog`, which captures the lines of all processes.
///
/// # Examples
///
/// ```
/// use regrow::testing::{await_idle, capture, tree};
/// # use regrow::doc_counter::{Cast, Counter};
/// # use regrow::{GenServer, Supervisor};
/// use regrow::{LifecycleEvent, Name};
///
/// const COUNTER: Name<Counter> = Name::new("counter");
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let spec = Supervisor::one_for_one().child(Counter::child(0).named(COUNTER));
/// tree(spec).run(async |tree| {
///     let mut captured = capture(tree.runtime());
///     tree.runtime().server(COUNTER).cast(Cast::Crash);
///     let is_restart = |event: &_| matches!(event, LifecycleEvent::Restarting { .. });
///     captured.await_event(is_restart).await;
///     await_idle(tree).await;
///     let lines = captured.take_lines();
///     let exit = lines.iter().find(|line| line.message() == "exit").unwrap();
///     assert_eq!(exit.target(), "regrow::lifecycle");
///     assert_eq!(exit.field("name"), Some("counter"));
///     assert!(exit.field("reason").unwrap().contains("as asked"));
/// }).await;
/// # }));
/// ```
#[must_use = "it captures until it is dropped"]
pub struct Capture {
    runtime: Runtime,
    lines: Lines,
    events: Events,
    /// Events that were received and not taken yet.
    kept: Vec<LifecycleEvent>,
    /// The level of the log before.
    level: LogLevel,
}

impl Capture {
    /// Takes the lines that were captured and not taken yet, in the order in which they were
    /// written. [`Capture`] has an example.
    pub fn take_lines(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.lines.lock())
    }

    /// Takes the events that have happened and were not taken yet, in their order.
    ///
    /// # Panics
    ///
    /// If more than 1,024 events have happened since the last call, so that some were missed.
    ///
    /// ```
    /// use regrow::testing::capture;
    /// use regrow::{LifecycleEvent, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut captured = capture(&rt);
    /// let job = rt.spawn(|_| std::future::pending());
    /// rt.set_label(job.pid(), "job");
    /// job.kill();
    /// job.join().await;
    /// let [LifecycleEvent::Exited { label, .. }] = &captured.take_events()[..] else { panic!() };
    /// assert_eq!(label.as_deref(), Some("job"));
    /// # }));
    /// ```
    #[track_caller]
    pub fn take_events(&mut self) -> Vec<LifecycleEvent> {
        let site = CallSite::here();
        while let Some(Some(event)) = unconstrained(self.events.next()).now_or_never() {
            self.kept.push(event);
        }
        self.assert_none_missed(site);
        std::mem::take(&mut self.kept)
    }

    /// Waits for an event that `matches` accepts, and returns it. An event that has happened and was
    /// not taken yet is returned at once. All events stay to be [taken](Self::take_events).
    /// [`Capture`] has an example.
    ///
    /// # Panics
    ///
    /// If no such event comes within a day; under a paused clock this panic comes at once when no
    /// other timer is pending. If events were missed, as in [`take_events`](Self::take_events).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    #[track_caller]
    pub fn await_event<F>(&mut self, matches: F) -> impl Future<Output = LifecycleEvent> + Send
    where
        F: FnMut(&LifecycleEvent) -> bool + Send,
    {
        let site = CallSite::here();
        async move {
            consume_budget().await;
            let what = || "an event that the closure accepts".to_owned();
            let event = wait_for(site, what, self.find_event(matches)).await;
            self.assert_none_missed(site);
            event
        }
    }

    async fn find_event(
        &mut self,
        mut matches: impl FnMut(&LifecycleEvent) -> bool,
    ) -> LifecycleEvent {
        let mut looked_at = 0;
        loop {
            if let Some(event) = self.kept[looked_at..].iter().find(|event| matches(event)) {
                return event.clone();
            }
            looked_at = self.kept.len();
            match self.events.next().await {
                Some(event) => self.kept.push(event),
                // The capture holds the runtime, so its events do not end.
                None => std::future::pending().await,
            }
        }
    }

    fn assert_none_missed(&self, site: CallSite) {
        let missed = self.events.missed();
        assert!(missed == 0, "{site}: {missed} events were missed: take them more often");
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        drop(self.runtime.kernel.switches.end_capture());
        self.runtime.set_log_level(self.level);
    }
}

impl Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("lines", &self.lines.lock().len()).finish_non_exhaustive()
    }
}

/// A captured line of the log. [`Capture`] has an example.
///
/// The [`Display`](fmt::Display) text is
/// `WARN regrow::server: a handler runs long pid=#2 callback=handle_call`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    level: Level,
    target: String,
    message: String,
    fields: BTreeMap<&'static str, String>,
}

impl LogLine {
    /// Returns the level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns the target, such as `regrow::lifecycle`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the message, without the fields.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the text of the field with this name, if the line has one.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.level, self.target, self.message)?;
        self.fields.iter().try_for_each(|(name, text)| write!(f, " {name}={text}"))
    }
}

impl Visit for LogLine {
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

/// The subscriber of a capture. It records events, and passes everything on to the subscriber that
/// was the default before.
struct Recorder {
    lines: Lines,
    outer: Dispatch,
}

/// The id of the spans that the outer subscriber does not want.
const UNWANTED_SPAN: u64 = u64::MAX;

impl Recorder {
    /// Calls the outer subscriber, unless the span is not one of its own.
    fn outer(&self, span: &Id) -> Option<&Dispatch> {
        (span.into_u64() != UNWANTED_SPAN).then_some(&self.outer)
    }
}

impl Subscriber for Recorder {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.is_event() || self.outer.enabled(about)
    }

    fn event(&self, event: &Event<'_>) {
        let about = event.metadata();
        let mut line = LogLine {
            level: *about.level(),
            target: about.target().to_owned(),
            message: String::new(),
            fields: BTreeMap::new(),
        };
        event.record(&mut line);
        self.lines.lock().push(line);
        if self.outer.enabled(about) {
            self.outer.event(event);
        }
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        match self.outer.enabled(span.metadata()) {
            true => self.outer.new_span(span),
            false => Id::from_u64(UNWANTED_SPAN),
        }
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        if let Some(outer) = self.outer(span) {
            outer.record(span, values);
        }
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        if let Some(outer) = self.outer(span).filter(|_| self.outer(follows).is_some()) {
            outer.record_follows_from(span, follows);
        }
    }

    fn enter(&self, span: &Id) {
        if let Some(outer) = self.outer(span) {
            outer.enter(span);
        }
    }

    fn exit(&self, span: &Id) {
        if let Some(outer) = self.outer(span) {
            outer.exit(span);
        }
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.outer(span).map_or_else(|| span.clone(), |outer| outer.clone_span(span))
    }

    fn try_close(&self, span: Id) -> bool {
        self.outer(&span).is_some_and(|outer| outer.try_close(span))
    }
}

/// Keeps two more subscribers registered. With at most one, `tracing` decides for good whether a
/// line is wanted, by the subscriber of the thread that writes the line first.
fn keep_lines_wanted() {
    static WANTED: OnceLock<[Dispatch; 2]> = OnceLock::new();
    let recorder = || Dispatch::new(Recorder { lines: Lines::default(), outer: Dispatch::none() });
    WANTED.get_or_init(|| [recorder(), recorder()]);
}
