//! A server whose handlers are the test.
//!
//! The reader of its mailbox is kept by the life of its process and lent to the test for a
//! moment at a time: so, when the process ends, what nobody has taken is dropped before its
//! watchers are told, as in a real server, and its callers hear the true reason.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason;
use crate::kernel::admission::NewProcess;
use crate::message::received::Received;
use crate::runtime::Runtime;
use crate::runtime::starting::StartCause;
use crate::runtime::typed_name::Name;
use crate::server::dispatch::Dispatch;
use crate::server::item::ServerItem;
use crate::server::{GenServer, ServerContext, ServerRef};
use crate::testing::bare_process::StandIn;
use crate::testing::time_limit::patiently;

/// A stand-in for a server of type `S`: what it is asked and told comes to the test, as the
/// server's own enums, and the test answers with [`Reply::send`](crate::Reply::send).
/// Nothing of `S` runs.
///
/// A real process stands behind it, so its callers hear the truth: a reply that the test
/// drops is `NoReply`, and once the mock has [ended](Self::end), was killed or dropped,
/// calls say `Exited` or `NoProc`. It can be linked, monitored and named.
///
/// Not for a server that is quick to start and has no outside of its own: use the real one.
///
/// # Examples
///
/// ```
/// use regrow::testing::Mock;
/// use regrow::{CallError, ExitReason, GenServer, Reply, Result, Runtime, ServerContext, ServerRef};
///
/// /// Needs a network, really.
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
/// /// What is to be tested.
/// async fn convert(rates: ServerRef<Rates>, amount: u32) -> Result<u32, CallError> {
///     Ok(amount * rates.call(|reply| Rate { of: "EUR", reply }).await?)
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let mut rates = Mock::<Rates>::new(&rt);
/// let converted = tokio::spawn(convert(rates.server(), 7));
/// let Rate { of, reply } = rates.next_call().await;
/// assert_eq!(of, "EUR");
/// reply.send(3);
/// assert_eq!(converted.await?, Ok(21));
///
/// // And when it crashes?
/// let converted = tokio::spawn(convert(rates.server(), 7));
/// let question = rates.next_call().await;
/// let crash = rates.end(ExitReason::crashed("no network")).await;
/// drop(question);
/// assert_eq!(converted.await?, Err(CallError::Exited(crash)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Mock<S: GenServer> {
    stand_in: StandIn<ServerItem<S>>,
    desk: Arc<Desk<S>>,
}

/// Something that a [`Mock`] was sent, in the order it came.
#[non_exhaustive]
pub enum Asked<S: GenServer> {
    /// A call, with its reply inside.
    Call(S::Call),
    /// A cast.
    Cast(S::Cast),
    /// A message, a stream or a signal.
    Info(Received),
    /// [`ServerRef::stop`] was called, and waits for the mock to [end](Mock::end).
    Stop(ExitReason),
}

/// What reads the mailbox, until the process ends.
struct Desk<S: GenServer>(Mutex<Option<ServerContext<S>>>);

/// Held by the life of the process.
struct Clear<S: GenServer>(Arc<Desk<S>>);

impl<S: GenServer> Mock<S> {
    /// A mock without a name. [`Mock`] has an example.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime: neither now nor at any earlier use. If `runtime` was shut
    /// down.
    pub fn new(runtime: &Runtime) -> Self {
        Mock::born(runtime, &NewProcess::default())
    }

    /// A mock that holds this name.
    ///
    /// # Panics
    ///
    /// If the name is held; and as [`new`](Self::new).
    ///
    /// ```
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::{Cast, Counter};
    /// # use regrow::Runtime;
    /// use regrow::Name;
    /// use regrow::testing::Mock;
    ///
    /// const COUNTER: Name<Counter> = Name::new("counter");
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let mut counter = Mock::named(&rt, COUNTER);
    /// rt.server(COUNTER).cast(Cast::Add(2)); // by whoever is tested
    /// assert!(matches!(counter.next_cast().await, Cast::Add(2)));
    /// # });
    /// ```
    pub fn named(runtime: &Runtime, name: Name<S>) -> Self {
        Mock::born(runtime, &NewProcess { name: Some(name.into()), ..NewProcess::default() })
    }

    fn born(runtime: &Runtime, new_process: &NewProcess) -> Self {
        let desk = Arc::new(Desk(Mutex::new(None)));
        let stand_in = StandIn::new(runtime, new_process, |process| {
            desk.put(Some(ServerContext::new(process.clone(), None, StartCause::First)));
            Clear(desk.clone())
        });
        Mock { stand_in, desk }
    }

    /// A direct handle to it, for what is to be tested. [`Mock`] has an example.
    pub fn server(&self) -> ServerRef<S> {
        ServerRef::direct(self.stand_in.process().clone())
    }

    /// Its pid, also when it has ended.
    pub fn pid(&self) -> Pid {
        self.stand_in.pid()
    }

    /// The next thing that it was or is sent.
    ///
    /// # Panics
    ///
    /// If it has ended, so that nothing comes any more. If nothing is due within a day: under
    /// paused time that is at once.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken nothing.
    ///
    /// ```
    /// # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
    /// # use counter::Counter;
    /// # use regrow::Runtime;
    /// use regrow::ExitReason;
    /// use regrow::testing::{Asked, Mock};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let mut mock = Mock::<Counter>::new(&rt);
    /// let counter = mock.server();
    /// let stopped = tokio::spawn(async move { counter.stop(ExitReason::Shutdown).await });
    /// let Asked::Stop(reason) = mock.next().await else { panic!() };
    /// mock.end(reason).await;
    /// assert_eq!(stopped.await?, Ok(ExitReason::Shutdown));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn next(&mut self) -> Asked<S> {
        let desk = &self.desk;
        let asked = self.stand_in.or_ended(|cx| desk.poll_asked(cx));
        match patiently("something to be asked", asked).await {
            Ok(asked) => asked,
            Err(reason) => panic!("the mock has ended and is asked nothing more: {reason:#}"),
        }
    }

    /// The next thing that it was or is sent, which must be a call. [`Mock`] has an example.
    ///
    /// # Panics
    ///
    /// If it is none; and as [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken nothing.
    pub async fn next_call(&mut self) -> S::Call {
        match self.next().await {
            Asked::Call(call) => call,
            other => panic!("expected a call, but got {other:?}"),
        }
    }

    /// The next thing that it was or is sent, which must be a cast. [`named`](Self::named) has
    /// an example.
    ///
    /// # Panics
    ///
    /// If it is none; and as [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has taken nothing.
    pub async fn next_cast(&mut self) -> S::Cast {
        match self.next().await {
            Asked::Cast(cast) => cast,
            other => panic!("expected a cast, but got {other:?}"),
        }
    }

    /// Ends it with this reason, a [crash](ExitReason::crashed) for one, and waits until it
    /// has ended. Gives the true reason: another, if it had ended before. [`Mock`] has an
    /// example.
    ///
    /// # Cancel safety
    ///
    /// It ends also if this is dropped, and then normally if it was never polled.
    pub async fn end(self, reason: ExitReason) -> ExitReason {
        self.stand_in.end(reason).await
    }
}

impl<S: GenServer> Desk<S> {
    /// Gives what was there.
    fn put(&self, reader: Option<ServerContext<S>>) -> Option<ServerContext<S>> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), reader)
    }

    fn poll_asked(&self, cx: &mut Context<'_>) -> Poll<Asked<S>> {
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reader) = reader.as_mut() else { return Poll::Pending };
        loop {
            let waited = ready!(reader.poll_some(cx));
            return Poll::Ready(match reader.next_dispatch(waited) {
                Dispatch::Call(call) => Asked::Call(call),
                Dispatch::Cast(cast) => Asked::Cast(cast),
                Dispatch::Info(info) => Asked::Info(info),
                Dispatch::Stop(reason) => Asked::Stop(reason),
                // Nobody answers in its place.
                Dispatch::System(_) | Dispatch::Timeout | Dispatch::Stale => continue,
            });
        }
    }
}

impl<S: GenServer> Drop for Clear<S> {
    fn drop(&mut self) {
        // Dropped with all it has read, outside of the lock.
        drop(self.0.put(None));
    }
}

impl<S: GenServer> fmt::Debug for Mock<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mock({})", self.pid())
    }
}

/// Says what kind of thing it is, not what is in it.
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
