//! Waiting, beside the loop, for what a killed supervisor among the children left.

use crate::base::pid::Pid;
use crate::exit::reason::Result;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::{Child, State};
use crate::supervisor::dynamic::server::{Done, DynamicServer};
use crate::supervisor::orphans::Orphans;

impl DynamicServer {
    /// Where a supervisor was killed, and what it left is still ending: waits for that first. What
    /// is done about the child meanwhile calls the start off.
    pub(super) fn waits_alone(&mut self, pid: Pid, ticket: u64) -> bool {
        let Some(child) = self.children.get(&pid) else { return false };
        let start = (&child.id, child.slot);
        let Some(orphans) = Orphans::of(&self.report, child.kind, start) else { return false };
        let report = self.report.clone();
        self.aside(async move {
            orphans.ended(&report).await;
            Done::Alone { pid, ticket }
        });
        true
    }

    /// What a killed incarnation left has ended: the next one is started, if it still is to be.
    pub(super) fn is_alone(
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
