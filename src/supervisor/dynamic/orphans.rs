//! The restart of a killed child supervisor waits for the ends of the processes that the killed
//! incarnation left.

use crate::base::pid::Pid;
use crate::exit::reason::Result;
use crate::server::ServerContext;
use crate::supervisor::dynamic::server::{Completion, DynamicServer};
use crate::supervisor::orphans::Orphans;

impl DynamicServer {
    /// Returns whether the restart of a child supervisor has to wait because processes of its
    /// killed incarnation are still ending. If so, a background task waits for the ends of these
    /// processes, and then the restart continues, unless its ticket is stale.
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
