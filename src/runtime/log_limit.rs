//! The limit of the log lines of a runtime, and the number of those that were left out.

use std::time::Duration;

use crate::observe::log_flood::LineLimit;
use crate::runtime::Runtime;

impl Runtime {
    /// Limits the log lines that this runtime writes: at most `max` lines of each kind within a window
    /// of `within`. The default is 500 within 1 s. With a `max` of [`u32::MAX`] or a `within` of zero
    /// there is no limit; with a `max` of 0 only the numbers of lines are written. A window of
    /// [`Duration::MAX`] never ends: what it has left out is reported when tokio shuts down.
    ///
    /// The lines beyond are counted. At the end of the window one line at WARN, target `regrow`, says
    /// how many lines of which kind were left out; the lines with these numbers add up to the number
    /// of all lines that are missing. A storm of crashes therefore cannot fill a disk, and does not keep the
    /// threads busy with writing. The limit concerns lines only: counters, [events](Self::events) and
    /// [crash reports](crate::CrashReport), which have [their own](Self::limit_crash_reports), go on.
    ///
    /// A kind is a message of the log, such as `exit`, `restarting` or `crash report`. Lines that the
    /// code of the program writes, and the output of programs that are children, are not limited. The
    /// lines about connections of other nodes have limits of their own.
    ///
    /// The line at the end of the window takes a tokio runtime with time enabled. OTP: the overload
    /// protection of the logger's handlers, `burst_limit_max_count`, which drops events of all kinds
    /// together, 500 within 1 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.limit_log_lines(10, Duration::from_secs(60));
    /// for _ in 0..25 {
    ///     rt.spawn_fallible(|_| async { Err("no luck")? }).join().await;
    /// }
    /// assert_eq!(rt.left_out_log_lines(), 15); // of the kind `exit`
    /// assert_eq!(rt.counters().ended.error, 25);
    /// # }));
    /// ```
    pub fn limit_log_lines(&self, max: u32, within: Duration) {
        self.kernel.log_flood.set(LineLimit { max, within });
    }

    /// The number of log lines that the [limit](Self::limit_log_lines) has left out so far. A line that no
    /// subscriber wants counts as well.
    pub fn left_out_log_lines(&self) -> u64 {
        self.kernel.log_flood.left_out()
    }
}
