//! The restart of a killed child supervisor waits for the ends of the orphans of the killed
//! incarnation.

use crate::exit::Result;
use crate::server::ServerContext;
use crate::supervisor::Orphans;
use crate::supervisor::dynamic::{Completion, DynamicServer, Retry};

impl DynamicServer {
    /// Returns whether the restart of a child supervisor has to wait for orphans. In that case a
    /// background task waits for their ends, and then the restart continues unless it is stale.
    pub(super) fn wait_for_orphans(&mut self, retry: Retry) -> bool {
        let Some(child) = self.children.get(&retry.pid) else { return false };
        let start = (&child.id, child.slot);
        let Some(orphans) = Orphans::of(&self.report, child.kind, start) else { return false };
        let report = self.report.clone();
        self.run_in_background(async move {
            orphans.ended(&report).await;
            Completion::OrphansEnded(retry)
        });
        true
    }

    /// Continues a restart after the processes of the killed incarnation have ended. A stale retry
    /// is ignored.
    pub(super) fn orphans_ended(&mut self, retry: Retry, ctx: &mut ServerContext<Self>) -> Result {
        if self.waits_for(retry) {
            return self.begin_restart(retry, ctx);
        }
        self.answer_requested(retry, None);
        Ok(())
    }
}
