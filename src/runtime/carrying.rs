//! The metadata of messages, and the spans of handled messages, for users.

use std::any::Any;

use crate::observe::MessageSpans;
use crate::runtime::Runtime;

impl Runtime {
    /// Returns a future whose code sees this value beside the [metadata](crate::Metadata) that is
    /// visible here. What the code sends in this runtime carries both to the code that handles it, and
    /// on from there. Use it where a request enters, such as a handler of an HTTP server or the code
    /// of a connection. A value of the same type is replaced.
    ///
    /// Metadata is off until its first use in a runtime: a message carries none, and a send costs one
    /// load more. From then on each send reads a thread-local, and a message that carries metadata
    /// costs three more allocations. The switch is that of this runtime: messages to processes of
    /// another one carry metadata if that one uses it, too.
    ///
    /// # Cancel safety
    ///
    /// As that of `future`.
    ///
    /// ```
    /// use regrow::{GenServer, Reply, Result, Runtime, ServerContext, ServerRef};
    ///
    /// struct Tenant(&'static str);
    ///
    /// /// Asks the next server; the last one answers.
    /// struct Link(Option<ServerRef<Link>>);
    ///
    /// impl GenServer for Link {
    /// #     type Args = Option<ServerRef<Link>>;
    ///     type Call = Reply<&'static str>;
    /// #     type Cast = ();
    /// #     async fn init(next: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Link(next))
    /// #     }
    ///     async fn handle_call(&mut self, reply: Self::Call, ctx: &mut ServerContext<Self>) -> Result {
    ///         match &self.0 {
    ///             Some(next) => reply.send(next.call(|reply| reply).await?),
    ///             None => reply.send(ctx.metadata().get::<Tenant>().ok_or("no tenant")?.0),
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let store = Link::start(&rt, None).await?;
    /// let front = Link::start(&rt, Some(store)).await?;
    /// let answer = rt.with_metadata(Tenant("acme"), front.call(|reply| reply)).await?;
    /// assert_eq!(answer, "acme");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn with_metadata<T, F>(
        &self,
        value: T,
        future: F,
    ) -> impl Future<Output = F::Output> + use<T, F>
    where
        T: Any + Send + Sync,
        F: Future,
    {
        self.kernel.carrying.turn_on();
        self.kernel.captured().with(value).hand_on(future)
    }

    /// Gives each handled message a `tracing` span that is related to the span in which the message
    /// was sent, so that one request through several servers is one trace. [`MessageSpans::Off`] is
    /// the default.
    ///
    /// The handler is polled in its span. What the handler sends is sent in this span, or in one that
    /// the handler has entered itself, also after an await. So the relation goes on over calls, casts,
    /// messages, and tasks: a task of a server has a span of its own. A message that is sent in no span
    /// begins a trace. The span of a message rides on its [`Metadata`](crate::Metadata), and goes where that
    /// goes; [`Metadata::hand_on`](crate::Metadata::hand_on) continues in it for a message that is
    /// handled later.
    ///
    /// A subscriber keeps a span until its children are closed, so a chain of children without end
    /// would never be exported. Therefore the span has no parent, and follows from that of the sender,
    /// whatever the relation is, for what a handler may send again without end: `cast_after`,
    /// `cast_after_as`, [`continue_with`](crate::ServerContext::continue_with) and
    /// [`send_after`](Self::send_after). So it is for each 129th span of any other chain, as of two
    /// servers that cast to each other for ever. If the subscriber filters the spans of messages out,
    /// the handler continues in the span of the sender.
    ///
    /// The span has level INFO, the name `message`, the target `regrow::message`, and the fields
    /// `server` (the label of the server, or the name of its type), `pid`, and `kind`, which is
    /// `call`, `cast`, `message`, `stream` or `task`. It never has the contents of the message.
    /// Signals, idle time-outs and requests to inspect a server have no span. A message keeps the
    /// span of its sender open until it is handled. The spans of
    /// [`process_spans`](Self::process_spans) are independent of these: an event of a handler is in
    /// both.
    ///
    /// Whether a message has a span is decided when it is handled; its relation to the sender is known
    /// only if the switch was on when it was sent. While it is on, a message costs what its
    /// span costs in the subscriber, and six more allocations. OTP: `seq_trace`.
    ///
    /// ```
    /// use regrow::{MessageSpans, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.message_spans(MessageSpans::Child);
    /// # use regrow::doc_counter::{Call, Counter};
    /// # use regrow::GenServer;
    /// # tracing_subscriber::fmt().with_writer(std::io::sink).init();
    /// use tracing::Instrument;
    ///
    /// let counter = Counter::spec(0).label("counter").start(&rt).await.unwrap();
    /// // request: message{server="counter" pid=#1 kind="call"}: …
    /// let answer = counter.call(Call::Get).instrument(tracing::info_span!("request")).await;
    /// assert_eq!(answer, Ok(0));
    /// # }));
    /// ```
    pub fn message_spans(&self, spans: MessageSpans) {
        self.kernel.carrying.set_spans(spans);
    }
}
