//! All log lines and lifecycle events of supervisors.
//!
//! Target `regrow::supervisor`; fields `supervisor` (its pid), `label`, `child`, `pid`, `reason`,
//! `restarts`, `budget_left`, `delay`, `doing`, `info`. No level here is above WARN, because the
//! crashed process itself logs each crash once as ERROR, in `regrow::lifecycle`.
//!
//! | line | level | written |
//! |---|---|---|
//! | start failed | WARN | always |
//! | child ended | WARN, a clean end DEBUG | as [`Runtime::set_log_level`] says |
//! | restarting | WARN, after a clean end INFO | likewise |
//! | gave up | WARN | always, once |
//! | child given up | WARN | always, once |
//! | shutdown error: another reason than requested, or an overrun | WARN | always |
//! | killed, but not yielding | WARN | always, every 5 s |
//! | not started while a process of its predecessor is ending | WARN | always, every 5 s |
//! | stopped: the child's start returned another process | WARN | always |
//! | dropped an exit of a child that has not ended | WARN | at most ten a second; `left_out` counts the others |
//! | unexpected message dropped | WARN | always; for messages of other nodes, the 1st, the 2nd, the 4th, the 8th … |
//!
//! After 500 lines of one kind in a second, further ones are [counted](crate::observe::log_flood)
//! instead of written. This limit also applies to lines that are written "always".
//!
//! **Invariants**
//! 1. A panic of a log subscriber does not reach the supervisor: each line is written under
//!    `ignore_panic`.
//! 2. The log level of the runtime suppresses lines, but no events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::{ErrorChain, PAGE, Pid, SharedStr, excerpt, ignore_panic, name};
use crate::child::Spec;
use crate::exit::{ExitKind, ExitReason, WithCauses};
use crate::kernel::exits::ExitSignal;
use crate::kernel::{Kernel, Until, WaitEdge};
use crate::message::Received;
use crate::observe::log_flood::LineKind;
use crate::observe::{ChangeKind, Doing, LifecycleEvent, LogLevel};
use crate::process::{AnyProcess, ChildSlot, ChildStop, SpecKey, SpecName};
use crate::runtime::{Runtime, StartAcks, StartError};
use crate::server::{GenServer, ServerContext};
use crate::supervisor::change_source::ChangeSource;
use crate::supervisor::give_up_error::Origin;

/// The target of all lines.
pub(super) const TARGET: &str = "regrow::supervisor";

/// The supervisor that writes the log lines and sends the events.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) runtime: Runtime,
    pub(crate) supervisor: Pid,
    /// The process of the supervisor.
    pub(crate) process: Arc<dyn AnyProcess>,
    pub(crate) label: SharedStr,
    /// Reports the changes that observations receive.
    pub(crate) source: ChangeSource,
    /// The start acknowledgements of servers. `Some` for a fixed supervisor, which handles no
    /// message while it starts or stops a child; `None` for a dynamic supervisor.
    pub(crate) acks: Option<Arc<StartAcks>>,
    /// The number of messages and signals of other nodes that were dropped.
    pub(crate) foreign: Arc<AtomicU64>,
}

/// A decided restart that is to be reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RestartNotice<'a> {
    pub(crate) child: &'a str,
    /// The path at which the restarts of the child are counted.
    pub(crate) path: &'a SharedStr,
    /// The pid of the last incarnation that ended. A fixed supervisor sets `None` if the last start
    /// failed.
    pub(crate) pid: Option<Pid>,
    pub(crate) reason: &'a ExitReason,
    /// How often the child was started again, this restart and requested starts included.
    pub(crate) restarts: u32,
    /// The number of restarts that are left after this restart; `None` if there is no limit.
    pub(crate) budget_left: Option<u32>,
    pub(crate) delay: Duration,
}

/// Writes one line about a child.
macro_rules! child_line {
    ($level:ident $kind:ident, $report:expr, $child:expr, $($rest:tt)+) => {
        $report.runtime.kernel.line(LineKind::$kind, || {
            ignore_panic(|| {
                tracing::$level!(
                    target: TARGET,
                    supervisor = %$report.supervisor,
                    label = %name(&$report.label),
                    child = %name(&$child),
                    $($rest)+
                )
            })
        })
    };
}

pub(super) use child_line;

impl Report {
    pub(crate) fn new<S: GenServer>(
        ctx: &ServerContext<S>,
        label: SharedStr,
        source: ChangeSource,
    ) -> Self {
        Report {
            runtime: ctx.runtime(),
            supervisor: ctx.pid(),
            process: ctx.process.clone(),
            label,
            source,
            acks: None,
            foreign: Arc::default(),
        }
    }

    /// Whether the supervisor handles no message while a child starts or stops.
    pub(crate) fn is_sequential(&self) -> bool {
        self.acks.is_some()
    }

    /// [Registers the wait](Self::register_wait) of a supervisor that starts and stops its children
    /// one at a time. Does nothing for a dynamic supervisor.
    pub(crate) fn register_wait_if_sequential(&self, child: Pid, until: Until) -> Option<WaitEdge> {
        self.is_sequential().then(|| self.register_wait(child, until)).flatten()
    }

    /// Registers that the supervisor waits for this child, until the returned edge is dropped.
    /// During the wait, deadlock detection refuses a request of the child to the supervisor.
    pub(crate) fn register_wait(&self, child: Pid, until: Until) -> Option<WaitEdge> {
        self.runtime.kernel.waits.wait(self.supervisor, child, until)
    }

    /// Returns the origin of an error with which this supervisor gives up. `child` is the last pid
    /// of the child that caused the error.
    pub(crate) fn origin(&self, child: Option<Pid>) -> Origin {
        let kernel = Arc::downgrade(&self.runtime.kernel);
        Origin { kernel, supervisor: Some(self.supervisor), child }
    }

    /// Sends this child the exit signal `Shutdown`.
    pub(crate) fn ask_to_stop(&self, child: &dyn AnyProcess) {
        let (from, reason) = (self.supervisor, &ExitReason::Shutdown);
        let signal = ExitSignal { from, reason, kind: ExitKind::Exit };
        self.runtime.kernel.signal_exit(child, signal);
    }

    /// Records in the child's process how the supervisor stops the child. Call this before the
    /// stop, because callers of the child's name read from this record whether a successor follows.
    pub(crate) fn note_stop(&self, child: &dyn AnyProcess, stop: ChildStop) {
        child.with(|locked| locked.core().note_stop(stop));
    }

    /// Notes that the supervisor restarts no child from now on, and frees the names that are
    /// reserved for restarts.
    pub(crate) fn end_restarts(&self) {
        self.runtime.kernel.end_restarts(&*self.process);
    }

    /// Notes that the supervisor stops all its children from now on.
    pub(crate) fn begin_shutdown(&self) {
        self.process.with(|locked| locked.core().stop_requested = true);
        self.end_restarts();
    }

    /// Reserves the name of a child that does not run and is about to be started again. `slot` is
    /// its last incarnation.
    pub(crate) fn reserve_name(&self, slot: ChildSlot, spec: &Spec) {
        if let Some(name) = spec.name.clone() {
            let given = SpecName { name, child: spec.id.clone() };
            self.runtime.kernel.reserve(&*self.process, slot, given);
        }
        if let Some(key) = &spec.key {
            let given = SpecKey { key: Arc::clone(key), child: spec.id.clone() };
            Kernel::reserve_key(&*self.process, slot, given);
        }
    }

    /// Frees the names that the incarnation `last` and earlier ones of the same child have left.
    pub(crate) fn free_names(&self, last: ChildSlot) {
        self.runtime.kernel.free_names_of(&*self.process, last);
    }

    /// Records the time at which this child's restart is due, for callers that use the child's names.
    pub(crate) fn postpone_names(&self, slot: ChildSlot, due: Instant) {
        self.runtime.kernel.postpone_names_of(self.supervisor, slot, due);
    }

    pub(crate) fn start_failed(&self, child: &str, reason: &StartError) {
        child_line!(warn StartFailed, self, child, reason = %excerpt(ErrorChain(reason), PAGE), "start failed");
        self.event(|supervisor| LifecycleEvent::StartFailed {
            supervisor,
            child: child.into(),
            reason: reason.as_reason(),
        });
    }

    /// Reports the end of a child that is not started again.
    pub(crate) fn child_ended(&self, child: &str, pid: Pid, reason: &ExitReason) {
        self.event(|supervisor| {
            let (child, reason) = (child.into(), reason.clone());
            LifecycleEvent::ChildEnded { supervisor, child, pid, reason }
        });
        let text = excerpt(WithCauses(reason), PAGE);
        if reason.is_clean() {
            if self.runtime.wants_log(LogLevel::Debug) {
                child_line!(debug ChildEnded, self, child, %pid, reason = %text, "child ended");
            }
        } else if self.runtime.wants_log(LogLevel::Warn) {
            child_line!(warn ChildEnded, self, child, %pid, reason = %text, "child ended");
        }
    }

    /// Reports a restart that was decided.
    pub(crate) fn restarting(&self, decided: RestartNotice<'_>) {
        let RestartNotice { child, path, pid, reason, restarts, budget_left, delay } = decided;
        self.source.count_restart(path);
        drop(self.source.child(child, pid, || {
            let (reason, attempt) = (reason.clone(), restarts);
            ChangeKind::Restarting { reason, attempt, delay, budget_left }
        }));
        self.event(|supervisor| LifecycleEvent::Restarting {
            supervisor,
            child: child.into(),
            reason: reason.clone(),
            attempt: restarts,
            delay,
            budget_left,
        });
        let (pid, text) = (pid.map(tracing::field::display), excerpt(WithCauses(reason), PAGE));
        if reason.is_clean() {
            if self.runtime.wants_log(LogLevel::Info) {
                child_line!(
                    info Restarting, self, child, pid, reason = %text, restarts, budget_left,
                    ?delay, "restarting"
                );
            }
        } else if self.runtime.wants_log(LogLevel::Warn) {
            child_line!(
                warn Restarting, self, child, pid, reason = %text, restarts, budget_left,
                ?delay, "restarting"
            );
        }
    }

    pub(crate) fn shutdown_error(
        &self,
        child: &str,
        pid: Pid,
        reason: &ExitReason,
        overran: Option<Doing>,
    ) {
        let kind = || ChangeKind::ShutdownFailed { reason: reason.clone(), overran };
        self.source.keep_event(Some(pid), kind);
        drop(self.source.child(child, Some(pid), kind));
        let text = excerpt(WithCauses(reason), PAGE);
        match overran {
            Some(doing) => child_line!(
                warn ShutdownError, self, child, %pid, reason = %text, %doing,
                "shutdown error: it overran its time"
            ),
            None => {
                child_line!(warn ShutdownError, self, child, %pid, reason = %text, "shutdown error");
            }
        }
        let overran = overran.is_some();
        self.event(|supervisor| {
            let (child, reason) = (child.into(), reason.clone());
            LifecycleEvent::ShutdownFailed { supervisor, child, pid, reason, overran }
        });
    }

    pub(crate) fn not_yielding(&self, child: &str, pid: Pid) {
        child_line!(warn NotYielding, self, child, %pid, "killed, but not yielding");
    }

    /// Reports a surplus process, which the supervisor stops. The start function of a child has
    /// started that process, and has returned another process as the child.
    pub(crate) fn extra_process(&self, child: &str, pid: Pid) {
        child_line!(warn ExtraProcess, self, child, %pid, "stopped: the child's start returned another process");
    }

    /// Reports that the start of a child waits for an orphan of its killed predecessor.
    pub(crate) fn waits_for_orphan(&self, child: &str, pid: Pid) {
        child_line!(warn WaitsForOrphan, self, child, %pid, "not started while a process of its predecessor is ending");
    }

    /// Sends an event to the listeners of lifecycle events.
    pub(super) fn event(&self, make: impl FnOnce(Pid) -> LifecycleEvent) {
        self.runtime.kernel.events.publish(|| make(self.supervisor));
    }

    /// Reports a message that a supervisor does not handle. Of the messages that other nodes can
    /// send, only the 1st, the 2nd, the 4th, the 8th and so on are reported, because a node must
    /// not fill the log.
    pub(crate) fn unexpected_message(&self, other: &Received) {
        if other.may_be_foreign() && !(self.foreign.fetch_add(1, Relaxed) + 1).is_power_of_two() {
            return;
        }
        let (supervisor, label) = (self.supervisor, name(&self.label));
        self.runtime.kernel.line(LineKind::Unexpected, || {
            ignore_panic(|| {
                tracing::warn!(target: TARGET, %supervisor, %label, info = other.outline(), "unexpected message dropped");
            });
        });
    }
}
