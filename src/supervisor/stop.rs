//! How one child is stopped: asked, waited for, killed, and waited for to its very end.
//!
//! The wait is on the child's record, which tells its end last and with the true reason, and
//! not on the supervisor's mailbox: what comes meanwhile stays there. The link stays until
//! the end, so a supervisor that is killed while it waits leaves nobody behind; but it brings
//! no exit any more. One that it had brought before is taken out again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::failpoint::step;
use crate::base::shared_str::SharedStr;
use crate::child::{Restart, Spec};
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::kernel::links::await_end;
use crate::kernel::wait_graph::Until;
use crate::observe::doing::Doing;
use crate::observe::stop_records::StopRecord;
use crate::process::AnyProcess;
use crate::runtime::deadline::{until, within};
use crate::runtime::ended::Ended;
use crate::supervisor::report::Report;
use crate::time::timer_queue::after;

/// How often a killed child that doesn't end is told of.
pub(crate) const NOT_YIELDING: Duration = Duration::from_secs(5);

/// A child that is to go, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopRequest<'a> {
    pub(crate) id: &'a SharedStr,
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    pub(crate) process: &'a Arc<dyn AnyProcess>,
}

/// Stops one incarnation as its spec says, from now on, and gives the reason it ended with,
/// and when. An end other than was asked for is told to the log, and changes nothing.
pub(crate) async fn stop(
    report: &Report,
    child: StopRequest<'_>,
    now: Instant,
) -> (ExitReason, Instant) {
    let (pid, began) = (child.process.pid(), now);
    let _waits = report.register_wait_if_sequential(pid, Until::Answer);
    let linked = await_end(&*report.process, pid);
    step!("before a stop");
    let asked = match child.shutdown {
        Shutdown::BrutalKill => None,
        how => {
            report.ask_to_stop(&**child.process);
            step!("between a stop's request and its end");
            let grace = how.grace().map(|grace| after(began, grace));
            until(&report.runtime.kernel, grace, child.ended(report)).await
        }
    };
    let (reason, overran) = match asked {
        Some(reason) => (reason, None),
        None => {
            let polite = child.shutdown != Shutdown::BrutalKill;
            let doing = polite.then(|| Doing::of(&report.runtime, pid));
            report.runtime.kill(pid);
            step!("between a kill and its end");
            (child.await_killed(report).await, doing)
        }
    };
    step!("after a stop");
    child.record_stop(report, began, &reason, overran);
    if !linked {
        report.runtime.unlink(report.supervisor, pid);
    }
    (reason, Instant::now())
}

impl<'a> StopRequest<'a> {
    pub(crate) fn of(spec: &'a Spec, process: &'a Arc<dyn AnyProcess>) -> Self {
        let Spec { id, restart, shutdown, .. } = spec;
        StopRequest { id, restart: *restart, shutdown: *shutdown, process }
    }

    pub(crate) fn ended(&self, report: &Report) -> Ended {
        Ended::of(&report.runtime, Some(self.process.clone()))
    }

    /// Waits for the end of one that was killed: a body that never awaits can't be stopped,
    /// only waited for.
    pub(crate) async fn await_killed(&self, report: &Report) -> ExitReason {
        loop {
            match within(&report.runtime.kernel, NOT_YIELDING, self.ended(report)).await {
                Some(reason) => return reason,
                None => report.not_yielding(self.id, self.process.pid()),
            }
        }
    }

    /// Tells of its end: whoever remembers stops, and the log if it is not as it should be.
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
            brutally: shutdown == Shutdown::BrutalKill && *reason == ExitReason::Killed,
        });
        if overran.is_some() || is_error(shutdown, restart, reason) {
            report.shutdown_error(id, pid, reason, overran);
        }
    }
}

/// Whether a child that was stopped ended otherwise than it should have. OTP's table: a
/// child that isn't permanent may as well have finished by itself.
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

    /// SHU-009, T45.
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
