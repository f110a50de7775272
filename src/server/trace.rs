//! A trace of the items that one server handles, for debugging: its events, its listener, and the
//! tracers in the server.
//!
//! **Guarantees.** A listener never delays the server: its events are stored up to
//! [`CAPACITY`], and then counted instead. A server that is not traced does nothing for this: the
//! tracers are part of the [tracking state](crate::server::tracking), which it does not have.
//!
//! **Steps**
//! 1. A system message adds a tracer to the server, between two handlers.
//! 2. The server passes an event to each tracer when it takes an item, and when the item's handler
//!    has ended. The formatter of a tracer runs at the first of these, only if there is room.
//! 3. A tracer whose [`Trace`] was dropped is removed when the next handler has ended; its formatter
//!    does not run any more.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use crate::base::user_panics::catch_panic;
use crate::base::{CaughtWakers, ignore_panic, one_line};
use crate::message::Received;
use crate::server::GenServer;

/// How many events a [`Trace`] stores until its listener takes them.
const CAPACITY: usize = 1024;

/// The kind of an item that a server handles, in a [`TraceEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceItem {
    /// A call.
    Call,
    /// A cast, of a client, a task of the server, or the server's own `continue_with`.
    Cast,
    /// A cast by a timer of the server itself, or a time-out of a state machine.
    Timer,
    /// An event that a state machine gave to itself: an internal event, a time-out of zero, or the
    /// entry of its first state.
    Internal,
    /// A message or a signal for `handle_info`.
    Info,
    /// A byte stream for `handle_info`.
    Stream,
    /// The idle time-out.
    IdleTimeout,
    /// A request such as `suspend`, `get_status` or `peek`.
    System,
    /// A request to stop, or the exit of the parent.
    Stop,
    /// The callback `terminate`.
    Terminate,
}

/// Displays the kind in lower case: `idle time-out`.
impl fmt::Display for TraceItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TraceItem::Call => "call",
            TraceItem::Cast => "cast",
            TraceItem::Timer => "timer",
            TraceItem::Internal => "internal",
            TraceItem::Info => "info",
            TraceItem::Stream => "stream",
            TraceItem::IdleTimeout => "idle time-out",
            TraceItem::System => "system",
            TraceItem::Stop => "stop",
            TraceItem::Terminate => "terminate",
        })
    }
}

/// One event of a [`Trace`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceEvent {
    /// The server has taken an item, and begins to handle it.
    Begin {
        /// The kind of the item.
        item: TraceItem,
        /// When the server took the item.
        at: Instant,
        /// The text that the formatter of [`trace_with`](crate::ServerRef::trace_with) made of a call, a
        /// cast or an info; otherwise `None`.
        content: Option<String>,
    },
    /// The handler has returned, also with an error, or has panicked.
    End {
        /// The kind of the item.
        item: TraceItem,
        /// When the handler ended.
        at: Instant,
        /// How long the handler ran, with its awaits.
        took: Duration,
    },
}

/// Displays one line, with control characters escaped: `call begins: Get`, `call took 3.0ms`.
impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TraceEvent::Begin { item, content: None, .. } => write!(f, "{item} begins"),
            TraceEvent::Begin { item, content: Some(content), .. } => {
                write!(f, "{item} begins: {}", one_line(content))
            }
            TraceEvent::End { item, took, .. } => write!(f, "{item} took {took:.1?}"),
        }
    }
}

/// The content of an item, for the formatter of [`ServerRef::trace_with`](crate::ServerRef::trace_with).
#[non_exhaustive]
pub enum TraceContent<'a, S: GenServer> {
    /// A call, before `handle_call`.
    Call(&'a S::Call),
    /// A cast, before `handle_cast`.
    Cast(&'a S::Cast),
    /// A message, a signal or a byte stream, before `handle_info`.
    Info(&'a Received),
}

impl<S: GenServer> fmt::Debug for TraceContent<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TraceContent::Call(_) => "Call(..)",
            TraceContent::Cast(_) => "Cast(..)",
            TraceContent::Info(_) => "Info(..)",
        })
    }
}

/// The listener of one server: [`ServerRef::trace`](crate::ServerRef::trace) returns it, and has an example. Dropping it
/// ends the trace.
#[derive(Debug)]
#[must_use = "dropping it ends the trace"]
pub struct Trace {
    events: Receiver<TraceEvent>,
    missed: Arc<AtomicU64>,
    waker: CaughtWakers,
}

impl Trace {
    /// Waits for the next event. Returns `None` when the server has ended and all its events were
    /// taken.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken no event.
    pub async fn next(&mut self) -> Option<TraceEvent> {
        let Trace { events, waker, .. } = self;
        let mut next = pin!(events.recv());
        poll_fn(|cx| waker.poll(cx, |cx| next.as_mut().poll(cx))).await
    }

    /// Returns how many events were dropped so far, because 1,024 were stored and not yet taken.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// The content of an item, without the type of its server: the tracers of all servers are of one type.
#[derive(Clone, Copy)]
pub(crate) enum Content<'a> {
    Call(&'a dyn Any),
    Cast(&'a dyn Any),
    Info(&'a Received),
}

impl<'a, S: GenServer> TraceContent<'a, S> {
    fn of(content: Content<'a>) -> Option<Self> {
        Some(match content {
            Content::Call(call) => TraceContent::Call(call.downcast_ref()?),
            Content::Cast(cast) => TraceContent::Cast(cast.downcast_ref()?),
            Content::Info(info) => TraceContent::Info(info),
        })
    }
}

/// Makes the text of an item's content.
pub(crate) type Format = Box<dyn FnMut(Content<'_>) -> String + Send>;

/// Returns the formatter of a tracer of servers with this type.
pub(crate) fn format_of<S: GenServer>(
    mut format: impl FnMut(TraceContent<'_, S>) -> String + Send + 'static,
) -> Format {
    Box::new(move |content| TraceContent::<S>::of(content).map(&mut format).unwrap_or_default())
}

/// The server's side of a [`Trace`].
pub(crate) struct Tracer {
    events: Sender<TraceEvent>,
    missed: Arc<AtomicU64>,
    format: Option<Format>,
    /// Whether an item has begun since the tracer was added. The request that adds the tracer ends
    /// later, and is not reported.
    has_begun: bool,
}

/// Makes both sides of a trace.
pub(crate) fn trace(format: Option<Format>) -> (Tracer, Trace) {
    let (sender, events) = channel(CAPACITY);
    let missed = Arc::new(AtomicU64::new(0));
    let tracer = Tracer { events: sender, missed: missed.clone(), format, has_begun: false };
    (tracer, Trace { events, missed, waker: CaughtWakers::default() })
}

/// The tracers of one server.
#[derive(Default)]
pub(crate) struct Tracers {
    list: Vec<Tracer>,
    /// The item that the server handles, and since when.
    running: Option<(TraceItem, Instant)>,
}

impl Tracers {
    pub(crate) fn add(&mut self, tracer: Tracer) {
        self.list.push(tracer);
    }

    /// Notes that the server begins to handle this item.
    pub(crate) fn begin(&mut self, item: TraceItem, content: Option<Content<'_>>) {
        let at = Instant::now();
        self.running = Some((item, at));
        for tracer in &mut self.list {
            tracer.has_begun = true;
            tracer.emit(|format| {
                let text = format.zip(content).map(|(format, content)| {
                    catch_panic(|| format(content))
                        .unwrap_or_else(|panic| format!("the formatter panicked: {panic}"))
                });
                TraceEvent::Begin { item, at, content: text }
            });
        }
    }

    /// Notes that the handler has ended, and removes the tracers whose listener was dropped.
    /// Returns whether one is left.
    pub(crate) fn end(&mut self) -> bool {
        if let Some((item, since)) = self.running.take() {
            let at = Instant::now();
            let took = at.saturating_duration_since(since);
            for tracer in self.list.iter_mut().filter(|tracer| tracer.has_begun) {
                tracer.emit(|_| TraceEvent::End { item, at, took });
            }
        }
        self.list.retain(|tracer| !tracer.events.is_closed());
        !self.list.is_empty()
    }
}

impl Tracer {
    fn emit(&mut self, event: impl FnOnce(Option<&mut Format>) -> TraceEvent) {
        match self.events.try_reserve() {
            Ok(room) => room.send(event(self.format.as_mut())),
            Err(TrySendError::Full(())) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Closed(())) => {}
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // The formatter is user code, and its destructor may panic.
        let format = self.format.take();
        ignore_panic(|| drop(format));
    }
}

impl<S: GenServer> Clone for TraceContent<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: GenServer> Copy for TraceContent<'_, S> {}
