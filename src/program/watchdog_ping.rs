//! When a program tells systemd that it works.

use crate::program::Run;

/// When a [`Run::systemd`] sends the pings that systemd's watchdog waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchdogPing {
    /// While all nodes of the tree [serve](crate::Health::is_serving), as `/readyz` answers. So
    /// systemd restarts a program that is not ready for the whole `WatchdogSec`, because a child
    /// hangs in its start, reports that it does not work, or waits for another service. Not for a
    /// tree that is unready while a service outside of the program is down: a restart does not
    /// repair that service.
    WhileReady,
    /// While the tree is alive, as `/healthz` answers. So systemd restarts only a program whose tokio
    /// runs no async code any more. A tree that has ended ends the program in any case.
    WhileAlive,
}

impl Run {
    /// Reports the state of the program to systemd, if systemd has started it with
    /// `Type=notify` or `Type=notify-reload`. Without systemd (the environment variable
    /// `NOTIFY_SOCKET` is not set) this has no effect. By default nothing is reported. Requires the
    /// feature `systemd`.
    ///
    /// | report | when |
    /// |---|---|
    /// | `READY=1` | all nodes of the tree serve for the first time; a start alone is not enough. And at the end of each reload, also of a refused one |
    /// | `RELOADING=1`, with `MONOTONIC_USEC` | at a `SIGHUP` that [`on_hangup`](Run::on_hangup) or [`restart_on_hangup`](Run::restart_on_hangup) handles |
    /// | `STOPPING=1` | the stop begins |
    /// | `WATCHDOG=1` | at least every half of `WatchdogSec`, as `ping` says; during the stop always, since the run has a deadline for it |
    /// | `STATUS=` | the health of the tree changes; the stop; the outcome |
    ///
    /// The health is read every 100 ms until the first `READY=1`, and then every 5 s, or every half
    /// of `WatchdogSec` if that is less. An async task reads it and sends the pings, so a program
    /// whose tokio runs no async code any more sends none. A thread outside tokio writes the reports
    /// to the socket, which may block. The programs of [commands](crate::ChildSpec) inherit the
    /// environment variables; systemd ignores their reports unless `NotifyAccess=all`.
    ///
    /// OTP: `heart`, which restarts a system that does not answer.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    /// use regrow::{ChildSpec, Program, Run, Supervisor, WatchdogPing};
    ///
    /// fn main() -> ExitCode {
    ///     Program::new().run(async || {
    ///         let flush = ChildSpec::task("flush", |_| std::future::pending());
    ///         let tree = Supervisor::one_for_one().child(flush);
    ///         Ok(Run::new(tree).systemd(WatchdogPing::WhileReady))
    ///     })
    /// }
    /// ```
    pub fn systemd(mut self, ping: WatchdogPing) -> Self {
        self.systemd = Some(ping);
        self
    }
}
