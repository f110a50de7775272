//! A stand-in for a server: the test receives the items of its mailbox.
//!
//! The future of the process and the test share the mailbox reader, and the future drops it. So
//! items that the test has not taken are dropped before the end of the process is announced, as in
//! a real server, and their callers receive the true exit reason.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use tokio::task::unconstrained;

use crate::base::{Pid, PlainMutex};
use crate::exit::ExitReason;
use crate::kernel::NewProcess;
use crate::message::Received;
use crate::runtime::{Name, Runtime, StartCause};
use crate::server::{Dispatch, GenServer, ServerContext, ServerItem, ServerRef};
use crate::testing::{BareProcess, CallSite, wait_for};

/// A stand-in for a server of type `S`. The test receives the calls and casts, as values of the
/// server's own enums, and answers with [`Reply::send`](crate::Reply::send). No callback of `S`
/// runs.
///
/// A mock is a real process, so callers get the usual errors: `NoReply` for a reply that the test
/// drops, and `Exited` or `NoProc` once the mock has [ended](Self::end), or was killed or dropped.
/// A mock can be linked, monitored and named.
///
/// For a server that starts quickly and needs no external service, use the real server instead.
///
/// # Examples
///
/// ```
/// use regrow::testing::Mock;
/// use regrow::{CallError, ExitReason, GenServer, Reply, Result, Runtime, ServerContext, ServerRef};
///
/// /// A server that needs a network.
/// struct Rates;
/// struct Rate {
///     of: &'static str,
///     reply: Reply<u32>,
/// }
/// # impl GenServer for Rates {
/// #     type Args = ();
/// #     type Call = Rate;
/// #     type Cast = ();
/// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
/// #         Ok(Rates)
/// #     }
/// #     async fn handle_call(&mut self, _: Rate, _: &mut ServerContext<Self>) -> Result {
/// #         Ok(())
/// #     }
/// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
/// #         Ok(())
/// #     }
/// # }
///
/// /// The function under test.
/// async fn convert(rates: ServerRef<Rates>, amount: u32) -> Result<u32, CallError> {
///     Ok(amount * rates.call(|reply| Rate { of: "EUR", reply }).await?)
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let mut rates = Mock::<Rates>::new(&rt);
/// let converted = tokio::spawn(convert(rates.server(), 7));
/// let Rate { of, reply } = rates.next_call().await;
/// assert_eq!(of, "EUR");
/// reply.send(3);
/// assert_eq!(converted.await?, Ok(21));
///
/// // A crash during a call:
/// let converted = tokio::spawn(convert(rates.server(), 7));
/// let unanswered = rates.next_call().await;
/// let crash = rates.end(ExitReason::crashed("no network")).await;
/// drop(unanswered);
/// assert_eq!(converted.await?, Err(CallError::Exited(crash)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct Mock<S: GenServer> {
    process: BareProcess<ServerItem<S>>,
    reader: Arc<Reader<S>>,
}

/// An item that a [`Mock`] has received.
#[non_exhaustive]
pub enum Asked<S: GenServer> {
    /// A call, which contains its reply.
    Call(S::Call),
    /// A cast.
    Cast(S::Cast),
    /// A message, a stream or a signal.
    Info(Received),
    /// A call of [`ServerRef::stop`], which waits for the mock to [end](Mock::end).
    Stop(ExitReason),
}

/// The reader of the mailbox; `None` once the process has ended.
type Reader<S> = PlainMutex<Option<ServerContext<S>>>;

/// Drops the reader when the process ends. The future of the process owns this value.
struct DropReader<S: GenServer>(Arc<Reader<S>>);

impl<S: GenServer> Mock<S> {
    /// Starts a mock without a name. [`Mock`] has an example.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless an earlier use of `runtime` was inside one. If
    /// `runtime` was shut down.
    pub fn new(runtime: &Runtime) -> Self {
        Mock::start(runtime, &NewProcess::default())
    }

    /// Starts a mock that holds this name.
    ///
    /// # Panics
    ///
    /// If another process holds the name, and in the same cases as [`new`](Self::new).
    ///
    /// ```
    /// # use regrow::doc_counter::{Cast, Counter};
    /// # use regrow::Runtime;
    /// use regrow::Name;
    /// use regrow::testing::Mock;
    ///
    /// const COUNTER: Name<Counter> = Name::new("counter");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut counter = Mock::named(&rt, COUNTER);
    /// rt.server(COUNTER).cast(Cast::Add(2)); // the code under test
    /// assert!(matches!(counter.next_cast().await, Cast::Add(2)));
    /// # }));
    /// ```
    pub fn named(runtime: &Runtime, name: Name<S>) -> Self {
        Mock::start(runtime, &NewProcess { name: Some(name.into()), ..NewProcess::default() })
    }

    fn start(runtime: &Runtime, new_process: &NewProcess) -> Self {
        let reader = Arc::new(Reader::<S>::default());
        let process = BareProcess::new(runtime, new_process, |process| {
            *reader.lock() = Some(ServerContext::new(process.clone(), &StartCause::First));
            DropReader(reader.clone())
        });
        Mock { process, reader }
    }

    /// Returns a direct handle to the mock, for the code under test. [`Mock`] has an example.
    pub fn server(&self) -> ServerRef<S> {
        ServerRef::direct(self.process.inner().clone())
    }

    /// Returns the pid of the mock, also after its end.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Waits for the next item in the mailbox.
    ///
    /// # Panics
    ///
    /// If the mock has ended. If nothing arrives within a day; under a paused clock this panic
    /// comes at once when no other timer is pending.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped has taken no item.
    ///
    /// ```
    /// # use regrow::doc_counter::Counter;
    /// # use regrow::Runtime;
    /// use regrow::ExitReason;
    /// use regrow::testing::{Asked, Mock};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut mock = Mock::<Counter>::new(&rt);
    /// let counter = mock.server();
    /// let stopped = tokio::spawn(async move { counter.stop(ExitReason::Shutdown).await });
    /// let Asked::Stop(reason) = mock.next().await else { panic!() };
    /// mock.end(reason).await;
    /// assert_eq!(stopped.await?, Ok(ExitReason::Shutdown));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "it returns a future, and no `Option`")]
    pub fn next(&mut self) -> impl Future<Output = Asked<S>> + Send {
        self.take_next(CallSite::here(), "something to be asked", "mock")
    }

    /// Waits for `what`, as `kind` of process.
    pub(super) async fn take_next(&mut self, site: CallSite, what: &str, kind: &str) -> Asked<S> {
        let reader = &self.reader;
        let asked = self.process.or_ended(|cx| poll_next(reader, cx));
        match wait_for(site, || what.to_owned(), asked).await {
            Ok(asked) => asked,
            Err(reason) => {
                panic!("{site}: the {kind} has ended and receives nothing more: {reason:#}")
            }
        }
    }

    /// Takes the next item in the mailbox, if there is one now.
    pub(super) fn take_now(&mut self) -> Option<Asked<S>> {
        // The poll is unconstrained, since tokio's budget could hide an item.
        unconstrained(poll_fn(|cx| poll_next(&self.reader, cx))).now_or_never()
    }

    /// Waits for the next item, which must be a call. [`Mock`] has an example.
    ///
    /// # Panics
    ///
    /// If the item is not a call, and in the same cases as [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`next`](Self::next) is.
    #[track_caller]
    pub fn next_call(&mut self) -> impl Future<Output = S::Call> + Send {
        let site = CallSite::here();
        async move {
            match self.take_next(site, "a call", "mock").await {
                Asked::Call(call) => call,
                other => panic!("{site}: expected a call, but got {other:?}"),
            }
        }
    }

    /// Waits for the next item, which must be a cast. [`named`](Self::named) has an example.
    ///
    /// # Panics
    ///
    /// If the item is not a cast, and in the same cases as [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`next`](Self::next) is.
    #[track_caller]
    pub fn next_cast(&mut self) -> impl Future<Output = S::Cast> + Send {
        let site = CallSite::here();
        async move {
            match self.take_next(site, "a cast", "mock").await {
                Asked::Cast(cast) => cast,
                other => panic!("{site}: expected a cast, but got {other:?}"),
            }
        }
    }

    /// Ends the mock with this reason, for example a [crash](ExitReason::crashed), and waits for
    /// the end. Returns the true exit reason, which is another one if the mock had already ended.
    /// [`Mock`] has an example.
    ///
    /// # Cancel safety
    ///
    /// The mock ends even if the future is dropped. If the future was never polled, the mock ends
    /// normally.
    pub async fn end(self, reason: ExitReason) -> ExitReason {
        self.process.end(reason).await
    }
}

fn poll_next<S: GenServer>(reader: &Reader<S>, cx: &mut Context<'_>) -> Poll<Asked<S>> {
    let mut reader = reader.lock();
    let Some(reader) = reader.as_mut() else { return Poll::Pending };
    loop {
        let waited = ready!(reader.poll_some(cx));
        let dispatch = match reader.next_dispatch(waited) {
            Dispatch::Carried(carried) => carried.dispatch,
            plain => plain,
        };
        return Poll::Ready(match dispatch {
            Dispatch::Call(call) => Asked::Call(call),
            Dispatch::LimitedCall(limited) => Asked::Call(limited.call),
            Dispatch::Cast(cast) => Asked::Cast(cast),
            Dispatch::Info(envelope) => Asked::Info(envelope.into_received()),
            Dispatch::Stop(reason) => Asked::Stop(reason),
            // A mock does not answer system requests and has no timers.
            Dispatch::System(_)
            | Dispatch::Timeout
            | Dispatch::Own(_)
            | Dispatch::Carried(_)
            | Dispatch::Stale => continue,
        });
    }
}

impl<S: GenServer> Drop for DropReader<S> {
    fn drop(&mut self) {
        // Drop the reader outside the lock: it drops the unread items, which may run user code.
        let reader = self.0.lock().take();
        drop(reader);
    }
}

impl<S: GenServer> fmt::Debug for Mock<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mock({})", self.pid())
    }
}

/// Shows the kind of the item, without the user's values.
impl<S: GenServer> fmt::Debug for Asked<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Call(_) => f.write_str("Call(..)"),
            Asked::Cast(_) => f.write_str("Cast(..)"),
            Asked::Info(info) => write!(f, "Info({info:?})"),
            Asked::Stop(reason) => write!(f, "Stop({reason:?})"),
        }
    }
}
