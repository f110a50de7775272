//! The watch of a child's heartbeats.
//!
//! **Guarantees.** A child that has reported no heartbeat for the interval of its [`Heartbeat`] has
//! the health `Unresponsive`, until its next heartbeat. If the specification sets a time to end a
//! late child, the child is ended when it has been late for that time. A child without a
//! [`Heartbeat`] has no watch, and no record of heartbeats.
//!
//! **Steps**
//! 1. When a start has succeeded, a task of tokio, the watch, is started. The start counts as a
//!    heartbeat.
//! 2. The watch reads the child's record at the earliest time at which the child can be late, or
//!    has been late for too long.
//! 3. A late child is marked in its record, and logged once. A child that has been late for too
//!    long is killed, with [`HeartbeatMissed`] as its reason.
//!
//! The watch is a task of its own, because the child may hang, and its supervisor may wait for
//! another child.
//!
//! **What happens if** …
//!
//! | | |
//! |---|---|
//! | the child ends before step 1 | its record is closed: there is no watch |
//! | the loop of a server ends before step 1 | there is no watch |
//! | the loop of a server ends later, by itself or by a request | the server drops the watch, because `terminate` can report no heartbeat |
//! | the child ends later | its record drops the watch; a watch that is just reading the record finds the child's stage and ends |
//! | the supervisor begins to stop the child | the watch ends at its next look, because the shutdown time now limits the child |
//! | the supervisor begins to stop the child between a look and the kill | the child ends at once, with the reason of the kill; the stop waits for the end of the process, whatever its reason |
//! | a heartbeat comes between a look and the kill | the child is killed, because it was late at the look |
//! | the server is suspended, even before step 1 | it is never late; its resumption counts as a heartbeat |
//! | the child blocks its thread | it is shown as unresponsive, and ends at its next await |

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::base::{Pid, ignore_panic, name};
use crate::child::{Heartbeat, HeartbeatMissed, Spec};
use crate::exit::{ExitKind, ExitReason};
use crate::kernel::NO_TOKIO;
use crate::kernel::exits::ExitSignal;
use crate::observe::log_flood::LineKind;
use crate::observe::{Doing, LifecycleEvent};
use crate::process::heartbeat::{Heartbeats, WatchTask};
use crate::process::{AnyProcess, ChildStop, Core, Intake, Stage};
use crate::runtime::Runtime;
use crate::time::timer_queue::after;

/// The next step of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Look again at this time.
    Until(Instant),
    /// The child of this supervisor has become late: report it, then look again.
    Late { supervisor: Pid },
    /// End the child, which has reported no heartbeat for this long.
    End { silent: Duration },
    /// The child is ending, or is being stopped.
    Over,
}

/// Starts the watch of a child that has just started, if its specification requires heartbeats.
pub(crate) fn watch(runtime: &Runtime, spec: &Spec, process: &Arc<dyn AnyProcess>) {
    let Some(heartbeat) = spec.heartbeat else { return };
    let tokio = runtime.kernel.tokio().expect(NO_TOKIO);
    let weak = Arc::downgrade(process);
    let watching = look_until_over(runtime.clone(), spec.id.to_string(), weak, heartbeat);
    let task = WatchTask(tokio.spawn(watching).abort_handle());
    let mut heartbeats = Some(Box::new(Heartbeats::new(task)));
    process.with(|locked| {
        let core = locked.core();
        if core.intake != Intake::LoopEnded
            && let Some(registrations) = core.open_registrations()
        {
            std::mem::swap(&mut registrations.heartbeats, &mut heartbeats);
        }
    });
}

async fn look_until_over(
    runtime: Runtime,
    id: String,
    process: Weak<dyn AnyProcess>,
    heartbeat: Heartbeat,
) {
    loop {
        let Some(process) = process.upgrade() else { return };
        let look = runtime.kernel.change_health(&*process, |core| {
            let look = look(core, heartbeat, Instant::now());
            (look, matches!(look, Look::Late { .. }))
        });
        match look {
            Look::Until(at) => {
                drop(process);
                sleep_until(at).await;
            }
            Look::Late { supervisor } => {
                runtime.note_health_change();
                let (child, pid) = (id.as_str().into(), process.pid());
                let event = LifecycleEvent::Unresponsive { supervisor, child, pid };
                runtime.kernel.events.publish(|| event);
                report(&runtime, &id, pid, "a child is late with its heartbeat");
            }
            Look::End { silent } => {
                report(&runtime, &id, process.pid(), "a child without a heartbeat is ended");
                return end(
                    &runtime,
                    &*process,
                    HeartbeatMissed { every: heartbeat.every, silent },
                );
            }
            Look::Over => return,
        }
    }
}

/// Decides the next step of the watch.
///
/// At most one interval passes between two looks. So if a heartbeat comes after a look, the next
/// look is not later than the time at which the following heartbeat is due.
fn look(core: &mut Core, heartbeat: Heartbeat, now: Instant) -> Look {
    let parent = core.relations().and_then(|relations| relations.parent);
    let role = parent.and_then(|parent| parent.role);
    let is_stopped = role.is_some_and(|role| role.stop != ChildStop::No);
    if core.stage != Stage::Live || core.stop_requested || is_stopped {
        return Look::Over;
    }
    let next = after(now, heartbeat.every);
    let Some(registrations) = core.registrations() else { return Look::Until(next) };
    if registrations.is_suspended {
        return Look::Until(next);
    }
    // If there is no record, the task runs before `watch` has stored the record.
    let Some(heartbeats) = &mut registrations.heartbeats else { return Look::Until(next) };
    let late_at = after(heartbeats.last, heartbeat.every);
    if now < late_at {
        return Look::Until(late_at);
    }
    if !heartbeats.is_late {
        heartbeats.is_late = true;
        return Look::Late { supervisor: parent.map_or(Pid::OUTSIDE, |parent| parent.pid) };
    }
    let Some(restart_after) = heartbeat.restart_after else { return Look::Until(next) };
    let end_at = after(late_at, restart_after);
    if now < end_at {
        return Look::Until(end_at.min(next));
    }
    Look::End { silent: now.saturating_duration_since(heartbeats.last) }
}

fn report(runtime: &Runtime, id: &str, pid: Pid, what: &str) {
    let (child, doing) = (name(id).to_string(), Doing::of(runtime, pid));
    runtime.kernel.line(LineKind::Heartbeat, || {
        ignore_panic(
            || tracing::warn!(target: "regrow::supervisor", %pid, child, %doing, "{what}"),
        );
    });
}

/// Kills the child, whether it traps exits or not. The signal has no sender, because a signal from
/// the supervisor would count as a stop.
fn end(runtime: &Runtime, process: &dyn AnyProcess, missed: HeartbeatMissed) {
    let reason = ExitReason::from_library(missed);
    let signal = ExitSignal { from: Pid::OUTSIDE, reason: &reason, kind: ExitKind::Kill };
    runtime.kernel.signal_exit(process, signal);
}
