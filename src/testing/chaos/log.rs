//! The log of a chaos run: its faults and the lifecycle events of its runtime, one line each, with
//! the time of the paused clock.

use std::fmt;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::base::{PlainMutex, SENTENCE, excerpt, name, path_excerpt};
use crate::exit::ExitReason;
use crate::observe::LifecycleEvent;
use crate::runtime::Runtime;

/// A time as seconds with three decimals.
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:03}", self.0.as_secs(), self.0.subsec_millis()))
    }
}

/// The log of one run.
pub(super) struct Log {
    lines: PlainMutex<Vec<String>>,
    events: PlainMutex<Receiver<LifecycleEvent>>,
}

impl Log {
    pub(super) fn new(runtime: &Runtime) -> Self {
        let events = PlainMutex::new(runtime.kernel.events.subscribe());
        Log { lines: PlainMutex::default(), events }
    }

    /// Adds a line.
    pub(super) fn add(&self, at: Duration, text: impl fmt::Display) {
        // The text may be that of a user's error, so it is formatted before the lock is taken.
        let line = format!("{:>9}  {text}", Seconds(at));
        self.lines.lock().push(line);
    }

    /// Adds the events that have happened since the last call.
    pub(super) fn add_events(&self, at: Duration) {
        loop {
            let event = self.events.lock().try_recv();
            match event {
                // The line of the exit says the same, and the report has times of the real clock.
                Ok(LifecycleEvent::CrashReport(_)) => {}
                Ok(event) => self.add(at, Line(&event)),
                Err(TryRecvError::Lagged(missed)) => {
                    self.add(at, format!("{missed} events missed"));
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock())
    }
}

/// An event as one line.
struct Line<'a>(&'a LifecycleEvent);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = |reason: &ExitReason| excerpt(reason, SENTENCE).to_string();
        match self.0 {
            LifecycleEvent::Spawned { pid, label } => {
                write!(f, "spawned {} as {pid}", name(label))
            }
            LifecycleEvent::Exited { pid, label, reason, .. } => {
                let label = label.as_deref().map(|label| format!("{}, ", name(label)));
                write!(f, "ended {}{pid}: {}", label.unwrap_or_default(), why(reason))
            }
            LifecycleEvent::StartFailed { child, reason, .. } => {
                write!(f, "start of {} failed: {}", name(child), why(reason))
            }
            LifecycleEvent::ChildEnded { child, pid, reason, .. } => {
                write!(f, "not restarted {}, {pid}: {}", name(child), why(reason))
            }
            LifecycleEvent::Restarting { child, attempt, delay, .. } => {
                write!(f, "restarting {}, restart {attempt}, after {delay:?}", name(child))
            }
            LifecycleEvent::Resumed { child, pid, reason, callback, .. } => {
                write!(f, "resumed {}, {pid}, after {callback}: {}", name(child), why(reason))
            }
            LifecycleEvent::ShutdownFailed { child, pid, reason, overran, .. } => {
                let how = if *overran { "overran its stop" } else { "stopped badly" };
                write!(f, "{how} {}, {pid}: {}", name(child), why(reason))
            }
            LifecycleEvent::Unresponsive { child, pid, .. } => {
                write!(f, "unresponsive {}, {pid}", name(child))
            }
            LifecycleEvent::GivenUp { child, pid, reason, .. } => {
                let pid = pid.map(|pid| format!(", {pid}")).unwrap_or_default();
                write!(f, "given up {}{pid}: {}", name(child), why(reason))
            }
            LifecycleEvent::GaveUp { supervisor, child, reason } => {
                write!(f, "supervisor {supervisor} gave up at {}: {}", name(child), why(reason))
            }
            of_process => process_line(f, of_process),
        }
    }
}

/// Writes an event about a process that runs or has run.
fn process_line(f: &mut fmt::Formatter<'_>, event: &LifecycleEvent) -> fmt::Result {
    match event {
        LifecycleEvent::CrashReport(report) => write!(f, "report of {}", report.pid),
        LifecycleEvent::LeftUnhandled { pid, calls, casts, messages, .. } => {
            write!(f, "left unhandled by {pid}: ")?;
            write!(f, "{calls} calls, {casts} casts, {messages} messages")
        }
        LifecycleEvent::QueueHandedOn { pid, from, calls, casts, messages, .. } => {
            write!(f, "handed on by {from} to {pid}: ")?;
            write!(f, "{calls} calls, {casts} casts, {messages} messages")
        }
        LifecycleEvent::HandlerFailed { manager, handler, reason } => {
            write!(
                f,
                "handler {} of {manager} failed: {}",
                name(handler),
                excerpt(reason, SENTENCE)
            )
        }
        LifecycleEvent::LongPoll { pid, elapsed, .. } => {
            write!(f, "{pid} does not yield for {elapsed:?}")
        }
        LifecycleEvent::LongPollEnded { pid, .. } => write!(f, "{pid} has yielded"),
        LifecycleEvent::Control { action, path, caller, outcome, .. } => {
            let action = action.map(|action| action.to_string());
            let action = action.as_deref().unwrap_or("a request");
            let path = path.as_deref().map(|path| format!(" of {}", path_excerpt(path)));
            write!(f, "{action}{} by {}: {outcome}", path.unwrap_or_default(), name(caller))
        }
        _ => Ok(()),
    }
}
