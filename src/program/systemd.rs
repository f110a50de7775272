//! Reports of a run to systemd.
//!
//! # The parts
//!
//! * A **thread** writes the reports to the socket, in the order in which they were made. The write
//!   blocks while the queue of the socket is full, so no thread of tokio may do it.
//! * A **task** of the run's tokio reads the health of the tree, and reports `READY=1`, `STATUS=` and
//!   the pings. No thread may send the pings: a ping says that async code runs.
//! * The **run** reports the stop, and the [reloader](crate::program::reload) each reload.
//!
//! # Invariants
//!
//! 1. `READY=1` is reported for the first time when the tree serves. A reload before that reports
//!    neither its beginning nor its end, since its end is `READY=1`.
//! 2. After `STOPPING=1` no `READY=1` follows: `stopping` is set before, and read under the same lock
//!    under which a report is queued.
//! 3. When the run has returned, its reports have been written, or one second has passed.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::base::os_refusal::start_thread;
use crate::base::{ErrorChain, PlainMutex, SENTENCE, excerpt};
use crate::program::systemd_socket::{Report, State, log_failure, write_all};
use crate::program::{RunError, StopCause, StopReport, WatchdogPing};
use crate::runtime::CallError;
use crate::snapshot::TreeHealth;
use crate::supervisor::SupervisorRef;

/// How often the health is read until the tree serves.
const READY_PERIOD: Duration = Duration::from_millis(100);

/// How often the health is read after that, unless the watchdog needs it more often.
const STATUS_PERIOD: Duration = Duration::from_secs(5);

/// The time limit for the answers of all supervisors.
const SURVEY_LIMIT: Duration = Duration::from_millis(250);

/// How long the end of a run waits for the reports to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The environment variable with the address of systemd's socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// The connection of a run to systemd.
pub(super) struct ServiceManager {
    reports: Arc<Reports>,
    ping: WatchdogPing,
    monitor: PlainMutex<Option<AbortHandle>>,
    /// Closed when the thread has written all reports.
    written: PlainMutex<mpsc::Receiver<()>>,
}

struct Reports {
    queue: PlainMutex<Queue>,
}

struct Queue {
    /// `None` after the end of the run.
    sender: Option<mpsc::Sender<Report>>,
    /// Whether `READY=1` was reported.
    ready: bool,
    stopping: bool,
}

impl ServiceManager {
    /// Connects to systemd, if systemd has started the program. If the operating system provides no
    /// thread, that is logged, and nothing is reported.
    pub(super) fn connect(ping: WatchdogPing) -> Option<Self> {
        std::env::var_os(SOCKET)?;
        let (sender, receiver) = mpsc::channel();
        let (done, written) = mpsc::channel();
        let write = move || {
            write_all(&receiver);
            drop(done);
        };
        if let Err(error) = start_thread("regrow-systemd".into(), "reports to systemd", write) {
            log_failure(&error);
            return None;
        }
        let queue = Queue { sender: Some(sender), ready: false, stopping: false };
        let reports = Arc::new(Reports { queue: PlainMutex::new(queue) });
        reports.status("starting");
        Some(ServiceManager {
            reports,
            ping,
            monitor: PlainMutex::new(None),
            written: PlainMutex::new(written),
        })
    }

    /// Starts the task that reads the health of the tree.
    pub(super) fn tree_started(&self, tree: &SupervisorRef) {
        let monitor = Monitor {
            reports: self.reports.clone(),
            tree: tree.clone(),
            ping: self.ping,
            watchdog: sd_notify::watchdog_enabled().filter(|period| !period.is_zero()),
            status: String::new(),
        };
        *self.monitor.lock() = Some(tokio::spawn(monitor.run()).abort_handle());
    }

    pub(super) fn reload_reports(&self) -> ReloadReports {
        ReloadReports(self.reports.clone())
    }

    pub(super) fn stopping(&self, cause: &StopCause) {
        self.reports.stopping(&format!("stopping, because of {cause}"));
    }

    /// Reports the outcome, and waits until the reports are written.
    pub(super) fn ended(self, outcome: &Result<StopReport, RunError>) {
        let status = match outcome {
            Ok(StopReport { cause, took, .. }) => format!("stopped by {cause} in {took:.1?}"),
            Err(error) => ErrorChain(error).to_string(),
        };
        self.reports.stopping(&status);
        drop(self.reports.queue.lock().sender.take());
        // The result is an error in any case: the channel is closed, or the time is over.
        let _ = self.written.lock().recv_timeout(FLUSH_LIMIT);
    }
}

/// If the run was dropped, the program sends no more pings.
impl Drop for ServiceManager {
    fn drop(&mut self) {
        if let Some(monitor) = self.monitor.lock().take() {
            monitor.abort();
        }
    }
}

impl Reports {
    fn status(&self, status: &str) {
        self.queue.lock().push(None, Some(status));
    }

    /// Reports that the tree serves, unless the stop has begun. Invariants 1 and 2.
    fn ready(&self, status: Option<&str>) {
        let mut queue = self.queue.lock();
        if !queue.stopping {
            queue.ready = true;
            queue.push(Some(State::Ready), status);
        }
    }

    fn stopping(&self, status: &str) {
        let mut queue = self.queue.lock();
        let first = !std::mem::replace(&mut queue.stopping, true);
        queue.push(first.then_some(State::Stopping), Some(status));
    }
}

impl Queue {
    fn push(&self, state: Option<State>, status: Option<&str>) {
        let status = status.map(|status| excerpt(status, SENTENCE).to_string());
        if let Some(sender) = &self.sender {
            // An error means that the thread has ended.
            let _ = sender.send(Report { state, status });
        }
    }
}

/// Reports reloads.
pub(super) struct ReloadReports(Arc<Reports>);

/// A reload that is in progress; `None` if its beginning was not reported.
pub(super) struct ReloadReport(Option<Arc<Reports>>);

impl ReloadReports {
    pub(super) fn begin(&self) -> ReloadReport {
        let queue = self.0.queue.lock();
        let reported = queue.ready && !queue.stopping;
        if reported {
            queue.push(Some(State::Reloading), Some("reloading"));
        }
        drop(queue);
        ReloadReport(reported.then(|| self.0.clone()))
    }
}

impl ReloadReport {
    pub(super) fn finish(self, succeeded: bool) {
        if let Some(reports) = self.0 {
            let status = if succeeded { "reloaded" } else { "the reload failed, see the log" };
            reports.ready(Some(status));
        }
    }
}

/// The task that reads the health of the tree.
struct Monitor {
    reports: Arc<Reports>,
    tree: SupervisorRef,
    ping: WatchdogPing,
    /// `WatchdogSec`, if the watchdog is on.
    watchdog: Option<Duration>,
    /// The health that was reported last.
    status: String,
}

impl Monitor {
    async fn run(mut self) {
        let mut due = Instant::now();
        loop {
            let period = self.period();
            let health = self.tree.survey(SURVEY_LIMIT.min(period)).await;
            self.report(&health.map(|survey| survey.tree().health()));
            // From the previous reading on, so that a slow answer does not delay the next ping.
            due = (due + self.period()).max(Instant::now());
            sleep_until(due).await;
        }
    }

    fn period(&self) -> Duration {
        let base = if self.reports.queue.lock().ready { STATUS_PERIOD } else { READY_PERIOD };
        self.watchdog.map_or(base, |period| base.min(period / 2))
    }

    fn report(&mut self, health: &Result<TreeHealth, CallError>) {
        let (serves, status) = match health {
            Ok(health) => (health.is_serving(), health.to_string()),
            Err(error) => (false, ErrorChain(error).to_string()),
        };
        let changed = status != self.status;
        let (ready, stopping) = {
            let queue = self.reports.queue.lock();
            (queue.ready, queue.stopping)
        };
        if serves && !ready {
            self.reports.ready(Some(&status));
        } else if changed && !stopping {
            self.reports.status(&status);
        }
        self.status = status;
        let works = stopping
            || match self.ping {
                WatchdogPing::WhileReady => serves,
                WatchdogPing::WhileAlive => self.tree.is_alive(),
            };
        if self.watchdog.is_some() && works && (ready || serves) {
            self.reports.queue.lock().push(Some(State::Works), None);
        }
    }
}
