//! Distinguishes the end of a child from an `Exit` that the child has sent to its supervisor while
//! it runs, with [`Runtime::exit`](crate::Runtime::exit).
//!
//! **Guarantee.** A supervisor handles the end of a child exactly once, after the child has ended,
//! and with the true reason. In OTP a supervisor takes any `EXIT` from the pid of a child as the
//! end of that child, and starts a successor although the child still runs.
//!
//! The check of an `Exit` from a child:
//!
//! 1. If the child has not ended, the `Exit` is not its end. The reason is that the record of a
//!    child shows its end before any exit signal of a link is sent.
//! 2. If the supervisor still lists the link to the child, or a queued exit of that link, the
//!    `Exit` is not the end either: the exit of the link arrives later.
//! 3. Otherwise the `Exit` belongs to the link. The reason is read from the record of the child,
//!    because the `Exit` may have the reason `NoProc`, of a link that another process made with the
//!    ended child.
//!
//! The child may end between the queueing of its own `Exit` and step 1, or between two steps. In
//! both cases the link is listed, or its exit is queued behind the `Exit` that is checked. So step
//! 1 or step 2 answers no, and the supervisor handles the end when it takes the exit of the link.
//! Only the end of the child removes the link ([`LinkRole::Child`](crate::process::LinkRole)).

use std::sync::Arc;
use std::time::Instant;

use crate::base::{Pid, ignore_panic, name};
use crate::exit::ExitReason;
use crate::observe::log_limit::LogLimit;
use crate::process::AnyProcess;
use crate::supervisor::report::TARGET;
use crate::supervisor::{Report, has_ended};

/// The bound of the log lines: a child may send any number of exits.
static LINES: LogLimit = LogLimit::new();

impl Report {
    /// Returns the exit reason of a child whose `Exit` has arrived. If the `Exit` is not the end of
    /// the child, logs a line and returns `None`.
    pub(crate) fn reason_of_end(
        &self,
        child: &str,
        process: &Arc<dyn AnyProcess>,
    ) -> Option<ExitReason> {
        let pid = process.pid();
        if !has_ended(process) || self.awaits_exit_of(pid) {
            self.exit_of_live_child(child, pid);
            return None;
        }
        let reason = process.with(|locked| locked.core().reason.clone());
        Some(reason.unwrap_or(ExitReason::NoProc))
    }

    /// Whether the exit of the link to this child has not been handled yet.
    fn awaits_exit_of(&self, child: Pid) -> bool {
        self.process.with(|locked| {
            locked.core().relations().is_some_and(|relations| {
                relations.links.contains(&child) || relations.has_queued_exit(child)
            })
        })
    }

    /// Logs an `Exit` that a child has sent by itself, unless many such lines have just been
    /// written.
    fn exit_of_live_child(&self, child: &str, pid: Pid) {
        let Some(left_out) = LINES.line(Instant::now()) else { return };
        let (supervisor, label, child) = (self.supervisor, name(&self.label), name(child));
        ignore_panic(|| {
            tracing::warn!(
                target: TARGET, %supervisor, %label, %child, %pid, left_out,
                "dropped an exit of a child that has not ended"
            );
        });
    }
}
