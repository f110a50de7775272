//! The requests that trace a live server: OTP's `sys:trace/2` and `sys:install/2`.

use crate::exit::Result;
use crate::runtime::CallError;
use crate::server::trace::{Format, format_of};
use crate::server::{GenServer, ServerRef, System, Trace, TraceContent};

impl<S: GenServer> ServerRef<S> {
    /// Traces the server: returns a listener that receives the kind of each item that the server
    /// takes, when it took the item, and how long its handler ran. Use this to debug a live system.
    /// The contents of items stay in the server; [`trace_with`](Self::trace_with) adds a text that
    /// you make of them. OTP: `sys:trace/2`.
    ///
    /// A listener never delays the server: 1,024 events are stored, and further ones are
    /// [counted](Trace::missed). A server can have several listeners. A listener that is dropped is
    /// removed. The trace begins with the item after this request, which is handled in order, like a
    /// call, and also while the server is suspended. While a server is traced, each item costs a
    /// few locks and readings of the clock more; a server that is not traced pays nothing. A
    /// successor that is started after the server's end is not traced.
    ///
    /// # Errors
    ///
    /// [`Timeout`](CallError::Timeout) after five seconds, for example if a handler hangs.
    /// Otherwise as [`call`](Self::call), except for `NoReply` and `Overloaded`.
    ///
    /// # Cancel safety
    ///
    /// A request whose future is dropped, or times out, leaves no trace behind.
    ///
    /// ```
    /// # use regrow::doc_counter::{Call, Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::ExitReason;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start(&rt, 40).await?;
    /// let mut trace = counter.trace().await?;
    /// counter.cast(Cast::Add(2));
    /// counter.call(Call::Get).await?;
    /// counter.stop(ExitReason::Normal).await?;
    ///
    /// let mut lines = Vec::new();
    /// while let Some(event) = trace.next().await {
    ///     lines.push(event.to_string());
    /// }
    /// assert_eq!(lines[..4], ["cast begins", "cast took 0.0ns", "call begins", "call took 0.0ns"]);
    /// assert_eq!((&*lines[4], &*lines[6]), ("stop begins", "terminate begins"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn trace(&self) -> Result<Trace, CallError> {
        self.add_listener(None).await
    }

    /// Traces the server as [`trace`](Self::trace) does, and adds a text about the content of each
    /// call, cast and info. OTP: `sys:install/2`, and the `Dbg` option of `sys:trace/2`, which shows
    /// everything.
    ///
    /// The formatter runs in the server's process before the handler, so it should be quick. It
    /// does not run while there is no room for its text. If it panics, the text says so, and the
    /// server runs on.
    ///
    /// # Errors
    ///
    /// As [`trace`](Self::trace).
    ///
    /// # Cancel safety
    ///
    /// As [`trace`](Self::trace).
    ///
    /// ```
    /// # use regrow::doc_counter::{Cast, Counter};
    /// # use regrow::{GenServer, Runtime};
    /// use regrow::TraceContent;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let counter = Counter::start(&rt, 40).await?;
    /// let mut trace = counter
    ///     .trace_with(|content| match content {
    ///         TraceContent::Cast(Cast::Add(n)) => format!("add {n}"),
    ///         _ => "not shown".to_owned(),
    ///     })
    ///     .await?;
    /// counter.cast(Cast::Add(2));
    /// assert_eq!(trace.next().await.unwrap().to_string(), "cast begins: add 2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn trace_with(
        &self,
        format: impl FnMut(TraceContent<'_, S>) -> String + Send + 'static,
    ) -> Result<Trace, CallError> {
        self.add_listener(Some(format_of(format))).await
    }

    async fn add_listener(&self, format: Option<Format>) -> Result<Trace, CallError> {
        self.ask_system(|reply| System::Trace(reply, format)).await
    }
}
