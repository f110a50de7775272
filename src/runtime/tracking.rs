//! Watching the processes of a runtime at work: switches that can be turned at any time.

use std::time::Duration;

use crate::kernel::Kernel;
use crate::process::{AnyProcess, flag};
use crate::runtime::Runtime;

impl Runtime {
    /// Turns the tracking of handlers on or off; it is off at first, and then costs nothing.
    /// While it is on, [`info`](Self::info) tells of each server how many handlers have
    /// returned, which callback runs and for how long it has, and how old the oldest message
    /// in its mailbox is: that age, more than the depth, says whether a server keeps up. For
    /// a live system that behaves oddly, and for its dashboard.
    ///
    /// All is counted from when it was turned on, or the server's start. What came or began
    /// before has no age, and shows as nothing: so of a server that was stuck by then, only
    /// what comes from now on is seen to wait. Messages that wait for
    /// [room](crate::Overflow::Wait) are not in the mailbox yet. Each message costs an
    /// allocation and two locks more while it is on. Processes that are no servers have no
    /// handlers, and are not tracked. OTP: `sys:statistics/2` for all servers.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{Callback, GenServer, Reply, Result, Runtime, ServerContext};
    /// use tokio::time::sleep;
    ///
    /// struct Slow;
    ///
    /// impl GenServer for Slow {
    /// #     type Args = ();
    /// #     type Call = Reply<()>;
    ///     type Cast = Duration;
    /// #     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Slow)
    /// #     }
    /// #     async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
    /// #         reply.send(());
    /// #         Ok(())
    /// #     }
    ///     async fn handle_cast(&mut self, time: Duration, _: &mut ServerContext<Self>) -> Result {
    ///         sleep(time).await;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// rt.track_handlers(true);
    /// let slow = Slow::start(&rt, ()).await?;
    /// slow.call(|reply| reply).await?;
    /// slow.cast(Duration::from_secs(60)); // begins at once,
    /// sleep(Duration::from_secs(10)).await;
    /// slow.cast(Duration::ZERO); // and has this one wait for it
    /// sleep(Duration::from_secs(5)).await;
    ///
    /// let info = rt.info(slow.pid().unwrap()).unwrap();
    /// assert_eq!(info.handled, Some(1));
    /// let handling = info.handling.unwrap();
    /// assert_eq!((handling.callback, handling.elapsed.as_secs()), (Callback::HandleCast, 15));
    /// assert_eq!(info.oldest_queued.unwrap().as_secs(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn track_handlers(&self, on: bool) {
        self.kernel.switches.set_tracks_handlers(on);
        self.tell_all();
    }

    /// Warns of handlers that run longer than this; `None`, as at first, turns it off, and
    /// then it costs nothing. A server may have a limit of its own, which counts instead:
    /// [`ServerSpec::warn_after`](crate::ServerSpec::warn_after),
    /// [`ChildSpec::warn_after`](crate::ChildSpec::warn_after). OTP has no counterpart but
    /// `erlang:system_monitor/2`, whose `long_schedule` is of one stretch without a pause.
    ///
    /// Each such handler is one WARN event, when its time is up and while it still runs:
    /// target `regrow::server`, fields `pid`, `label`, `callback` and `elapsed`. Nothing is
    /// done to the server. Calls, casts, infos and idle time-outs are meant, of supervisors
    /// too, which handle nothing else while a child's `init` runs; `init` and `terminate` have
    /// limits of another kind.
    ///
    /// Time is counted in steps of 1 ms, as all timers of tokio: a shorter limit, zero included, is
    /// taken as 1 ms. `None` and [`Duration::MAX`] are never.
    ///
    /// A handler that never awaits is told as well, where tokio has another thread to tell it
    /// on. One that runs already when this is called is not.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// rt.warn_after(Duration::from_secs(1));
    /// // WARN regrow::server: a handler runs long pid=<0.7> label="mailer" callback=handle_call elapsed=1s
    /// rt.warn_after(None);
    /// # });
    /// ```
    pub fn warn_after(&self, limit: impl Into<Option<Duration>>) {
        self.kernel.switches.set_slow_handler_limit(limit.into());
        self.tell_all();
    }

    /// Gives each process a span, or no more: what its body and its handlers log is inside of
    /// it, destructors included. Off at first, and then costs one load when the process is
    /// polled. OTP: the pid in the metadata of each log event.
    ///
    /// It is an INFO span named `process`, target `regrow::process`, with fields `pid` and, if
    /// it has one, `label`; a new label is a new span. It has no parent, whoever spawned the
    /// process, and is made when the process next runs, if somebody listens to its target;
    /// so a filter such as `regrow::process=off` saves it. What a body spawns by
    /// `tokio::spawn` is outside of it.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # tracing_subscriber::fmt().with_writer(std::io::sink).init();
    /// let rt = Runtime::new();
    /// rt.process_spans(true);
    /// let mailer = rt.spawn(|_| async {
    ///     // INFO process{pid=<0.1>}: mailer: hello
    ///     tracing::info!(target: "mailer", "hello");
    ///     let span = tracing::Span::current().metadata().unwrap();
    ///     assert_eq!((span.target(), span.name()), ("regrow::process", "process"));
    /// });
    /// assert!(!mailer.join().await.is_abnormal());
    /// # });
    /// ```
    pub fn process_spans(&self, on: bool) {
        self.kernel.switches.set_gives_spans(on);
    }

    /// A switch was turned.
    fn tell_all(&self) {
        let kernel = &self.kernel;
        for process in kernel.table.collect(|_, process| Some(process.clone())) {
            kernel.heed(&*process);
            if kernel.switches.observes_handlers() {
                process.raise(flag::OBSERVED);
            }
        }
    }
}

impl Kernel {
    /// Brings a process in line with the switch; the last one to look is right, as it looks
    /// under the lock.
    pub(crate) fn heed(&self, process: &dyn AnyProcess) {
        process.with(|locked| locked.track(self.switches.tracks_handlers()));
    }
}
