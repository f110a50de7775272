//! Distinguishes the end of a child from an `Exit` that the child has sent to its supervisor while
//! it runs, with [`Runtime::exit`](crate::Runtime::exit).
//!
//! **Guarantee.** A supervisor handles the end of a child exactly once, after the child has ended, and
//! with the true reason. In OTP a supervisor takes any `EXIT` from the pid of a child as the end of
//! that child, and starts a successor beside the child that still runs.
//!
//! The check of an `Exit` from a child:
//!
//! 1. If the child has not ended, the `Exit` is not its end. The end is visible in the child's record
//!    before any exit signal of a link is sent.
//! 2. If the supervisor still lists the link to the child, or a queued exit of that link, the `Exit`
//!    is not the end either: the exit of the link is still to come.
//! 3. Otherwise the `Exit` is that of the link. The reason is taken from the record of the child: the
//!    `Exit` may be the `NoProc` of a link that another process made with the ended child.
//!
//! The child ends between the queueing of its own `Exit` and step 1, or between two steps: the link is
//! listed, or its exit is queued, behind the `Exit` that is checked. So step 1 or step 2 answers no, and
//! the supervisor handles the end when it takes the exit of the link. Nothing but the end of the child
//! removes the link ([`LinkRole::Child`](crate::process::LinkRole)).

use std::sync::Arc;
use std::time::Instant;

use crate::base::{Pid, ignore_panic, name};
use crate::exit::ExitReason;
use crate::observe::log_limit::LogLimit;
use crate::process::AnyProcess;
use crate::supervisor::report::TARGET;
use crate::supervisor::{Report, has_ended};

/// A child may send exits without end.
static LINES: LogLimit = LogLimit::new();

impl Report {
    /// Returns the exit reason of a child, an `Exit` of which has arrived. Returns `None`, and logs a
    /// line, if the `Exit` is not the end of the child.
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

    /// Whether the exit of the link to this child is still to come.
    fn awaits_exit_of(&self, child: Pid) -> bool {
        self.process.with(|locked| {
            locked.core().relations().is_some_and(|relations| {
                relations.links.contains(&child) || relations.has_queued_exit(child)
            })
        })
    }

    /// Reports an `Exit` that a child has sent by itself, unless many others have just been reported.
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
