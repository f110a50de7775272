//! When a program tells systemd that it works.

/// When a [`Run::systemd`](crate::Run::systemd) sends the pings that systemd's watchdog waits for.
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
