//! Metadata: values that travel beside a message, from its sender to the code that handles it.
//!
//! **Guarantees.** The code of a handler sees the values that its message carried, also after an
//! await, and no other code sees them: neither a process that is polled inside of the handler's poll,
//! nor the process that this thread polls next. A message carries the values that its sender saw when
//! it was sent.
//!
//! **Steps**
//! 1. A [`Scope`] makes values visible to the code of this thread, for one poll of a future or one
//!    call of a closure. Dropping it restores what was visible before, also if the code panics.
//! 2. A send reads what is visible, and queues it with the message.
//! 3. The receiver polls its handler in a scope of these values.
//!
//! **Invariants**
//! 1. Values are visible only while the same process is the current one of the thread as when their
//!    scope was entered. So a process that a handler polls inside of its own poll sees none of them.
//! 2. Values are shared and are never changed: a new value makes a new list.
//! 3. No value of the user and no span is dropped while the thread-local is borrowed.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tracing::Span;

use crate::base::current_process;

thread_local! {
    static VISIBLE: RefCell<Visible> =
        const { RefCell::new(Visible { metadata: Metadata(None), record: 0 }) };
}

/// The most spans of messages of which each is a child of the one before. A subscriber keeps a span
/// until its children are closed, and closes a chain of spans by recursion: a chain without end would
/// keep its spans for ever.
const LONGEST_CHAIN: u32 = 128;

/// What the code of this thread sees.
#[derive(Default)]
struct Visible {
    metadata: Metadata,
    /// The address of the record of the process that was the current one (invariant 1).
    record: usize,
}

/// Values that travel beside messages: an id of a request, a tenant, a language, whatever the code
/// that handles a message should know and its type does not say. A value is found by its type.
///
/// [`Runtime::with_metadata`](crate::Runtime::with_metadata) attaches a value, and has an example.
/// From there the metadata travels by itself:
///
/// | what a handler does | sees the metadata of the handler |
/// |---|---|
/// | calls and casts, also those that wait for room or for a restart | the handler of the receiver |
/// | [`send`](crate::Runtime::send), [`send_stream`](crate::Runtime::send_stream) | `handle_info` of a server; [`Context::metadata`](crate::Context::metadata) of another process |
/// | [`continue_with`](crate::ServerContext::continue_with), `cast_after`, `cast_after_as`, [`send_after`](crate::Runtime::send_after) | the handler that runs later |
/// | `spawn_task`, [`Task`](crate::Task), tasks of a [`scope`](crate::scope()) and of a `TaskSupervisor` | the code of the task; the handler that gets its result |
///
/// Replies, signals, intervals, idle time-outs and piped streams carry none, and neither does a
/// process that is started otherwise: what runs for long does not belong to one request. A server that
/// keeps a message and handles it later, in another handler, keeps the metadata with it, and
/// [hands it on](Self::hand_on).
///
/// A clone is as cheap as that of an [`Arc`]. OTP: the token of `seq_trace`, and Elixir's `$callers`
/// and `Logger.metadata`, which do not travel with messages.
#[derive(Clone, Default)]
pub struct Metadata(Option<Arc<Content>>);

#[derive(Clone, Default)]
struct Content {
    values: Vec<(TypeId, Arc<dyn Any + Send + Sync>)>,
    /// The span in which the message was sent, while messages have spans.
    span: Option<Span>,
    /// The number of spans of messages above and including `span`. From [`LONGEST_CHAIN`] on the
    /// span of the message has no parent.
    chain: u32,
}

impl Metadata {
    /// Returns the metadata that the running code sees. In a handler it is that of the message.
    /// [`with`](Self::with) has an example.
    pub fn current() -> Self {
        let visible = |visible: &RefCell<Visible>| {
            let visible = visible.borrow();
            (visible.record == current_process::current_record()).then(|| visible.metadata.clone())
        };
        VISIBLE.try_with(visible).ok().flatten().unwrap_or_default()
    }

    /// Returns this metadata with one more value. It replaces a value of the same type.
    ///
    /// ```
    /// use regrow::Metadata;
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct Tenant(&'static str);
    ///
    /// let metadata = Metadata::default().with(Tenant("acme")).with(7_u64);
    /// assert_eq!(metadata.get::<Tenant>().as_deref(), Some(&Tenant("acme")));
    /// assert_eq!(metadata.with(8_u64).get::<u64>().as_deref(), Some(&8));
    /// metadata.run(|| assert_eq!(Metadata::current().get::<u64>().as_deref(), Some(&7)));
    /// assert!(Metadata::current().is_empty());
    /// ```
    #[must_use = "the metadata itself is not changed"]
    pub fn with<T: Any + Send + Sync>(&self, value: T) -> Self {
        let mut content = self.0.as_deref().cloned().unwrap_or_default();
        content.values.retain(|(of, _)| *of != TypeId::of::<T>());
        content.values.push((TypeId::of::<T>(), Arc::new(value)));
        Metadata(Some(Arc::new(content)))
    }

    /// Returns the value of this type. [`with`](Self::with) has an example.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let values = &self.0.as_ref()?.values;
        let (_, value) = values.iter().find(|(of, _)| *of == TypeId::of::<T>())?;
        value.clone().downcast().ok()
    }

    /// Whether there is no value. [`with`](Self::with) has an example.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|content| content.values.is_empty())
    }

    /// Returns a future whose code sees this metadata, wherever it is polled, and which is polled in
    /// the span of the message while messages [have spans](crate::Runtime::message_spans). Use it for
    /// a message that is handled later than in its own handler, and for what a handler gives to
    /// `tokio::spawn`.
    ///
    /// # Cancel safety
    ///
    /// As that of `future`.
    ///
    /// ```
    /// use regrow::{GenServer, Metadata, Reply, Result, Runtime, ServerContext};
    ///
    /// /// Answers calls only once it is open.
    /// #[derive(Default)]
    /// struct Gate {
    ///     waiting: Vec<(Reply<u64>, Metadata)>,
    /// }
    ///
    /// impl GenServer for Gate {
    /// #     type Args = ();
    ///     type Call = Reply<u64>;
    ///     type Cast = ();
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Gate::default())
    /// #     }
    ///     async fn handle_call(&mut self, reply: Self::Call, ctx: &mut ServerContext<Self>) -> Result {
    ///         self.waiting.push((reply, ctx.metadata()));
    ///         Ok(())
    ///     }
    ///     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    ///         for (reply, metadata) in self.waiting.drain(..) {
    ///             let answer = async { *Metadata::current().get::<u64>().unwrap() };
    ///             reply.send(metadata.hand_on(answer).await);
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let gate = Gate::start(&rt, ()).await?;
    /// let call = rt.with_metadata(7_u64, gate.call(|reply| reply));
    /// let open = async { gate.cast(()) };
    /// assert_eq!(tokio::join!(call, open).0?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn hand_on<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        HandedOn { future, metadata: self.clone() }
    }

    /// Calls a closure that sees this metadata, as the future of [`hand_on`](Self::hand_on) does. For
    /// code that is not async. [`with`](Self::with) has an example.
    pub fn run<R>(&self, closure: impl FnOnce() -> R) -> R {
        if self.is_nothing() && is_nothing_visible() {
            return closure();
        }
        let _scope = Scope::enter(self.clone());
        match self.span() {
            Some(span) => span.in_scope(closure),
            None => closure(),
        }
    }

    /// Returns this metadata with another span, or without one if `span` is disabled.
    pub(crate) fn with_span(&self, span: Span) -> Self {
        if self.span().and_then(Span::id) == span.id() {
            return self.clone();
        }
        let chain = self.0.as_ref().map_or(0, |content| content.chain);
        self.with_chain((!span.is_none()).then_some(span), chain)
    }

    /// Returns the metadata of the code that handles the message, whose span is `own`; `is_first`
    /// says that it has no parent. If the subscriber has filtered `own` out, the code continues in the
    /// span in which the message was sent, unless that would be its parent by a chain that is too long.
    pub(crate) fn continued(&self, own: Span, is_first: bool) -> Self {
        let above = if is_first { 0 } else { self.0.as_ref().map_or(0, |content| content.chain) };
        match (own.is_none(), is_first) {
            (false, _) => self.with_chain(Some(own), above + 1),
            (true, true) => self.with_chain(None, 0),
            (true, false) if self.span().is_none() => self.clone(),
            (true, false) => self.with_chain(self.span().cloned(), above + 1),
        }
    }

    /// Returns this metadata for a message whose span is to have no parent: a message that its sender
    /// sends to be handled later, and may send again from there, without end.
    pub(crate) fn begins_chain(&self) -> Self {
        match self.span() {
            Some(span) => self.with_chain(Some(span.clone()), LONGEST_CHAIN),
            None => self.clone(),
        }
    }

    /// Whether the span of the message has no parent, whatever the relation is.
    pub(crate) fn is_chain_over(&self) -> bool {
        self.0.as_ref().is_some_and(|content| content.chain >= LONGEST_CHAIN)
    }

    fn with_chain(&self, span: Option<Span>, chain: u32) -> Self {
        if span.is_none() && self.is_empty() {
            return Metadata(None);
        }
        let values = self.0.as_ref().map(|content| content.values.clone()).unwrap_or_default();
        Metadata(Some(Arc::new(Content { values, span, chain })))
    }

    /// Returns the span in which the message was sent.
    pub(crate) fn span(&self) -> Option<&Span> {
        self.0.as_ref()?.span.as_ref()
    }

    /// Whether there is neither a value nor a span.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.0.as_ref().map_or(0, |content| content.values.len());
        f.debug_struct("Metadata").field("values", &values).finish_non_exhaustive()
    }
}

/// Whether no code of this thread sees anything.
fn is_nothing_visible() -> bool {
    VISIBLE.try_with(|visible| visible.borrow().metadata.is_nothing()).unwrap_or(true)
}

/// Makes metadata visible to the code of this thread, until it is dropped.
struct Scope(Visible);

impl Scope {
    fn enter(metadata: Metadata) -> Self {
        let visible = Visible { metadata, record: current_process::current_record() };
        // An error means that the thread is ending: the code sees nothing.
        Scope(VISIBLE.try_with(|cell| cell.replace(visible)).unwrap_or_default())
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.0);
        drop(VISIBLE.try_with(|cell| cell.replace(before)));
    }
}

pin_project! {
    /// A future whose code sees metadata.
    struct HandedOn<F> {
        #[pin]
        future: F,
        metadata: Metadata,
    }
}

impl<F: Future> Future for HandedOn<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.metadata.run(|| this.future.poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Span, info_span};

    use super::Metadata;

    /// Otherwise messages would carry nothing on for ever, when they have no more spans.
    #[test]
    fn metadata_without_a_value_and_without_a_span_is_nothing() {
        let subscriber = tracing_subscriber::Registry::default();
        tracing::subscriber::with_default(subscriber, || {
            let sent = Metadata::default().with_span(info_span!("request"));
            assert!(!sent.is_nothing() && sent.is_empty());
            assert!(sent.with_span(Span::none()).is_nothing());
            assert!(sent.continued(Span::none(), true).is_nothing());
            assert!(!sent.with(7_u64).with_span(Span::none()).is_nothing());
        });
    }
}
