//! The context for handlers that are called by a test.

use std::fmt;
use std::mem;
use std::ops::{ControlFlow, Deref, DerefMut};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::SharedStr;
use crate::call::Reply;
use crate::exit::{ExitReason, Result};
use crate::kernel::NewProcess;
use crate::runtime::{Runtime, StartCause};
use crate::server::run::run_dispatch;
use crate::server::{Continued, GenServer, ServerContext, ServerItem};
use crate::testing::{Answer, BareProcess, CallSite, wait_for};

/// A [`ServerContext`] without a running server. The test creates the state, calls the handlers one
/// by one, and inspects what they requested from the context.
///
/// The context belongs to a real process, so pids, links, monitors, timers and tasks work. The
/// process ends when the `TestContext` is dropped. Items that the process receives stay in its
/// mailbox until the test calls [`handle_next`](Self::handle_next). The handlers run in the test
/// and not in that process, so a call of a server to itself is not detected here.
///
/// To test supervision or concurrency, start the server instead.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use regrow::testing::TestContext;
/// use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
///
/// /// Answers all waiting callers one minute after the latest call.
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
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
/// ctx.handle_next(&mut quarantine).await?; // the cast of the timer, after a paused minute
/// assert_eq!(answer.await, Ok("nothing bad"));
/// # Ok::<(), regrow::ExitReason>(())
/// # })).unwrap();
/// ```
pub struct TestContext<S: GenServer> {
    context: ServerContext<S>,
    process: BareProcess<ServerItem<S>>,
}

impl<S: GenServer> TestContext<S> {
    /// Creates the context of a first start. [`TestContext`] has an example.
    ///
    /// # Panics
    ///
    /// If called outside a tokio runtime, unless an earlier use of `runtime` was inside one. If
    /// `runtime` was shut down.
    pub fn new(runtime: &Runtime) -> Self {
        TestContext::with_cause(runtime, &StartCause::First)
    }

    /// Creates the context of a restart, for an `init` that reads its
    /// [`start_cause`](ServerContext::start_cause).
    ///
    /// # Panics
    ///
    /// In the same cases as [`new`](Self::new).
    ///
    /// ```
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use regrow::ExitReason;
    /// use regrow::testing::TestContext;
    ///
    /// /// Does not use its cache after a crash.
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
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut again = TestContext::restarted(&rt, 1, ExitReason::crashed("bad cache"));
    /// assert!(!Store::init((), &mut again).await?.cached);
    /// assert!(Store::init((), &mut TestContext::new(&rt)).await?.cached);
    /// # Ok::<(), regrow::ExitReason>(())
    /// # })).unwrap();
    /// ```
    pub fn restarted(runtime: &Runtime, attempt: u32, previous: ExitReason) -> Self {
        TestContext::with_cause(runtime, &StartCause::Restart { attempt, previous })
    }

    fn with_cause(runtime: &Runtime, cause: &StartCause) -> Self {
        let process = BareProcess::new(runtime, &NewProcess::default(), |_| ());
        let context = ServerContext::new(process.inner().clone(), cause);
        TestContext { context, process }
    }

    /// Creates a call and the [`Answer`] that its reply resolves. If a handler drops the reply, the
    /// answer is [`NoReply`](crate::CallError::NoReply). [`TestContext`] has an example.
    pub fn question<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> S::Call,
    ) -> (S::Call, Answer<T>) {
        let server = self.process.inner();
        let (reply, answer) = Reply::new(server, Waker::noop().clone());
        (make(reply), Answer { awaited: Some(answer.later()), server: server.clone() })
    }

    /// Handles the next event, in the order of a running server: first the messages of
    /// [`continue_with`](ServerContext::continue_with), then items of the mailbox and timers that
    /// are due, and the idle timeout if no event comes in time. Returns the result of the handler.
    ///
    /// # Errors
    ///
    /// The error of the handler; or the exit reason, if the process was stopped or was ended by a
    /// signal.
    ///
    /// # Panics
    ///
    /// If no event comes within a day. Under a paused clock this panic comes at once when no other
    /// timer is pending.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe until an event arrives. If the future is dropped after that, the handler of the
    /// event does not run to its end.
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
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut ctx = TestContext::new(&rt);
    /// // The `init` casts "a message" to its own server, and continues with "load".
    /// let mut loader = Loader::init((), &mut ctx).await?;
    /// ctx.handle_next(&mut loader).await?;
    /// ctx.handle_next(&mut loader).await?;
    /// assert_eq!(loader.0, ["load", "a message"]);
    /// # Ok::<(), regrow::ExitReason>(())
    /// # })).unwrap();
    /// ```
    #[track_caller]
    pub fn handle_next(&mut self, state: &mut S) -> impl Future<Output = Result> + Send {
        self.handle_one(CallSite::here(), state)
    }

    async fn handle_one(&mut self, site: CallSite, state: &mut S) -> Result {
        loop {
            let ctx = &mut self.context;
            let some = self.process.or_ended(|cx| ctx.poll_some(cx));
            let what = || "something to handle".to_owned();
            let waited = wait_for(site, what, some).await?;
            let dispatch = ctx.next_dispatch(waited);
            let runs_handler = dispatch.callback().is_some();
            match run_dispatch(dispatch, state, ctx).await {
                ControlFlow::Continue(handled) if runs_handler => return handled,
                ControlFlow::Continue(_) => {}
                ControlFlow::Break(reason) => return Err(reason),
            }
        }
    }

    /// Takes the messages that were passed to [`continue_with`](ServerContext::continue_with), in
    /// order. [`handle_next`](Self::handle_next) does not handle them any more. The next event of a
    /// [state machine](crate::StateMachine) stays queued.
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
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let mut ctx = TestContext::new(&rt);
    /// Session::init((), &mut ctx).await?;
    /// assert_eq!(ctx.take_continues(), ["load"]);
    /// assert_eq!(ctx.take_idle_timeout(), Some(Duration::from_secs(60)));
    /// assert_eq!(ctx.take_idle_timeout(), None);
    /// # Ok::<(), regrow::ExitReason>(())
    /// # })).unwrap();
    /// ```
    pub fn take_continues(&mut self) -> Vec<S::Cast> {
        let Some(mut continues) = self.context.take_continues() else { return Vec::new() };
        let (mut casts, mut event) = (Vec::new(), None);
        while let Some(continued) = continues.pop() {
            match continued {
                Continued::Cast(cast, _) => casts.push(cast),
                // A machine has one event in the queue, and needs it.
                own @ Continued::Event { .. } => event = Some(own),
            }
        }
        if let Some(event) = event {
            continues.push(event);
            self.context.put_continues(continues);
        }
        casts
    }

    /// Takes the duration that was last passed to [`idle_timeout`](ServerContext::idle_timeout) or
    /// [`idle_after`](ServerContext::idle_after), if any, and turns the time-out off. The next
    /// event that [`handle_next`](Self::handle_next) handles also clears an `idle_timeout`.
    /// [`take_continues`](Self::take_continues) has an example.
    pub fn take_idle_timeout(&mut self) -> Option<Duration> {
        mem::take(&mut self.context.inner().extras.as_mut()?.idle).limit()
    }

    /// Returns the timers that [`cast_after`](ServerContext::cast_after) and similar methods have
    /// set, in the order in which they are due. [`TestContext`] has an example.
    pub fn timers(&mut self) -> Vec<SetTimer> {
        let kernel = self.runtime().kernel;
        let now = Instant::now();
        let mut timers = Vec::new();
        if let Some(schedule) = self.context.schedule() {
            schedule.visit(&mut |(place, key, period)| {
                let due = kernel.timers.due(place).unwrap_or(now);
                let remaining = due.saturating_duration_since(now);
                timers.push(SetTimer { key: key.cloned(), remaining, period });
            });
        }
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

/// A timer that a handler has set, as [`TestContext::timers`] returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTimer {
    key: Option<SharedStr>,
    remaining: Duration,
    period: Option<Duration>,
}

impl SetTimer {
    /// Returns the key of the timer, if it has one. [`TestContext`] has an example.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the time until the timer is due. [`TestContext`] has an example.
    pub fn remaining(&self) -> Duration {
        self.remaining
    }

    /// Returns the time between two ticks, if the timer was set by
    /// [`cast_every`](ServerContext::cast_every).
    pub fn period(&self) -> Option<Duration> {
        self.period
    }
}
