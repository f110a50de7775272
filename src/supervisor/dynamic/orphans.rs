//! Waiting, beside the loop, for what a killed supervisor among the children left.

use crate::base::pid::Pid;
use crate::child::ChildType;
use crate::exit::reason::Result;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::{Child, State};
use crate::supervisor::dynamic::server::{Completion, DynamicServer};
use crate::supervisor::fixed::orphans::alone;

impl DynamicServer {
    /// Where a supervisor was killed, and what it left is still ending: waits for that first. What
    /// is done about the child meanwhile calls the start off.
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

    /// What a killed incarnation left has ended: the next one is started, if it still is to be.
    pub(super) fn orphans_ended(
        &mut self,
        pid: Pid,
        ticket: u64,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let waits = |child: &Child| matches!(child.state, State::Restarting { ticket: held, .. } if held == ticket);
        match self.children.get(&pid).is_some_and(waits) {
            true => self.begin_restart((pid, ticket), ctx),
            false => Ok(()),
        }
    }
}
