//! Restarts of a killed child supervisor wait for the processes that it left.

use crate::base::pid::Pid;
use crate::exit::reason::Result;
use crate::server::ServerContext;
use crate::supervisor::dynamic::server::{Completion, DynamicServer};
use crate::supervisor::orphans::Orphans;

impl DynamicServer {
    /// Whether the restart of a child supervisor has to wait because processes of its killed
    /// incarnation are still ending. If so, a background task waits for them, and the restart
    /// continues afterwards unless its ticket is stale by then.
    pub(super) fn wait_for_orphans(&mut self, pid: Pid, ticket: u64) -> bool {
        let Some(child) = self.children.get(&pid) else { return false };
        let start = (&child.id, child.slot);
        let Some(orphans) = Orphans::of(&self.report, child.kind, start) else { return false };
        let report = self.report.clone();
        self.run_in_background(async move {
            orphans.ended(&report).await;
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
