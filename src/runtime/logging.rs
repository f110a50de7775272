//! The level of the lifecycle log, and log lines that users add to it.

use crate::base::Pid;
use crate::observe::log_flood::LineKind;
use crate::observe::{LifecycleEvent, LogLevel, lifecycle_log};
use crate::runtime::Runtime;

impl Runtime {
    /// Sets the level of the lifecycle log. The default is [`Off`](LogLevel::Off).
    ///
    /// At every level, including `Off`, the log has the panics and errors that end a process, and
    /// the children that a supervisor can't start, can't stop in time, or gives up, with or without
    /// a label. Restarts of a child are logged from [`Warn`](LogLevel::Warn) on, or, after a clean
    /// end, from [`Info`](LogLevel::Info) on. All other events are logged for labelled processes
    /// only.
    ///
    /// From [`Info`](LogLevel::Info) on, a census is logged as well: one line of [live processes by
    /// label](Self::census), 2 s after a change. One background task logs it. The task needs a
    /// tokio runtime with time enabled. If this `Runtime` does not know one yet, the next spawn
    /// starts the task.
    ///
    /// ```
    /// use regrow::{LogLevel, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// assert!(!rt.wants_log(LogLevel::Error));
    /// rt.set_log_level(LogLevel::Info);
    /// assert!(rt.wants_log(LogLevel::Warn) && rt.wants_log(LogLevel::Info));
    /// assert!(!rt.wants_log(LogLevel::Debug));
    /// # }));
    /// ```
    pub fn set_log_level(&self, level: LogLevel) {
        self.kernel.tokio();
        self.kernel.set_log_level(level);
        if level >= LogLevel::Info {
            self.start_census();
        }
    }

    /// Whether an event of this level would be logged. Always false for [`Off`](LogLevel::Off).
    /// [`set_log_level`](Self::set_log_level) has an example.
    pub fn wants_log(&self, level: LogLevel) -> bool {
        self.kernel.wants_log(level)
    }

    /// Logs at level Info that a process was spawned. `detail` is free text; build it only if
    /// [`wants_log`](Self::wants_log) returns true. This method does not set a label: use
    /// [`set_label`](Self::set_label) for that. The spawns of supervisors and their children are
    /// logged without this call.
    ///
    /// ```
    /// use regrow::{LogLevel, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.set_log_level(LogLevel::Info);
    /// let session = rt.spawn(|_| std::future::pending()).pid();
    /// assert!(rt.set_label(session, "session"));
    /// if rt.wants_log(LogLevel::Info) {
    ///     rt.log_spawn(session, "session", &format!("for user {}", 42));
    /// }
    /// # }));
    /// ```
    pub fn log_spawn(&self, pid: Pid, label: &str, detail: &str) {
        if self.wants_log(LogLevel::Info) {
            self.kernel.line(LineKind::Spawn, || lifecycle_log::spawn(pid, label, detail));
        }
        self.kernel.events.publish(|| LifecycleEvent::Spawned { pid, label: label.into() });
    }
}
