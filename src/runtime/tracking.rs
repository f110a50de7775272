//! Switches for observing the processes of a runtime. They can be turned on and off at any time.

use std::time::Duration;

use crate::kernel::Kernel;
use crate::process::{AnyProcess, flag};
use crate::runtime::Runtime;

impl Runtime {
    /// Turns the tracking of handlers on or off. Tracking is off by default, and costs nothing
    /// while it is off. OTP: `sys:statistics/2`, for all servers.
    ///
    /// While tracking is on, [`info`](Self::info) shows for each server how many handlers have
    /// returned, which callback runs and for how long, and the age of the oldest message in its
    /// mailbox. That age shows better than the mailbox depth whether a server keeps up. Use
    /// tracking to diagnose a live system, and for dashboards.
    ///
    /// Handlers are counted from the moment when tracking was turned on, or from a later start of
    /// the server. Messages that were queued earlier have no age, and handlers that were started
    /// earlier are not shown. So if a handler was already hanging, only messages that arrive later
    /// are shown as waiting. Messages that wait for [room](crate::Overflow::Wait) are not in the
    /// mailbox yet. While tracking is on, each message costs one more allocation and two more
    /// locks. Processes that are not servers have no handlers, and are not tracked.
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
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.track_handlers(true);
    /// let slow = Slow::start(&rt, ()).await?;
    /// slow.call(|reply| reply).await?;
    /// slow.cast(Duration::from_secs(60)); // its handler starts at once
    /// sleep(Duration::from_secs(10)).await;
    /// slow.cast(Duration::ZERO); // waits for the first handler
    /// sleep(Duration::from_secs(5)).await;
    ///
    /// let info = rt.info(slow.pid().unwrap()).unwrap();
    /// assert_eq!(info.handled, Some(1));
    /// let handling = info.handling.unwrap();
    /// assert_eq!((handling.callback, handling.elapsed.as_secs()), (Callback::HandleCast, 15));
    /// assert_eq!(info.oldest_queued.unwrap().as_secs(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn track_handlers(&self, on: bool) {
        self.kernel.switches.set_tracks_handlers(on);
        self.apply_to_all();
    }

    /// Logs a warning for each handler that runs longer than `limit`. `None`, the default, turns
    /// the warnings off, and then they cost nothing.
    ///
    /// A limit of a server takes precedence over this one:
    /// [`ServerSpec::warn_after`](crate::ServerSpec::warn_after),
    /// [`ChildSpec::warn_after`](crate::ChildSpec::warn_after).
    ///
    /// Each such handler is logged as one WARN event when the limit passes, while the handler still
    /// runs: target `regrow::server`, fields `pid`, `label`, `callback` and `elapsed`. The server
    /// itself is not affected. The limit applies to calls, casts, infos and idle time-outs. It
    /// applies to supervisors too: a [`Supervisor`](crate::Supervisor) handles no other message
    /// while the `init` of a child runs, so a long `init` counts as a long handler of the
    /// supervisor. The limit does not apply to `init` and `terminate`, which have limits of their
    /// own.
    ///
    /// Time is measured in steps of 1 ms, as for all tokio timers: a shorter limit, including zero,
    /// counts as 1 ms. With [`Duration::MAX`], as with `None`, no handler is logged.
    ///
    /// A handler that never awaits is logged only if tokio has another thread that can log it. A
    /// handler that already runs when this is called is not logged. The closest counterpart in OTP
    /// is `erlang:system_monitor/2`, whose `long_schedule` reports a process that runs for too long
    /// without a pause.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.warn_after(Duration::from_secs(1));
    /// // WARN regrow::server: a handler runs long pid=<0.7> label="mailer" callback=handle_call elapsed=1s
    /// rt.warn_after(None);
    /// # }));
    /// ```
    pub fn warn_after(&self, limit: impl Into<Option<Duration>>) {
        self.kernel.switches.set_slow_handler_limit(limit.into());
        self.apply_to_all();
    }

    /// Turns a `tracing` span for each process on or off. The body, the handlers and the
    /// destructors of a process run inside its span. Spans are off by default, and then cost one
    /// load when a process is polled. OTP: the pid in the metadata of each log event.
    ///
    /// The span has level INFO, the name `process`, the target `regrow::process`, and the fields
    /// `pid` and, if the process has one, `label`. A new label creates a new span. The span has no
    /// parent, not even the span of the process that spawned this one. A span is created when its
    /// process next runs, and only if its target is enabled, so a filter such as
    /// `regrow::process=off` avoids its cost. Tasks that a body spawns with `tokio::spawn` run
    /// outside the span.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
    /// # }));
    /// ```
    pub fn process_spans(&self, on: bool) {
        self.kernel.switches.set_gives_spans(on);
    }

    /// Tracks handlers for an observation.
    pub(crate) fn add_tracker(&self) {
        self.kernel.switches.add_tracker();
        self.apply_to_all();
    }

    /// Ends the tracking for an observation. Other observations and
    /// [`track_handlers`](Self::track_handlers) may keep it on.
    pub(crate) fn remove_tracker(&self) {
        self.kernel.switches.remove_tracker();
        self.apply_to_all();
    }

    /// Applies the switches to all processes. Call this after a switch has changed.
    pub(crate) fn apply_to_all(&self) {
        let kernel = &self.kernel;
        for process in kernel.table.values() {
            kernel.apply_tracking(&*process);
            if kernel.switches.observes_handlers() {
                process.raise(flag::CHECK_SWITCHES);
            }
        }
    }
}

impl Kernel {
    /// Applies the tracking switch to a process. The switch is read under the lock of the process,
    /// so the last of several concurrent calls applies the current value.
    pub(crate) fn apply_tracking(&self, process: &dyn AnyProcess) {
        process.with(|locked| locked.track(self.switches.tracks_handlers()));
    }
}
