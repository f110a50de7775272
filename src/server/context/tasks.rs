//! Tasks of a server, and streams that are piped into it.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use tokio::sync::Semaphore;

use crate::base::Pid;
use crate::driver::host;
use crate::exit::ExitReason;
use crate::kernel::{End, NewProcess};
use crate::process::{Link, LinkRole};
use crate::server::{GenServer, ServerContext};

impl<S: GenServer> ServerContext<S> {
    /// Runs a future as a process of its own, beside this server, and sends the server the result
    /// as a cast, which `done` makes. So long work does not keep the server's other callers
    /// waiting. Returns the pid of the task. If the mailbox is [bounded](crate::Overflow) and full,
    /// the result waits for room; if the policy is to drop, the result is exempt from the bound. So
    /// the bound never loses the result. A server that was asked to stop refuses the result, also while
    /// it drains its mailbox.
    ///
    /// The task and the server are linked: the task ends when the server ends, for whatever reason,
    /// and a task that panics ends the server, unless the server traps exits. OTP: a linked `Task`.
    ///
    /// Do not await long work in the handler, because every other caller would wait for it:
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    ///
    /// async fn long_work() -> u32 {
    ///     tokio::time::sleep(Duration::from_secs(2)).await;
    ///     42
    /// }
    ///
    /// struct Worker;
    ///
    /// impl GenServer for Worker {
    ///     type Args = ();
    ///     type Call = Reply<u32>;
    ///     type Cast = (Reply<u32>, u32);
    ///
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Worker)
    /// #     }
    ///     async fn handle_call(&mut self, reply: Reply<u32>, ctx: &mut ServerContext<Self>) -> Result {
    ///         // Wrong: reply.send(long_work().await);
    ///         ctx.spawn_task(long_work(), |result| (reply, result));
    ///         Ok(())
    ///     }
    ///
    ///     async fn handle_cast(&mut self, done: Self::Cast, _: &mut ServerContext<Self>) -> Result {
    ///         let (reply, result) = done;
    ///         reply.send(result);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = Worker::start(&rt, ()).await?;
    /// let start = tokio::time::Instant::now();
    /// let both = tokio::join!(worker.call(|reply| reply), worker.call(|reply| reply));
    /// assert_eq!(both, (Ok(42), Ok(42)));
    /// assert_eq!(start.elapsed().as_secs(), 2); // not four
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn spawn_task<T, Fut>(
        &mut self,
        work: Fut,
        done: impl FnOnce(T) -> S::Cast + Send + 'static,
    ) -> Pid
    where
        T: Send,
        Fut: Future<Output = T> + Send + 'static,
    {
        let (this, limit) = (self.this(), self.task_limit());
        let metadata = self.task_metadata();
        self.launch_task(metadata.hand_on(async move {
            let _permit = match &limit {
                Some(limit) => limit.acquire().await.ok(),
                None => None,
            };
            this.cast_exempt(done(work.await)).await;
        }))
    }

    fn task_limit(&mut self) -> Option<Arc<Semaphore>> {
        self.inner().extras.as_ref()?.tasks.clone()
    }

    /// Limits how many tasks of this server run at once; further tasks wait. The limit applies to
    /// tasks that are spawned after this call. By default there is no limit. OTP has no
    /// counterpart.
    ///
    /// # Panics
    ///
    /// If `tasks` is 0: no task could ever run.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # async fn long_work() -> u32 {
    /// #     tokio::time::sleep(Duration::from_secs(2)).await;
    /// #     42
    /// # }
    /// struct Worker;
    /// # impl GenServer for Worker {
    /// #     type Args = ();
    /// #     type Call = Reply<u32>;
    /// #     type Cast = (Reply<u32>, u32);
    ///
    /// // … of its `GenServer`, with the handlers of `spawn_task`'s example:
    /// async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///     ctx.limit_tasks(1);
    ///     Ok(Worker)
    /// }
    /// #     async fn handle_call(&mut self, reply: Reply<u32>, ctx: &mut ServerContext<Self>) -> Result {
    /// #         ctx.spawn_task(long_work(), |result| (reply, result));
    /// #         Ok(())
    /// #     }
    /// #     async fn handle_cast(&mut self, done: Self::Cast, _: &mut ServerContext<Self>) -> Result {
    /// #         done.0.send(done.1);
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let worker = Worker::start(&rt, ()).await?;
    /// let start = tokio::time::Instant::now();
    /// let both = tokio::join!(worker.call(|reply| reply), worker.call(|reply| reply));
    /// assert_eq!(both, (Ok(42), Ok(42)));
    /// assert_eq!(start.elapsed().as_secs(), 4); // one after the other
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn limit_tasks(&mut self, tasks: usize) {
        assert!(tasks > 0, "a limit of no tasks at all lets none run");
        self.inner().extras().tasks = Some(Arc::new(Semaphore::new(tasks)));
    }

    /// Sends this server every item of a stream as a cast, and `None` when the stream has ended;
    /// `each` makes the casts. The stream is polled in a process of its own, which is linked to
    /// this server like a [task](Self::spawn_task). Returns the pid of that process. OTP has no
    /// counterpart.
    ///
    /// **With a [bounded mailbox](crate::Overflow) the server sets the pace of the stream.** While
    /// the mailbox is full, the item that was read last waits for room, and the stream is not
    /// polled: so a socket is not read, and its peer is slowed down. Without a bound the stream is
    /// polled even while the server is busy, and the mailbox grows.
    ///
    /// | full, and the policy is | an item | the final `None` |
    /// |---|---|---|
    /// | `Reject`, `Wait` | waits for room, and the stream with it | waits for room |
    /// | `DropOldest`, `DropNewest` | the item or an older message is dropped, as for a cast; the stream is still polled | is exempt: it is queued, and dropped by no policy |
    ///
    /// So the `None` arrives, after all items that were not dropped, unless the server ends or stops, or
    /// the process of the stream is killed.
    ///
    /// A server that handles a thousand numbers at its own pace; the stream is never more than a
    /// few items ahead of the server:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    /// use futures_util::{StreamExt, stream};
    /// use regrow::{ExitReason, GenServer, Overflow, Reply, Result, Runtime, ServerContext};
    ///
    /// /// How many items it has handled, and how many were read from the stream.
    /// struct Slow(u32, Arc<AtomicU32>);
    ///
    /// impl GenServer for Slow {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    ///     type Cast = Option<u32>;
    ///
    ///     async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///         let read = Arc::new(AtomicU32::new(0));
    ///         let counted = read.clone();
    ///         let numbers = stream::iter(0..1_000).inspect(move |_| {
    ///             counted.fetch_add(1, SeqCst);
    ///         });
    ///         ctx.pipe(numbers, |item| item);
    ///         Ok(Slow(0, read))
    ///     }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    ///     async fn handle_cast(&mut self, item: Self::Cast, ctx: &mut ServerContext<Self>) -> Result {
    ///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ///         self.0 += u32::from(item.is_some());
    ///         assert!(self.1.load(SeqCst) <= self.0 + 10); // 8 are queued, and one is on each side
    ///         if item.is_none() { ctx.stop(ExitReason::Normal) } else { Ok(()) }
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let slow = Slow::spec(()).mailbox_capacity(8, Overflow::Wait).start(&rt).await?;
    /// assert!(slow.ended().await.is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::stream;
    /// use regrow::{ExitReason, GenServer, Reply, Result, Runtime, ServerContext};
    ///
    /// /// Ends with the sum of the items.
    /// struct Sum(u32);
    ///
    /// impl GenServer for Sum {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    ///     type Cast = Option<u32>;
    ///
    ///     async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
    ///         ctx.pipe(stream::iter([1, 2, 3]), |item| item);
    ///         Ok(Sum(0))
    ///     }
    /// #     async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    ///     async fn handle_cast(&mut self, item: Self::Cast, _: &mut ServerContext<Self>) -> Result {
    ///         match item {
    ///             Some(number) => self.0 += number,
    ///             None => return Err(ExitReason::shutdown_with(self.0)),
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let sum = Sum::start(&rt, ()).await?;
    /// assert_eq!(sum.ended().await, ExitReason::shutdown_with(6));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn pipe<T: Send>(
        &mut self,
        stream: impl Stream<Item = T> + Send + 'static,
        mut each: impl FnMut(Option<T>) -> S::Cast + Send + 'static,
    ) -> Pid {
        let this = self.this();
        self.launch_task(async move {
            let mut stream = std::pin::pin!(stream);
            loop {
                let Some(item) = stream.next().await else {
                    return this.cast_exempt(each(None)).await;
                };
                if !this.cast_piped(each(Some(item))).await {
                    return;
                }
                // Without this yield, a stream that is always ready would not let its server run.
                tokio::task::yield_now().await;
            }
        })
    }

    fn launch_task(&self, work: impl Future<Output = ()> + Send + 'static) -> Pid {
        let runtime = self.runtime();
        let link = Link::active(runtime.kernel.fresh_id(), LinkRole::Task);
        let new_process = NewProcess { link: Some((self.pid(), link)), ..NewProcess::default() };
        let task = runtime.launch(&new_process, |ctx| {
            host(ctx.process().clone(), async move {
                let _ctx = ctx;
                work.await;
                End::Returned(ExitReason::Normal)
            })
        });
        task.pid()
    }
}
