//! The bound of the log lines of a runtime, so that a storm of crashes neither fills a disk nor keeps
//! the threads busy with lines.
//!
//! **Guarantees.** Of each [kind](LineKind) at most so many lines are written in a window. The lines
//! beyond are counted, and each of them is in exactly one line that says how many were left out.
//! Counters, events and crash reports are not concerned.
//!
//! **Steps** for a line
//! 1. [`LogFlood::admit`] counts the line, under a lock that is held for nothing else. A window begins
//!    with the first line after the end of the window before.
//! 2. A line that is admitted is written. If lines of its kind were left out before it and not yet
//!    reported, their number is written first.
//! 3. A line that is left out starts a task for the end of its window, unless one is due then. The task
//!    reports the number at that time. If tokio shuts down before, the drop of the task reports it.
//!
//! | between two steps | |
//! |---|---|
//! | the window ends, and a line of the next window is written before the task runs | the line takes the number, and the task finds zero and writes nothing |
//! | the window ends, and a line of the next window is left out before the task runs | the line starts the task of its own window; the first task reports it with the others |
//! | a line takes the time, and the task of its window reports before the line is counted | the line starts another task, which reports at once |
//! | the limit is changed | windows that run keep what they have counted, and the new limit holds for the next line |
//! | tokio has dropped the task | no other task is started for that window: the lines that tokio's shutdown causes are bounded too |
//! | there is no tokio runtime, or none with time | the number is reported with the next line of the kind that is written |

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::base::user_panics::catch_panic;
use crate::base::{PlainMutex, ignore_panic};
use crate::time::timer_queue::after;

/// What a line is about. Lines of one kind are limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum LineKind {
    Spawn,
    Exit,
    Resumed,
    LeftUnhandled,
    QueueHandedOn,
    Kill,
    KillTag,
    Destructor,
    CrashReport,
    StartFailed,
    ChildEnded,
    Restarting,
    GaveUp,
    ChildGivenUp,
    ShutdownError,
    NotYielding,
    ExtraProcess,
    WaitsForOrphan,
    PolicyPanicked,
    Unexpected,
    SlowHandler,
    LongPoll,
    Heartbeat,
}

/// The number of kinds.
const KINDS: usize = LineKind::Heartbeat as usize + 1;

impl LineKind {
    /// The message of the lines of this kind, or what they have in common.
    fn name(self) -> &'static str {
        match self {
            LineKind::Spawn => "spawn",
            LineKind::Exit => "exit",
            LineKind::Resumed => "resumed",
            LineKind::LeftUnhandled => "left unhandled",
            LineKind::QueueHandedOn => "queue handed on",
            LineKind::Kill => "kill",
            LineKind::KillTag => "kill tag",
            LineKind::Destructor => "a destructor panicked",
            LineKind::CrashReport => "crash report",
            LineKind::StartFailed => "start failed",
            LineKind::ChildEnded => "child ended",
            LineKind::Restarting => "restarting",
            LineKind::GaveUp => "gave up",
            LineKind::ChildGivenUp => "child given up",
            LineKind::ShutdownError => "shutdown error",
            LineKind::NotYielding => "killed, but not yielding",
            LineKind::ExtraProcess => "stopped: the child's start returned another process",
            LineKind::WaitsForOrphan => "not started while a process of its predecessor is ending",
            LineKind::PolicyPanicked => "on_failure panicked: the restart type decides",
            LineKind::Unexpected => "unexpected message dropped",
            LineKind::SlowHandler => "a handler runs long",
            LineKind::LongPoll => "a process does not yield",
            LineKind::Heartbeat => "a child is late with its heartbeat",
        }
    }
}

impl fmt::Display for LineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// At most `max` lines of a kind in a window of the length `within`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineLimit {
    pub(crate) max: u32,
    pub(crate) within: Duration,
}

/// As the `burst_limit` of OTP's logger, for each kind.
impl Default for LineLimit {
    fn default() -> Self {
        LineLimit { max: 500, within: Duration::from_secs(1) }
    }
}

/// The limiter of a runtime.
#[derive(Debug, Default)]
pub(crate) struct LogFlood(PlainMutex<State>);

#[derive(Debug, Default)]
struct State {
    limit: LineLimit,
    windows: [Window; KINDS],
    left_out: u64,
    /// Tokio's time is not enabled, so no task is started.
    without_time: bool,
}

/// The lines of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    /// When the window began; `None` before the first line.
    since: Option<Instant>,
    lines: u32,
    /// The lines that were left out and are not reported yet.
    left_out: u64,
    /// The time of the last report for which a task was started; `None` if that task has reported.
    due: Option<Instant>,
}

/// What happens with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admitted {
    /// It is written, after a report of so many lines that were left out.
    Written { left_out: u64 },
    /// It is left out. A task is to report it at this time, unless another task does.
    LeftOut { report_at: Option<Instant> },
}

impl LogFlood {
    pub(crate) fn set(&self, limit: LineLimit) {
        self.0.lock().limit = limit;
    }

    /// The number of all lines that were left out.
    pub(crate) fn left_out(&self) -> u64 {
        self.0.lock().left_out
    }

    /// Takes all steps of a line, which `write` writes. `tokio` runs the task of step 3.
    pub(crate) fn line(
        self: &Arc<Self>,
        kind: LineKind,
        tokio: Option<&Handle>,
        write: impl FnOnce(),
    ) {
        match self.admit(kind, Instant::now(), tokio.is_some()) {
            Admitted::Written { left_out } => {
                report(kind, left_out);
                write();
            }
            Admitted::LeftOut { report_at: Some(at) } => {
                if let Some(tokio) = tokio {
                    self.report_at(kind, at, tokio);
                }
            }
            Admitted::LeftOut { report_at: None } => {}
        }
    }

    /// Takes step 3.
    #[cold]
    fn report_at(self: &Arc<Self>, kind: LineKind, at: Instant, tokio: &Handle) {
        let Some(end_of_window) = sleep_on(tokio, at) else {
            self.0.lock().without_time = true;
            return;
        };
        let mut due = DueReport { flood: Arc::clone(self), kind, at, is_over: false };
        tokio.spawn(async move {
            end_of_window.await;
            due.is_over = true;
            drop(due);
        });
    }

    /// Takes step 1. `has_tokio` says whether a task can be started.
    fn admit(&self, kind: LineKind, now: Instant, has_tokio: bool) -> Admitted {
        let State { limit, windows, left_out, without_time } = &mut *self.0.lock();
        let window = &mut windows[kind as usize];
        let is_over = |since| now.saturating_duration_since(since) >= limit.within;
        let since = match window.since {
            Some(since) if !is_over(since) => since,
            _ => {
                (window.since, window.lines) = (Some(now), 0);
                now
            }
        };
        window.lines = window.lines.saturating_add(1);
        if window.lines <= limit.max || limit.within.is_zero() {
            return Admitted::Written { left_out: std::mem::take(&mut window.left_out) };
        }
        *left_out += 1;
        window.left_out += 1;
        let at = after(since, limit.within);
        let is_missing = window.due != Some(at) && has_tokio && !*without_time;
        if is_missing {
            window.due = Some(at);
        }
        Admitted::LeftOut { report_at: is_missing.then_some(at) }
    }

    /// Takes the number for the report that was due at this time, if the time has come.
    fn take_left_out(&self, kind: LineKind, reported: Option<Instant>) -> u64 {
        let window = &mut self.0.lock().windows[kind as usize];
        if reported.is_some() && window.due == reported {
            window.due = None;
        }
        std::mem::take(&mut window.left_out)
    }
}

/// Returns a sleep until this time; `None` if tokio's time is not enabled.
fn sleep_on(tokio: &Handle, at: Instant) -> Option<Sleep> {
    let sleep = catch_panic(|| {
        let _inside = tokio.enter();
        sleep_until(at)
    });
    sleep.ok()
}

/// Reports what was left out when it is dropped: at the end of the window, or with tokio.
struct DueReport {
    flood: Arc<LogFlood>,
    kind: LineKind,
    at: Instant,
    /// The window is over.
    is_over: bool,
}

impl Drop for DueReport {
    fn drop(&mut self) {
        let reported = self.is_over.then_some(self.at);
        report(self.kind, self.flood.take_left_out(self.kind, reported));
    }
}

/// Writes how many lines were left out, unless there were none.
fn report(kind: LineKind, left_out: u64) {
    if left_out > 0 {
        ignore_panic(|| tracing::warn!(target: "regrow", %kind, left_out, "log lines left out"));
    }
}

#[cfg(test)]
mod tests;
