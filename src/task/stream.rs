//! Applies a function to every item of a stream, concurrently, each item in a process of its own.
//!
//! # Guarantees
//!
//! 1. At most `concurrency` items are running, or finished and not yet returned. The input is
//!    polled only while there is room, and only when the stream is polled.
//! 2. Each item taken from the input leads to exactly one item of the output.
//! 3. Dropping the stream kills all in-flight tasks.
//! 4. The time limit of a task runs inside the task's process, so the task ends on time even if the
//!    stream is not polled.
//!
//! [`in_flight`](super::in_flight) describes the steps of one task.

use std::fmt;
use std::future::pending;
use std::num::NonZero;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::oneshot;
use tokio::task::coop;
use tokio::time::timeout;

use crate::base::Pid;
use crate::child::TaskContext;
use crate::runtime::{Inside, Runtime};
use crate::task::in_flight::{InFlight, TaskState};
use crate::task::start::launch;
use crate::task::{LIMIT, TaskError, TaskSupervisorRef};

/// A stream that applies a function to the items of another stream: each item is processed in a
/// [`Task`](crate::Task), and a limited number of tasks run concurrently.
///
/// The stream takes items from its input only when it is polled, and at most
/// [`concurrency`](Self::concurrency) items more than it has returned. So a slow consumer slows the
/// input down, and memory is bounded. Started tasks continue while the stream is not polled.
/// Dropping the stream kills the running tasks. OTP: `Task.async_stream/3`, which buffers results
/// without a bound.
///
/// | setting | default |
/// |---|---|
/// | [`concurrency`](Self::concurrency) | one for each core |
/// | [`unordered`](Self::unordered) | in the order of the input |
/// | [`supervised_by`](Self::supervised_by) | no supervisor |
/// | [`timeout`](Self::timeout), [`no_timeout`](Self::no_timeout) | 5 s for each item |
///
/// A task that exceeds the time limit is killed, and the stream returns [`TaskError::Timeout`] for
/// its item. The other tasks continue; drop the stream to end at the first failure. (OTP's default
/// is to exit the caller.)
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use futures_util::stream;
/// use regrow::{ExitReason, Runtime, TaskStream};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let body = rt.spawn_fallible(|ctx| async move {
///     let start = tokio::time::Instant::now();
///     let mut squares = TaskStream::new(&ctx, stream::iter(1..=8), |number| async move {
///         tokio::time::sleep(Duration::from_secs(1)).await; // … something slow …
///         number * number
///     })
///     .concurrency(4);
///     let mut sum = 0;
///     while let Some(square) = squares.next().await {
///         sum += square?;
///     }
///     assert_eq!((sum, start.elapsed().as_secs()), (204, 2));
///     Ok(())
/// });
/// assert_eq!(body.join().await, ExitReason::Normal);
/// # }));
/// ```
#[must_use = "it starts nothing until it is polled"]
pub struct TaskStream<T> {
    /// `None` once the input has ended.
    start_next: Option<Box<StartNext<T>>>,
    in_flight: InFlight<T>,
    concurrency: usize,
    options: TaskOptions,
}

/// The settings for the start of each task.
struct TaskOptions {
    runtime: Runtime,
    supervisor: Option<TaskSupervisorRef>,
    caller: Option<Pid>,
    limit: Option<Duration>,
}

impl<T: Send + 'static> TaskStream<T> {
    /// Applies `each` to the items, in tasks that are linked to the process of `caller`, as with
    /// [`Task::spawn`](crate::Task::spawn). If a task crashes, a caller that does not trap exits
    /// crashes too. For a caller that traps exits, the stream returns [`TaskError::Exited`].
    ///
    /// `each` is cloned for each item and called inside the task. OTP: `Task.async_stream/3`.
    /// [`TaskStream`] has an example.
    pub fn new<S, F, Fut>(caller: &impl Inside, input: S, each: F) -> Self
    where
        S: Stream<Item: Send> + Send + 'static,
        F: FnOnce(S::Item) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        TaskStream::with(caller.runtime(), Some(caller.pid()), input, each)
    }

    /// Applies `each` as [`new`](Self::new) does, but in tasks without a link: for a task that
    /// crashes, the stream returns an `Err`. The stream can be created outside of processes too.
    /// OTP: `Task.Supervisor.async_stream_nolink/4`.
    ///
    /// ```
    /// use futures_util::{StreamExt, stream};
    /// use regrow::{Runtime, TaskStream};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let texts = stream::iter(["1", "two", "3"]);
    /// let numbers = TaskStream::nolink(&rt, texts, |text| async { text.parse::<u8>().unwrap() });
    /// let numbers: Vec<_> = numbers.map(|number| number.ok()).collect().await;
    /// assert_eq!(numbers, [Some(1), None, Some(3)]);
    /// # }));
    /// ```
    pub fn nolink<S, F, Fut>(runtime: &Runtime, input: S, each: F) -> Self
    where
        S: Stream<Item: Send> + Send + 'static,
        F: FnOnce(S::Item) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        TaskStream::with(runtime.clone(), None, input, each)
    }

    fn with<S, F, Fut>(runtime: Runtime, caller: Option<Pid>, input: S, each: F) -> Self
    where
        S: Stream<Item: Send> + Send + 'static,
        F: FnOnce(S::Item) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let mut input = Box::pin(input);
        let start_next = move |cx: &mut Context<'_>, options: &TaskOptions| {
            let start = |item| start_task(options, each.clone(), item);
            input.as_mut().poll_next(cx).map(|item| item.map(start))
        };
        TaskStream {
            start_next: Some(Box::new(start_next)),
            in_flight: InFlight::in_order(),
            concurrency: std::thread::available_parallelism().map_or(1, NonZero::get),
            options: TaskOptions { runtime, supervisor: None, caller, limit: Some(LIMIT) },
        }
    }

    /// Starts the tasks as children of this supervisor. The supervisor stops them before it ends,
    /// and shows them in its tree. By default they have no supervisor. OTP:
    /// `Task.Supervisor.async_stream/4`.
    ///
    /// ```
    /// use futures_util::{StreamExt, stream};
    /// use regrow::{ExitReason, Runtime, TaskStream, TaskSupervisor};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let tasks = TaskSupervisor::new().start(&rt).await?;
    /// let body = rt.spawn(move |ctx| async move {
    ///     let squares = TaskStream::new(&ctx, stream::iter([1, 2]), |n| async move { n * n });
    ///     let squares: Vec<_> = squares.supervised_by(&tasks).collect().await;
    ///     assert_eq!(squares, [Ok(1), Ok(4)]);
    /// });
    /// assert_eq!(body.join().await, ExitReason::Normal);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn supervised_by(mut self, supervisor: &TaskSupervisorRef) -> Self {
        self.options.supervisor = Some(supervisor.clone());
        self
    }

    /// Sets the maximum number of tasks that are running, or finished and not yet returned. The
    /// default, one for each core, suits computations; for tasks that mostly wait, set a much
    /// greater number. OTP: `max_concurrency`. [`TaskStream`] has an example.
    ///
    /// # Panics
    ///
    /// If `tasks` is 0, because no task could run.
    pub fn concurrency(mut self, tasks: usize) -> Self {
        assert!(tasks > 0, "a concurrency of no tasks at all lets none run");
        self.concurrency = tasks;
        self
    }

    /// Makes the stream return each result as soon as its task has finished. By default results
    /// have the order of the input, so a slow item delays the results after it. OTP:
    /// `ordered: false`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use futures_util::{StreamExt, stream};
    /// use regrow::{Runtime, TaskStream};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let sorted = TaskStream::nolink(&rt, stream::iter([3, 1, 2]), |number| async move {
    ///     tokio::time::sleep(Duration::from_secs(number)).await;
    ///     number
    /// });
    /// let sorted: Vec<_> = sorted.concurrency(3).unordered().collect().await;
    /// assert_eq!(sorted, [Ok(1), Ok(2), Ok(3)]);
    /// # }));
    /// ```
    pub fn unordered(mut self) -> Self {
        self.in_flight.set_unordered();
        self
    }

    /// Sets the time limit of each task, counted from its start. A task that takes longer is
    /// killed, and the stream returns [`TaskError::Timeout`] for its item. The default is 5 s. OTP:
    /// `timeout`, with `on_timeout: :kill_task`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use futures_util::{StreamExt, stream};
    /// use regrow::{Runtime, TaskError, TaskStream};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let limit = Duration::from_secs(30);
    /// let naps = TaskStream::nolink(&rt, stream::iter([60, 1]), |seconds| {
    ///     tokio::time::sleep(Duration::from_secs(seconds))
    /// });
    /// let naps: Vec<_> = naps.timeout(limit).collect().await;
    /// assert_eq!(naps, [Err(TaskError::Timeout(limit)), Ok(())]);
    /// # }));
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.limit = Some(limit);
        self
    }

    /// Removes the time limit of tasks. The default limit is 5 s. OTP: `timeout: :infinity`.
    pub fn no_timeout(mut self) -> Self {
        self.options.limit = None;
        self
    }

    /// Returns the next outcome, or `None` after the last one. `TaskStream` is a [`Stream`] too.
    /// [`TaskStream`] has an example.
    ///
    /// # Errors
    ///
    /// An error concerns one item only, and the stream continues.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future loses no outcome.
    pub async fn next(&mut self) -> Option<Result<T, TaskError>> {
        StreamExt::next(self).await
    }

    /// Starts tasks while there is room. Guarantee 1.
    fn start_tasks(&mut self, cx: &mut Context<'_>) {
        while self.in_flight.len() < self.concurrency
            && let Some(start_next) = &mut self.start_next
        {
            // Each item takes a unit of the cooperative budget, so that an input that is always
            // ready does not block the thread.
            let Poll::Ready(permit) = coop::poll_proceed(cx) else { return };
            match start_next(cx, &self.options) {
                Poll::Ready(Some(state)) => {
                    permit.made_progress();
                    self.in_flight.push(state);
                }
                Poll::Ready(None) => self.start_next = None,
                Poll::Pending => return,
            }
        }
    }
}

impl<T: Send + 'static> Stream for TaskStream<T> {
    type Item = Result<T, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let permit = ready!(coop::poll_proceed(cx));
        self.start_tasks(cx);
        match self.in_flight.poll_next(cx) {
            Poll::Ready(None) if self.start_next.is_some() => Poll::Pending,
            // The end of the stream takes budget too, because a stream that has ended is ready at
            // every poll.
            Poll::Ready(outcome) => {
                permit.made_progress();
                Poll::Ready(outcome)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for TaskStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStream")
            .field("concurrency", &self.concurrency)
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

/// Takes an item from the input, and starts its task. The types of the input and of the function
/// are erased.
type StartNext<T> = dyn FnMut(&mut Context<'_>, &TaskOptions) -> Poll<Option<TaskState<T>>> + Send;

/// Starts the task of one item.
fn start_task<T, I, F, Fut>(options: &TaskOptions, each: F, item: I) -> TaskState<T>
where
    T: Send + 'static,
    I: Send + 'static,
    F: FnOnce(I) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let (caller, limit) = (options.caller, options.limit);
    let body = async move |ctx: TaskContext, slot: oneshot::Sender<_>| {
        let mut work = pin!(each(item));
        let in_time = match limit {
            None => Ok(work.await),
            Some(limit) => timeout(limit, &mut work).await.map_err(|_| limit),
        };
        let is_late = in_time.is_err();
        drop(slot.send(in_time.map_err(TaskError::Timeout)));
        if is_late {
            kill_unlinked(&ctx, caller).await;
        }
    };
    match options.supervisor.clone() {
        None => TaskState::started(launch(&options.runtime, caller, body)),
        Some(tasks) => {
            TaskState::Starting(Box::pin(async move { tasks.launch(caller, body).await }))
        }
    }
}

/// Unlinks the caller and kills the current process, so that the caller gets no exit signal.
async fn kill_unlinked(ctx: &impl Inside, caller: Option<Pid>) {
    if let Some(caller) = caller {
        ctx.runtime().unlink(caller, ctx.pid());
    }
    ctx.runtime().kill(ctx.pid());
    pending().await
}
