//! Waiting, beside the loop, for what a killed supervisor among the children left.

use crate::base::pid::Pid;
use crate::child::ChildType;
use crate::exit::reason::Result;
use crate::server::ServerContext;
use crate::supervisor::dynamic::child::{Child, State};
use crate::supervisor::dynamic::server::{Done, Nursery};
use crate::supervisor::fixed::orphans::alone;

impl Nursery {
    /// Where a supervisor was killed, and what it left is still ending: waits for that first. What
    /// is done about the child meanwhile calls the start off.
    pub(super) fn waits_alone(&mut self, pid: Pid, ticket: u64) -> bool {
        let Some(child) = self.children.get(&pid) else { return false };
        let (me, seat) = (self.report.supervisor, child.seat);
        if child.kind != ChildType::Supervisor
            || self.report.runtime.kernel.orphans(me, seat).is_empty()
        {
            return false;
        }
        let (report, left) = (self.report.clone(), (child.id.clone(), seat));
        self.aside(async move {
            alone(&report, left).await;
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
            true => self.bear_again((pid, ticket), ctx),
            false => Ok(()),
        }
    }
}
