//! The limit of crash reports, and the number of those that were left out.

use std::time::Duration;

use crate::base::Pid;
use crate::observe::crash_report::limit::Limits;
use crate::runtime::Runtime;

impl Runtime {
    /// Limits the [crash reports](crate::CrashReport) of each child in a storm of crashes: at most
    /// `max` within a window of `within`. The default is 5 within 60 s. A window begins with the
    /// first report after the end of the window before. With a `max` of 0 no report is made; with a
    /// `within` of zero reports are not limited.
    ///
    /// The limit is one of each [path](crate::CrashReport::path), so all incarnations of a child
    /// share it, and so do the children of a dynamic supervisor that have the same id. All processes
    /// without a label, a name and a parent share one limit as well. Up to 1,024 paths are
    /// remembered; in a storm of more, the paths beyond share one limit.
    ///
    /// The next report after a window says how many were [left out](crate::CrashReport::left_out).
    /// The ERROR line of each crash and the line of each start have a limit of
    /// [their own](Self::limit_log_lines); all other events are never limited. OTP has no limit for one
    /// child; the handler of its logger drops events of all kinds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::{LifecycleEvent, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// rt.limit_crash_reports(1, Duration::from_secs(60));
    /// let mut events = rt.events();
    /// for _ in 0..3 {
    ///     rt.spawn(|_| async { panic!("boom") }).join().await;
    /// }
    /// assert!(matches!(events.next().await, Some(LifecycleEvent::Exited { .. })));
    /// assert!(matches!(events.next().await, Some(LifecycleEvent::CrashReport(_))));
    /// assert!(matches!(events.next().await, Some(LifecycleEvent::Exited { .. })));
    /// assert!(matches!(events.next().await, Some(LifecycleEvent::Exited { .. })));
    /// assert_eq!(rt.left_out_crash_reports(), 2);
    /// # }));
    /// ```
    pub fn limit_crash_reports(&self, max: u32, within: Duration) {
        self.kernel.crash_report_limit.set(Limits { max, within });
    }

    /// The number of crash reports that the [limit](Self::limit_crash_reports) has left out so far.
    /// Crashes while nothing wants a report are not counted.
    pub fn left_out_crash_reports(&self) -> u64 {
        self.kernel.crash_report_limit.left_out()
    }

    /// Returns the backtrace of a process that has crashed, as text for people: at most 16 KiB, with
    /// controls escaped, as [`Crash::backtrace_text`](crate::Crash::backtrace_text) returns it. The
    /// names of functions are looked up when this is called first, which may take a second and
    /// blocks the thread.
    ///
    /// `None` if the process has not crashed with a backtrace, or its crash is no longer kept. A panic
    /// has a backtrace if [`install_panic_hook`](crate::install_panic_hook) was called and
    /// `RUST_BACKTRACE` enables backtraces. An error has none: in stable Rust no error gives its
    /// backtrace to others. A crash is kept as long as the history of its child has it, or the
    /// program holds its reason, and of all crashes of the runtime the last 1,024 are found. While
    /// `RUST_BACKTRACE` is unset, nothing is kept, and a panic costs no more.
    ///
    /// ```
    /// use regrow::Runtime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// regrow::install_panic_hook();
    ///
    /// let rt = Runtime::new();
    /// let job = rt.spawn(|_| async { panic!("boom") });
    /// let pid = job.pid();
    /// let reason = job.join().await;
    /// let text = reason.crash().unwrap().backtrace_text();
    /// assert_eq!(rt.backtrace_of(pid), text); // `None` without RUST_BACKTRACE
    /// # }));
    /// ```
    pub fn backtrace_of(&self, pid: Pid) -> Option<String> {
        self.kernel.crash_with_backtrace(pid)?.backtrace_text()
    }
}
