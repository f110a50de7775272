//! The log lines of a runtime, which are [bounded](crate::observe::log_flood).

use crate::base::pid::Pid;
use crate::base::user_panics::ignore_panic;
use crate::kernel::Kernel;
use crate::observe::lifecycle_log;
use crate::observe::log_flood::LineKind;

impl Kernel {
    /// Runs a destructor of user code. Catches its panic, and logs the panic.
    pub(crate) fn catch_destructor(&self, pid: Pid, destructor: impl FnOnce()) {
        lifecycle_log::catch_destructor(destructor, |panic| {
            self.line(LineKind::Destructor, || lifecycle_log::destructor_panicked(pid, &panic));
        });
    }

    /// Writes a line, unless many lines of its kind have just been written. A test that captures
    /// the log receives the line. A panic of the subscriber is discarded: most lines are written in
    /// the teardown of a process, which must be completed.
    pub(crate) fn line(&self, kind: LineKind, write: impl FnOnce()) {
        let tokio = self.handle.get();
        self.switches.captured(|| ignore_panic(|| self.log_flood.line(kind, tokio, write)));
    }
}
