//! The lifecycle log: one line for each fact, through `tracing`.
//!
//! The target is `regrow::lifecycle`, and an `exit` line has the fields `pid`, `label`, `name` and
//! `reason`. A restart has no line of its own in this target: it appears as the `exit` line of the
//! old incarnation, followed by the `spawn` line of the new one.
//!
//! A subscriber may panic, for example because standard error is broken. Such a panic is discarded.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::{error, info, warn};

use crate::base::{PAGE, Pid, excerpt, ignore_panic, name};
use crate::exit::{Crash, ExitReason};
use crate::observe::LogLevel;

const TARGET: &str = "regrow::lifecycle";

/// Returns a label or a name in the form that the log shows.
fn field(label: &str) -> String {
    name(label).to_string()
}

pub(crate) fn spawn(pid: Pid, label: &str, detail: &str) {
    ignore_panic(|| match detail {
        "" => info!(target: TARGET, %pid, label = field(label), "spawn"),
        _ => {
            let detail = || excerpt(detail, PAGE).to_string();
            info!(target: TARGET, %pid, label = field(label), detail = detail(), "spawn");
        }
    });
}

pub(crate) fn exit(pid: Pid, label: Option<&str>, name: Option<&str>, reason: &ExitReason) {
    // The texts are formatted only if the subscriber is interested in the line.
    let text = || format!("{:#}", excerpt(reason, PAGE));
    let (label, name) = (|| label.map(field), || name.map(field));
    macro_rules! log_exit {
        ($level:ident) => {
            $level!(
                target: TARGET, %pid, label = label(), name = name(), reason = text(), "exit"
            )
        };
    }
    ignore_panic(|| match LogLevel::for_exit(reason) {
        LogLevel::Error => log_exit!(error),
        LogLevel::Warn => log_exit!(warn),
        _ => log_exit!(info),
    });
}

/// Logs a failed handler after which its server goes on, and how many more of them the server may have
/// now.
pub(crate) fn resumed(
    pid: Pid,
    label: Option<&str>,
    name: Option<&str>,
    (reason, callback, resumes_left): (&ExitReason, &dyn fmt::Display, u32),
) {
    let text = || format!("{:#}", excerpt(reason, PAGE));
    let (label, name) = (|| label.map(field), || name.map(field));
    ignore_panic(|| {
        error!(
            target: TARGET, %pid, label = label(), name = name(), reason = text(), %callback,
            resumes_left, "resumed"
        );
    });
}

/// Logs the numbers of calls, of casts, and of messages and streams that a process has left
/// unhandled.
pub(crate) fn left_unhandled(
    pid: Pid,
    label: Option<&str>,
    name: Option<&str>,
    [calls, casts, messages]: [usize; 3],
) {
    let (label, name) = (|| label.map(field), || name.map(field));
    ignore_panic(|| {
        warn!(
            target: TARGET, %pid, label = label(), name = name(), calls, casts, messages,
            "left unhandled"
        );
    });
}

/// Logs the numbers of calls, of casts, and of messages and streams that the process `pid` has taken
/// over from its predecessor.
pub(crate) fn queue_handed_on(
    pid: Pid,
    from: Pid,
    label: Option<&str>,
    [calls, casts, messages]: [usize; 3],
) {
    let label = || label.map(field);
    ignore_panic(|| {
        info!(
            target: TARGET, %pid, %from, label = label(), calls, casts, messages,
            "queue handed on"
        );
    });
}

pub(crate) fn kill(pid: Pid) {
    ignore_panic(|| info!(target: TARGET, %pid, "kill"));
}

pub(crate) fn kill_tag(tag: &str, killed: usize) {
    let tag = field(tag);
    ignore_panic(|| info!(target: TARGET, tag, killed, "kill tag"));
}

pub(crate) fn census(labels: &str, tags: &str) {
    ignore_panic(|| info!(target: TARGET, labels, tags, "census"));
}

/// Runs a destructor of user code. Catches its panic, and passes its text to `log`.
pub(crate) fn catch_destructor(destructor: impl FnOnce(), log: impl FnOnce(String)) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(destructor)) {
        log(excerpt(Crash::from_panic(payload).message(), PAGE).to_string());
    }
}

/// Logs the panic of a destructor.
pub(crate) fn destructor_panicked(pid: Pid, panic: &str) {
    ignore_panic(|| warn!(target: TARGET, %pid, panic, "a destructor panicked"));
}
