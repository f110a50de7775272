//! A supervision tree as a program: start the tree, listen for signals, stop the tree within a
//! deadline.
//!
//! **Uses** `base`, `exit`, `observe`, `process`, `kernel`, `runtime`, `child`, `supervisor`,
//! `snapshot`.
//! **Knows nothing of** tasks.
//!
//! # What a run guarantees
//!
//! Once its stop has begun, a run returns at most [`KILL_WAIT`] after the deadline or after a
//! second signal. If no async code runs any more, the run can't return; one second later the
//! [watchdog](signal_and_watchdog_thread) ends the operating system process. A run without signals
//! has a watchdog only if a [`Program`] runs it.
//!
//! # Steps
//!
//! 1. **Start.** The tree starts. If a stop is requested during the start, step 3 begins when the
//!    start has ended, and step 4 at the deadline or a second signal.
//! 2. **Wait.** The run waits for the first of: a signal, the cancellation of its token, the end of
//!    the root.
//! 3. **Stop.** The root stops its children as their specifications say. One deadline applies to
//!    the whole stop.
//! 4. **Kill.** At the deadline, or at a second signal, the run kills the root and all processes
//!    below it, and waits for their ends, at most for [`KILL_WAIT`].
//! 5. **Report.** The run returns a report that names each child. A process that has not ended by
//!    then is left behind: its body does not await, or other bodies block the threads.
//!
//! # Invariants
//!
//! 1. The stop begins once. Signals that arrive later are second signals.
//! 2. Supervisors are killed before their children, so that no supervisor restarts a killed child.
//! 3. A root that ends cleanly during the stop counts as stopped. If the root gives up during the
//!    stop, the run returns an error.
//! 4. The default actions of the signals that the run listens to are off from before the start of
//!    the tree until the run has returned or was dropped.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::select;
use tokio::time::{Instant, sleep_until};

mod error;
mod stop_report;
mod report_text;
mod signal_listener;
mod default_action;
#[cfg(feature = "systemd")]
mod watchdog_ping;
#[cfg(all(unix, feature = "systemd"))]
mod systemd_socket;
#[cfg(all(unix, feature = "systemd"))]
mod systemd;
#[cfg(not(all(unix, feature = "systemd")))]
mod no_systemd;
mod reload;
mod stop_outcome;
mod tree_members;
mod stop_state;
mod outcome_log;
mod signal_and_watchdog_thread;
mod watchdog_handle;
mod run;
mod phases;
mod stop;
mod steps;
mod builder;

pub use builder::{Program, main};
pub use error::RunError;
#[cfg(not(all(unix, feature = "systemd")))]
use no_systemd::ServiceManager;
pub use phases::{Phase, Phases};
pub use run::{Run, run};
use signal_listener::SignalRequest;
use stop_outcome::ForcedStop;
pub use stop_report::{CutShort, StopCause, StopOutcome, StopReport, StoppedChild};
use stop_state::StopState;
#[cfg(all(unix, feature = "systemd"))]
use systemd::ServiceManager;
use tree_members::TreeMembers;
use watchdog_handle::Watchdog;
#[cfg(feature = "systemd")]
pub use watchdog_ping::WatchdogPing;

/// The time limit for the ends of the processes that a run has killed.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// Returns the output of the future that is ready first. If both are ready, `one` has precedence.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    select(pin!(one), pin!(other)).await.factor_first().0
}

/// Sleeps until this instant, or for ever if `due` is `None`.
async fn sleep_until_due(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
