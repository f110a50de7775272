//! The settings that only programs as children have.

use std::time::Duration;

use crate::child::ChildSpec;

impl ChildSpec {
    /// Sets how long the exit reason of a program that ended without a stop request stays
    /// undecided: if a stop arrives within this time, the exit reason is
    /// [`Shutdown`](crate::ExitReason::Shutdown). Applies only to a [`command`](Self::command). By
    /// default 100 ms; with zero, the exit reason is decided at once. The window is real time,
    /// unless tokio's clock is paused.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::ChildSpec;
    /// use tokio::process::Command;
    ///
    /// let encoder = ChildSpec::command("encoder", || Command::new("encoder"));
    /// assert_eq!(encoder.get_stop_window(), Duration::from_millis(100));
    /// // Under heavy load a signal to all programs may reach some of them later.
    /// let encoder = encoder.stop_window(Duration::from_secs(1));
    /// assert_eq!(encoder.get_stop_window(), Duration::from_secs(1));
    /// ```
    pub fn stop_window(mut self, window: Duration) -> Self {
        self.edit().stop_window = window;
        self
    }

    /// Sets whether the program of a [`command`](Self::command) gets a process group of its own, on
    /// Unix. By default it is in the group of this program. With a group of its own:
    ///
    /// * `Ctrl-C` does not signal the program: it is stopped in the stop order of its tree. Signals
    ///   that are not sent to a group, such as those of systemd, still reach the program.
    /// * A stop and a kill signal the whole group: the program, and the processes that it has
    ///   started and that are still in its group. These processes are signalled only while the
    ///   program itself exists. When tokio shuts down, only the program is killed.
    /// * The program must not read from a terminal: the terminal suspends a background group that
    ///   reads from it.
    ///
    /// ```
    /// use regrow::ChildSpec;
    /// use tokio::process::Command;
    ///
    /// let pipeline = ChildSpec::command("pipeline", || {
    ///     let mut command = Command::new("sh");
    ///     command.args(["-c", "capture | encode | upload"]);
    ///     command
    /// });
    /// assert!(!pipeline.has_own_process_group());
    /// assert!(pipeline.own_process_group(true).has_own_process_group());
    /// ```
    pub fn own_process_group(mut self, own: bool) -> Self {
        self.edit().own_group = own;
        self
    }
}
