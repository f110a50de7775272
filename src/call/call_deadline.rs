//! The deadline of the call that a handler handles, and how it is handed on to code outside of the
//! handler.
//!
//! **Invariant.** A limit that was handed on is in force only while the same process is the current
//! one of the thread as when its future was polled: a process that the future polls inside of its own
//! poll has nothing of it.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::base::current_process;
use crate::process::CallLimit;

thread_local! {
    static HANDED_ON: RefCell<InForce> =
        const { RefCell::new(InForce { limit: None, record: 0 }) };
}

/// The limit that was handed on to the future that this thread polls.
#[derive(Default)]
struct InForce {
    /// `Some(None)` if the call whose deadline was handed on has no limit.
    limit: Option<Option<Arc<CallLimit>>>,
    /// The address of the record of the process that was the current one.
    record: usize,
}

/// Returns the limit that was handed on to the code that runs. `Some(None)` means that the code works
/// for a call without a limit, and `None` that nothing was handed on to it.
pub(crate) fn handed_on() -> Option<Option<Arc<CallLimit>>> {
    let in_force = |handed_on: &RefCell<InForce>| {
        let handed_on = handed_on.borrow();
        let is_same = handed_on.record == current_process::current_record();
        handed_on.limit.as_ref().filter(|_| is_same).cloned()
    };
    HANDED_ON.try_with(in_force).ok().flatten()
}

/// How long the caller of a call still waits, from [`Reply::deadline`](crate::Reply::deadline) or
/// [`ServerContext::deadline`](crate::ServerContext::deadline). It is known while
/// [deadlines are propagated](crate::Runtime::propagate_deadlines).
///
/// OTP has no counterpart: there the time limit of a call is known to the caller only.
///
/// # Examples
///
/// A handler that gives long work to a task, which answers later. Calls of the task have the time
/// that the caller still waits, because the deadline is handed on:
///
/// ```
/// use std::time::Duration;
/// use regrow::{CallError, GenServer, Reply, Result, Runtime, ServerContext, ServerRef};
///
/// type Answer = Result<u32, CallError>;
///
/// /// Takes an hour to answer.
/// struct Store;
/// # impl GenServer for Store {
/// #     type Args = ();
/// #     type Call = Reply<u32>;
/// #     type Cast = ();
/// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
/// #         Ok(Store)
/// #     }
/// #     async fn handle_call(&mut self, reply: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
/// #         tokio::time::sleep(Duration::from_secs(3600)).await;
/// #         reply.send(1);
/// #         Ok(())
/// #     }
/// # }
///
/// struct Front(ServerRef<Store>);
///
/// impl GenServer for Front {
/// #     type Args = ServerRef<Store>;
///     type Call = Reply<Answer>;
/// #     type Cast = ();
/// #     async fn init(store: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
/// #         Ok(Front(store))
/// #     }
///     async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
///         assert_eq!(reply.deadline().time_left(), Some(Duration::from_secs(2)));
///         let (store, deadline) = (self.0.clone(), reply.deadline());
///         tokio::spawn(deadline.hand_on(async move {
///             let answer = store.call_unlimited(|reply| reply).await;
///             assert!(answer.as_ref().is_err_and(CallError::is_timeout)); // after two seconds
///             reply.send(answer);
///         }));
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// rt.propagate_deadlines(true);
/// let front = Front::start(&rt, Store::start(&rt, ()).await?).await?;
/// let answer = front.call_timeout(|reply| reply, Duration::from_secs(2)).await;
/// assert!(answer.is_err_and(|error| error.is_timeout()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone)]
pub struct CallDeadline {
    limit: Option<Arc<CallLimit>>,
}

impl CallDeadline {
    pub(crate) fn new(limit: Option<Arc<CallLimit>>) -> Self {
        CallDeadline { limit }
    }

    /// Returns the time at which the caller stops waiting. `None` if the caller waits without a
    /// limit, if deadlines were not propagated when the call was made, or if no call is handled.
    /// Pass it to [`timeout_at`](tokio::time::timeout_at) to bound other work of the handler.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// use tokio::time::timeout_at;
    ///
    /// struct Lookup;
    ///
    /// impl GenServer for Lookup {
    /// #     type Args = ();
    /// #     type Call = Reply<&'static str>;
    /// #     type Cast = ();
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Lookup)
    /// #     }
    ///     async fn handle_call(&mut self, reply: Self::Call, ctx: &mut ServerContext<Self>) -> Result {
    ///         let due = ctx.deadline().at().ok_or("a call without limit")?;
    ///         let margin = Duration::from_millis(100);
    ///         let found = timeout_at(due - margin, std::future::pending()).await;
    ///         reply.send(found.unwrap_or("an old value")); // in time
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.propagate_deadlines(true);
    /// let lookup = Lookup::start(&rt, ()).await?;
    /// assert_eq!(lookup.call(|reply| reply).await?, "an old value");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn at(&self) -> Option<Instant> {
        self.limit.as_ref()?.due()
    }

    /// Returns the time that is left until [`at`](Self::at), which is zero once that time has
    /// passed. [`CallDeadline`] has an example.
    pub fn time_left(&self) -> Option<Duration> {
        Some(self.at()?.saturating_duration_since(Instant::now()))
    }

    /// Returns a future whose calls get no more time than the caller has left, as the calls of the
    /// handler itself do, wherever the future is polled. Without it, calls of a task that a handler
    /// spawns, and calls that a server makes for a reply that it has kept, have their own limits
    /// only. The future is not ended when the deadline passes. The deadline of a call that has no limit
    /// means no limit, also within another handler. A call to a server of another `Runtime` has its own
    /// limit only. [`CallDeadline`] has an example.
    ///
    /// # Cancel safety
    ///
    /// As that of `future`.
    pub fn hand_on<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        HandedOn { future, limit: self.limit.clone() }
    }
}

impl fmt::Debug for CallDeadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallDeadline").field("time_left", &self.time_left()).finish()
    }
}

pin_project! {
    /// A future whose code runs with a limit that was handed on.
    struct HandedOn<F> {
        #[pin]
        future: F,
        limit: Option<Arc<CallLimit>>,
    }
}

/// Restores the limit of the code around a poll, also when the poll panics.
struct Restore(InForce);

impl Drop for Restore {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.0);
        drop(HANDED_ON.try_with(|cell| cell.replace(before)));
    }
}

impl<F: Future> Future for HandedOn<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let limit = Some(this.limit.clone());
        let in_force = InForce { limit, record: current_process::current_record() };
        // An error means that the thread is ending: then nothing is in force.
        let before = HANDED_ON.try_with(|cell| cell.replace(in_force)).unwrap_or_default();
        let _restore = Restore(before);
        this.future.poll(cx)
    }
}
