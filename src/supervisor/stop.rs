//! The stop of one child.
//!
//! **Guarantee.** When [`stop`] returns, the child has ended and holds no name any more, and the
//! supervisor will not receive an exit of that child.
//!
//! **Steps**
//!
//! 1. Mute the link. From now on the end of the child sends the supervisor no exit. An end of the
//!    supervisor still ends the child.
//! 2. Ask the child to stop, with the exit signal `Shutdown`. For a child that is killed at once,
//!    continue with step 4.
//! 3. Wait for the end of the child, within its shutdown time.
//! 4. If the child has not ended, kill the child, and wait for its end. This wait is logged every
//!    [`NOT_YIELDING`].
//! 5. Record the stop. Log the stop if the reason is an error or the child overran its time. If the
//!    link did not exist in step 1, the exit of the child may be in the mailbox, and is removed
//!    from it.
//!
//! **Invariants**
//!
//! 1. [`stop`] waits for the announcement of the end in the record of the child, which has the true
//!    reason. `stop` does not read the supervisor's mailbox, so messages that arrive during the
//!    stop stay in the mailbox.
//! 2. The link exists until the child has ended. So a kill of the waiting supervisor also ends the
//!    child.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::SharedStr;
use crate::base::failpoint::step;
use crate::base::sync::atomic::Ordering;
use crate::child::{Restart, Spec};
use crate::exit::{ExitReason, Shutdown};
use crate::kernel::Until;
use crate::kernel::links::mark_awaited;
use crate::observe::Doing;
use crate::observe::stop_records::StopRecord;
use crate::process::{AnyProcess, flag};
use crate::runtime::{Ended, until, within};
use crate::supervisor::Report;
use crate::time::timer_queue::after;

/// The interval at which a wait for a killed child that doesn't end is logged.
pub(crate) const NOT_YIELDING: Duration = Duration::from_secs(5);

/// A child to stop, and how to stop it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopRequest<'a> {
    pub(crate) id: &'a SharedStr,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) process: &'a Arc<dyn AnyProcess>,
}

/// Stops one incarnation as its specification says. The shutdown time begins at `now`. Returns the
/// reason and the time of the end. A reason that is an error is logged, and has no other effect.
pub(crate) async fn stop(
    report: &Report,
    child: StopRequest<'_>,
    now: Instant,
) -> (ExitReason, Instant) {
    let (pid, began) = (child.process.pid(), now);
    let _waits = report.register_wait_if_sequential(pid, Until::Answer);
    let linked = mark_awaited(&*report.process, pid);
    step!("before a stop");
    let stop_requested = match child.shutdown {
        Shutdown::BrutalKill => None,
        how => {
            report.ask_to_stop(&**child.process);
            step!("between a stop's request and its end");
            let grace = how.grace().map(|grace| after(began, grace));
            until(&report.runtime.kernel, grace, child.ended(report)).await
        }
    };
    let (reason, overran) = match stop_requested {
        Some(reason) => (reason, None),
        None => {
            // The child may have ended in time, while its end is still being announced to many
            // processes.
            let is_late = child.shutdown != Shutdown::BrutalKill && !has_ended(child.process);
            let doing = is_late.then(|| Doing::of(&report.runtime, pid));
            report.runtime.kill(pid);
            step!("between a kill and its end");
            (await_killed(report, child.id, child.process).await, doing)
        }
    };
    step!("after a stop");
    child.record_stop(report, began, &reason, overran);
    if !linked {
        report.runtime.kernel.revoke_exits(&*report.process, pid);
    }
    (reason, Instant::now())
}

/// Waits for the end of a process that was killed. A body that never awaits can't be interrupted,
/// so the wait may last for ever.
pub(crate) async fn await_killed(
    report: &Report,
    id: &SharedStr,
    process: &Arc<dyn AnyProcess>,
) -> ExitReason {
    let mut ended = Ended::of(&report.runtime.kernel, Some(process.clone()));
    loop {
        match within(&report.runtime.kernel, NOT_YIELDING, &mut ended).await {
            Some(reason) => return reason,
            None if has_ended(process) => {}
            None => report.not_yielding(id, process.pid()),
        }
    }
}

/// Whether the body of a process has ended. Its end may not be announced to all processes yet.
pub(crate) fn has_ended(process: &Arc<dyn AnyProcess>) -> bool {
    process.flags().load(Ordering::Acquire) & flag::ENDED != 0
}

impl<'a> StopRequest<'a> {
    pub(crate) fn of(spec: &'a Spec, process: &'a Arc<dyn AnyProcess>) -> Self {
        let Spec { id, restart, shutdown, .. } = spec;
        StopRequest { id, restart: *restart, shutdown: *shutdown, process }
    }

    pub(crate) fn ended(&self, report: &Report) -> Ended {
        Ended::of(&report.runtime.kernel, Some(self.process.clone()))
    }

    /// Records a stop for the stop report. Logs the stop if the reason is an error or the child
    /// overran its time.
    pub(crate) fn record_stop(
        &self,
        report: &Report,
        began: Instant,
        reason: &ExitReason,
        overran: Option<Doing>,
    ) {
        let StopRequest { id, restart, shutdown, process } = *self;
        let pid = process.pid();
        report.runtime.kernel.stops.record(|| StopRecord {
            supervisor: report.supervisor,
            child: id.clone(),
            pid,
            reason: reason.clone(),
            took: began.elapsed(),
            overran,
            killed_at_once: shutdown == Shutdown::BrutalKill && *reason == ExitReason::Killed,
        });
        if overran.is_some() || is_error(shutdown, restart, reason) {
            report.shutdown_error(id, pid, reason, overran);
        }
    }
}

/// Returns whether the reason of a stopped child is an error. The rules are those of OTP. For a
/// child that isn't permanent any clean reason is allowed, because the child may have finished by
/// itself.
fn is_error(how: Shutdown, restart: Restart, reason: &ExitReason) -> bool {
    match (how, reason) {
        (Shutdown::BrutalKill, ExitReason::Killed) => false,
        (Shutdown::Timeout(_) | Shutdown::Infinity, ExitReason::Shutdown) => false,
        (_, reason) => restart == Restart::Permanent || !reason.is_clean(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_error;
    use crate::child::Restart::{Permanent, Temporary, Transient};
    use crate::exit::reason::ExitReason;
    use crate::exit::shutdown::Shutdown::{BrutalKill, Infinity, Timeout};
    use std::time::Duration;

    /// SHU-009, T45: if a stopped child ends with another reason than the requested one, that is an
    /// error. The exception is a clean reason of a child that isn't permanent.
    #[test]
    fn ends_other_than_asked_for_are_errors() {
        let polite = [Timeout(Duration::from_secs(1)), Infinity];
        for restart in [Permanent, Transient, Temporary] {
            assert!(!is_error(BrutalKill, restart, &ExitReason::Killed));
            assert!(is_error(BrutalKill, restart, &ExitReason::crashed("x")));
            for how in polite {
                assert!(!is_error(how, restart, &ExitReason::Shutdown));
                assert!(is_error(how, restart, &ExitReason::Killed));
                assert!(is_error(how, restart, &ExitReason::crashed("x")));
                let finished = is_error(how, restart, &ExitReason::Normal);
                assert_eq!(finished, restart == Permanent);
            }
            assert_eq!(is_error(BrutalKill, restart, &ExitReason::Normal), restart == Permanent);
        }
    }
}
