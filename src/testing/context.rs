//! The handlers of a server, called by a test.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::coop::poll_budget;
use crate::base::shared_str::SharedStr;
use crate::call::reply::Reply;
use crate::call::reply_slot::AwaitedReply;
use crate::exit::reason::{ExitReason, Result};
use crate::kernel::admission::NewProcess;
use crate::process::AnyProcess;
use crate::runtime::Runtime;
use crate::runtime::await_reply::outcome;
use crate::runtime::errors::call_error::CallError;
use crate::runtime::starting::StartCause;
use crate::server::context::schedule::ScheduledCast;
use crate::server::dispatch::Dispatch;
use crate::server::item::ServerItem;
use crate::server::run::suspended;
use crate::server::{GenServer, ServerContext};
use crate::testing::bare_process::{StandIn, resolve};
use crate::testing::time_limit::patiently;

/// A [`ServerContext`] without a running server: the test makes the state, calls its
/// handlers one by one, and looks at what they asked of the context.
///
/// A real process stands behind it, so pids, links, monitors, timers and tasks work; it
/// ends when this is dropped. What that process receives waits until the test lets it be
/// handled, by [`handle_next`](Self::handle_next). The handlers run in the test, not in
/// that process: a call to itself is not refused there.
///
/// Not for what supervision or concurrency does: start the server for that.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::testing::TestContext;
/// use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
///
/// /// Holds what it is told back for a minute, and keeps who asks meanwhile waiting.
/// struct Quarantine(Vec<Reply<&'static str>>);
///
/// impl GenServer for Quarantine {
///     type Args = ();
///     type Call = Reply<&'static str>;
///     type Cast = &'static str;
///
///     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
///         Ok(Quarantine(Vec::new()))
///     }
///     async fn handle_call(&mut self, reply: Self::Call, ctx: &mut ServerContext<Self>) -> Result {
///         self.0.push(reply);
///         ctx.cast_after_as("release", Duration::from_secs(60), "nothing bad");
///         Ok(())
///     }
///     async fn handle_cast(&mut self, word: &'static str, _: &mut ServerContext<Self>) -> Result {
///         self.0.drain(..).for_each(|reply| reply.send(word));
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let mut ctx = TestContext::new(&rt);
/// let mut quarantine = Quarantine::init((), &mut ctx).await?;
///
/// let (call, mut answer) = ctx.question(|reply| reply);
/// quarantine.handle_call(call, &mut ctx).await?;
/// assert_eq!(answer.by_now(), None);
///
/// let [timer] = &ctx.timers()[..] else { panic!("one timer") };
/// assert_eq!((timer.key(), timer.remaining()), (Some("release"), Duration::from_secs(60)));
///
/// ctx.handle_next(&mut quarantine).await?; // the timer's cast, a minute of paused time later
/// assert_eq!(answer.await, Ok("nothing bad"));
/// # Ok::<(), regrow::ExitReason>(())
/// # }).unwrap();
/// ```
pub struct TestContext<S: GenServer> {
    context: ServerContext<S>,
    stand_in: StandIn<ServerItem<S>>,
}

impl<S: GenServer> TestContext<S> {
    /// A context as at a first start. [`TestContext`] has an example.
    ///
    /// # Panics
    ///
    /// If there is no tokio runtime: neither now nor at any earlier use.
    pub fn new(runtime: &Runtime) -> Self {
        TestContext::because(runtime, StartCause::First)
    }

    /// A context as at a restart: for an `init` that asks for its
    /// [`start_cause`](ServerContext::start_cause).
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use regrow::ExitReason;
    /// use regrow::testing::TestContext;
    ///
    /// /// Does not trust its cache after a crash.
    /// struct Store {
    ///     cached: bool,
    /// }
    /// # impl GenServer for Store {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = ();
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    ///
    /// // … of its `GenServer`:
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     Ok(Store { cached: ctx.start_cause().restarts() == 0 })
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let mut again = TestContext::restarted(&rt, 1, ExitReason::crashed("bad cache"));
    /// assert!(!Store::init((), &mut again).await?.cached);
    /// assert!(Store::init((), &mut TestContext::new(&rt)).await?.cached);
    /// # Ok::<(), regrow::ExitReason>(())
    /// # }).unwrap();
    /// ```
    pub fn restarted(runtime: &Runtime, attempt: u32, previous: ExitReason) -> Self {
        TestContext::because(runtime, StartCause::Restart { attempt, previous })
    }

    fn because(runtime: &Runtime, cause: StartCause) -> Self {
        let stand_in = StandIn::new(runtime, &NewProcess::default(), |_| ());
        let context = ServerContext::new(stand_in.process().clone(), None, cause);
        TestContext { context, stand_in }
    }

    /// A question, and where its answer will be. A reply that a handler drops is told as
    /// [`NoReply`](CallError::NoReply). [`TestContext`] has an example.
    pub fn question<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
    ) -> (S::Call, Answer<T>) {
        let server = self.stand_in.process();
        let (reply, answer) = Reply::new(server, Waker::noop().clone());
        (make(reply), Answer { awaited: Some(answer.later()), server: server.clone() })
    }

    /// Lets the next thing be handled, as a running server would: what was to be continued
    /// with first, then what lies in the mailbox, a timer that is due, or, where nothing
    /// comes in time, the idle time-out. Returns what the handler did.
    ///
    /// # Errors
    ///
    /// The handler's; or, if the process was stopped or ended by a signal, the reason of
    /// that.
    ///
    /// # Panics
    ///
    /// If nothing is due within a day: under paused time that is at once.
    ///
    /// # Cancel safety
    ///
    /// While it waits, nothing is lost when it is dropped. Later the handler is dropped.
    ///
    /// ```
    /// use regrow::testing::TestContext;
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # struct Loader(Vec<&'static str>);
    /// # impl GenServer for Loader {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = &'static str;
    /// #     async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    /// #         ctx.this().cast("a message");
    /// #         ctx.continue_with("load");
    /// #         Ok(Loader(Vec::new()))
    /// #     }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, word: &'static str, _: &mut ServerContext<Self>) -> Result {
    /// #         self.0.push(word);
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let mut ctx = TestContext::new(&rt);
    /// // Its `init` casts "a message" to itself, and continues with "load".
    /// let mut loader = Loader::init((), &mut ctx).await?;
    /// ctx.handle_next(&mut loader).await?;
    /// ctx.handle_next(&mut loader).await?;
    /// assert_eq!(loader.0, ["load", "a message"]);
    /// # Ok::<(), regrow::ExitReason>(())
    /// # }).unwrap();
    /// ```
    pub async fn handle_next(&mut self, state: &mut S) -> Result {
        loop {
            let ctx = &mut self.context;
            let some = self.stand_in.or_ended(|cx| ctx.poll_some(cx));
            let waited = patiently("something to handle", some).await?;
            return match ctx.next_dispatch(waited) {
                Dispatch::Stale => continue,
                Dispatch::Call(call) => state.handle_call(call, ctx).await,
                Dispatch::Cast(cast) => state.handle_cast(cast, ctx).await,
                Dispatch::Info(info) => state.handle_info(info, ctx).await,
                Dispatch::Timeout => state.handle_timeout(ctx).await,
                Dispatch::Stop(reason) => Err(reason),
                Dispatch::System(request) => match suspended::serve(*request, state, ctx).await {
                    Some(reason) => Err(reason),
                    None => continue,
                },
            };
        }
    }

    /// What [`continue_with`](ServerContext::continue_with) was given, in that order. Asking
    /// takes it: [`handle_next`](Self::handle_next) finds it no more.
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use std::time::Duration;
    /// use regrow::testing::TestContext;
    ///
    /// struct Session;
    /// # impl GenServer for Session {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    /// #     type Cast = &'static str;
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, _: &'static str, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    ///
    /// // … of its `GenServer`:
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.continue_with("load");
    ///     ctx.idle_timeout(Duration::from_secs(60));
    ///     Ok(Session)
    /// }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let mut ctx = TestContext::new(&rt);
    /// Session::init((), &mut ctx).await?;
    /// assert_eq!(ctx.take_continues(), ["load"]);
    /// assert_eq!(ctx.take_idle_timeout(), Some(Duration::from_secs(60)));
    /// assert_eq!(ctx.take_idle_timeout(), None);
    /// # Ok::<(), regrow::ExitReason>(())
    /// # }).unwrap();
    /// ```
    pub fn take_continues(&mut self) -> Vec<S::Cast> {
        self.context.take_continues().into()
    }

    /// What [`idle_timeout`](ServerContext::idle_timeout) was given last, if it was. Asking
    /// takes it; so does the next thing that [`handle_next`](Self::handle_next) handles.
    /// [`take_continues`](Self::take_continues) has an example.
    pub fn take_idle_timeout(&mut self) -> Option<Duration> {
        self.context.take_idle().limit()
    }

    /// The timers that are set by [`cast_after`](ServerContext::cast_after) and its like, the
    /// one due next first. [`TestContext`] has an example.
    pub fn timers(&mut self) -> Vec<SetTimer> {
        let (kernel, pid) = (self.runtime().kernel, self.pid());
        let now = Instant::now();
        let planned = self.context.schedule().timers.iter().map(|(id, planned)| {
            let due = kernel.timers.due(pid, *id).unwrap_or(now);
            let remaining = due.saturating_duration_since(now);
            match planned {
                ScheduledCast::Once { key, .. } => {
                    SetTimer { key: key.clone(), remaining, period: None }
                }
                ScheduledCast::Every(ticking) => {
                    SetTimer { key: None, remaining, period: Some(ticking.period) }
                }
            }
        });
        let mut timers: Vec<_> = planned.collect();
        timers.sort_by_key(|timer| timer.remaining);
        timers
    }
}

impl<S: GenServer> Deref for TestContext<S> {
    type Target = ServerContext<S>;

    fn deref(&self) -> &ServerContext<S> {
        &self.context
    }
}

impl<S: GenServer> DerefMut for TestContext<S> {
    fn deref_mut(&mut self) -> &mut ServerContext<S> {
        &mut self.context
    }
}

impl<S: GenServer> fmt::Debug for TestContext<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestContext({})", self.pid())
    }
}

/// A timer that a handler has set, as [`TestContext::timers`] tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTimer {
    key: Option<SharedStr>,
    remaining: Duration,
    period: Option<Duration>,
}

impl SetTimer {
    /// Its key, if it has one. [`TestContext`] has an example.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// How long until it is due. [`TestContext`] has an example.
    pub fn remaining(&self) -> Duration {
        self.remaining
    }

    /// The time between two ticks, if it is one of
    /// [`cast_every`](ServerContext::cast_every).
    pub fn period(&self) -> Option<Duration> {
        self.period
    }
}

/// The answer to a [`question`](TestContext::question): what a caller would get.
/// [`TestContext`] has an example.
///
/// # Cancel safety
///
/// Cancel safe; dropping it is a caller that stopped waiting.
#[must_use = "it does nothing unless awaited or asked"]
pub struct Answer<T> {
    /// `None` once it was taken.
    awaited: Option<AwaitedReply<T>>,
    server: Arc<dyn AnyProcess>,
}

impl<T: Send + 'static> Answer<T> {
    /// The answer, if there is one by now; `None` also when it was taken before.
    /// [`TestContext`] has an example.
    pub fn by_now(&mut self) -> Option<Result<T, CallError>> {
        let mut cx = Context::from_waker(Waker::noop());
        self.awaited.as_ref()?;
        // No turn: by now is now, however much of the budget is left.
        match self.poll_now(&mut cx) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn poll_now(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, CallError>> {
        let Answer { awaited: place, server } = self;
        let Some(awaited) = place else { panic!("the answer was taken already") };
        let answer = match awaited.poll(cx, &**server) {
            Poll::Pending => {
                // The server may owe it the truth, from now on or since before.
                resolve(&**server);
                ready!(awaited.poll(cx, &**server))
            }
            Poll::Ready(answer) => answer,
        };
        *place = None;
        Poll::Ready(outcome(answer))
    }
}

impl<T: Send + 'static> Future for Answer<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(poll_budget(cx));
        self.poll_now(cx)
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer(of {})", self.server.pid())
    }
}
