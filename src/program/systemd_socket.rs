//! Writes the reports to systemd's socket.

use std::sync::mpsc;

use sd_notify::NotifyState;
use tracing::warn;

use crate::base::{ErrorChain, ignore_panic};

/// One datagram to systemd.
pub(super) struct Report {
    pub(super) state: Option<State>,
    pub(super) status: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    Reloading,
    Stopping,
    Works,
}

/// Writes all reports until the run has ended. This is the function of the thread.
pub(super) fn write_all(reports: &mpsc::Receiver<Report>) {
    let mut logged = false;
    for report in reports {
        if let Err(error) = write(&report)
            && !std::mem::replace(&mut logged, true)
        {
            log_failure(&error);
        }
    }
}

fn write(report: &Report) -> std::io::Result<()> {
    let mut states = Vec::new();
    match report.state {
        Some(State::Ready) => states.push(NotifyState::Ready),
        Some(State::Stopping) => states.push(NotifyState::Stopping),
        Some(State::Works) => states.push(NotifyState::Watchdog),
        Some(State::Reloading) => {
            states.extend([NotifyState::Reloading, NotifyState::monotonic_usec_now()?]);
        }
        None => {}
    }
    states.extend(report.status.as_deref().map(NotifyState::Status));
    sd_notify::notify(&states)
}

pub(super) fn log_failure(error: &std::io::Error) {
    let reason = ErrorChain(error).to_string();
    ignore_panic(|| warn!(target: "regrow::run", %reason, "systemd gets no reports"));
}
