//! What the description of a program as a child may set beyond that of any child.

use std::time::Duration;

use crate::child::ChildSpec;

impl ChildSpec {
    /// How long after a program has ended without having been asked to, in whatever way, its
    /// end is undecided: a stop that arrives in this time makes it one of
    /// [`Shutdown`](crate::ExitReason::Shutdown). Only for [`command`](Self::command). By default 100 ms;
    /// zero decides at once. It is real time, unless tokio's clock is paused.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::ChildSpec;
    /// use tokio::process::Command;
    ///
    /// let encoder = ChildSpec::command("encoder", || Command::new("encoder"));
    /// assert_eq!(encoder.get_stop_window(), Duration::from_millis(100));
    /// // On a machine under heavy load a signal to all arrives everywhere, but not at once.
    /// let encoder = encoder.stop_window(Duration::from_secs(1));
    /// assert_eq!(encoder.get_stop_window(), Duration::from_secs(1));
    /// ```
    pub fn stop_window(mut self, window: Duration) -> Self {
        self.edit().stop_window = window;
        self
    }

    /// Whether the program of a [`command`](Self::command) gets a process group of its own, on
    /// Unix. By default not: it is in this program's group. In its own
    ///
    /// * `Ctrl-C` does not reach it: it is stopped when its turn comes. What signals by other
    ///   means than the group, as systemd does, reaches it as before;
    /// * its stop, and its kill, signal the whole group, and so what the program has started and
    ///   is in its group still. Only while the program itself is there: what outlives it is not
    ///   signalled any more. When tokio shuts down, only the program is killed;
    /// * it must not read from a terminal: a group in the background is stopped for that.
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
