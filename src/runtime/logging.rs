//! What the lifecycle log tells, as users set it.

use crate::base::pid::Pid;
use crate::observe::event::LifecycleEvent;
use crate::observe::lifecycle_log;
use crate::observe::log_level::LogLevel;
use crate::runtime::Runtime;

impl Runtime {
    /// Sets the level of the lifecycle log; [`Off`](LogLevel::Off) at first. Logged at any level are
    /// panics and errors that end a process, labelled or not, and what a supervisor can't start,
    /// can't stop in time, or gives up. That a supervisor restarts a child is logged from
    /// [`Warn`](LogLevel::Warn) on. All else is logged of labelled processes only.
    ///
    /// From [`Info`](LogLevel::Info) on there is a census as well: one line of
    /// [live processes by label](Self::census), 2 s after something changed. One background
    /// task tells it; that needs a tokio whose time is enabled, and a runtime that knows
    /// tokio by the time of this call.
    ///
    /// ```
    /// use regrow::{LogLevel, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// assert!(!rt.wants_log(LogLevel::Error));
    /// rt.set_log_level(LogLevel::Info);
    /// assert!(rt.wants_log(LogLevel::Warn) && rt.wants_log(LogLevel::Info));
    /// assert!(!rt.wants_log(LogLevel::Debug));
    /// # });
    /// ```
    pub fn set_log_level(&self, level: LogLevel) {
        self.kernel.tokio();
        self.kernel.set_log_level(level);
        if level >= LogLevel::Info {
            self.start_census();
        }
    }

    /// Whether something of this level would be told. Always false for
    /// [`Off`](LogLevel::Off). [`set_log_level`](Self::set_log_level) has an example.
    pub fn wants_log(&self, level: LogLevel) -> bool {
        self.kernel.wants_log(level)
    }

    /// Tells, at Info, that a process was spawned. `detail` is free text; build it only
    /// where [`wants_log`](Self::wants_log) says so. It sets no label:
    /// [`set_label`](Self::set_label) does. Supervisors and their children tell their spawn by
    /// themselves.
    ///
    /// ```
    /// use regrow::{LogLevel, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// rt.set_log_level(LogLevel::Info);
    /// let session = rt.spawn(|_| std::future::pending()).pid();
    /// assert!(rt.set_label(session, "session"));
    /// if rt.wants_log(LogLevel::Info) {
    ///     rt.log_spawn(session, "session", &format!("for user {}", 42));
    /// }
    /// # });
    /// ```
    pub fn log_spawn(&self, pid: Pid, label: &str, detail: &str) {
        if self.wants_log(LogLevel::Info) {
            lifecycle_log::spawn(pid, label, detail);
        }
        self.kernel.events.publish(|| LifecycleEvent::Spawned { pid, label: label.into() });
    }
}
