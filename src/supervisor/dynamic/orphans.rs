//! Restarts of a killed child supervisor wait for the processes that it left.

use crate::base::pid::Pid;
use crate::child::ChildType;
use crate::exit::reason::Result;
use crate::server::ServerContext;
use crate::supervisor::dynamic::server::{Completion, DynamicServer};
use crate::supervisor::fixed::orphans::alone;

impl DynamicServer {
    /// Whether the restart of a child supervisor has to wait because processes of its killed
    /// incarnation are still ending. If so, a background task waits for them, and the restart
    /// continues afterwards unless its ticket is stale by then.
    pub(super) fn wait_for_orphans(&mut self, pid: Pid, ticket: u64) -> bool {
        let Some(child) = self.children.get(&pid) else { return false };
        let (supervisor, slot) = (self.report.supervisor, child.slot);
        if child.kind != ChildType::Supervisor
            || self.report.runtime.kernel.orphans(supervisor, slot).is_empty()
        {
            return false;
        }
        let (report, left) = (self.report.clone(), (child.id.clone(), slot));
        self.run_in_background(async move {
            alone(&report, left).await;
            Completion::OrphansEnded { pid, ticket }
        });
        true
    }

    /// Continues a restart after the processes of the killed incarnation have ended. A stale ticket
    /// is ignored.
    pub(super) fn orphans_ended(
        &mut self,
        pid: Pid,
        ticket: u64,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        match self.children.get(&pid).is_some_and(|child| child.has_restart_ticket(ticket)) {
            true => self.begin_restart((pid, ticket), ctx),
            false => Ok(()),
        }
    }
}
