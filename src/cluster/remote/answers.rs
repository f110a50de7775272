//! The ends of what waits for another node: monitors and calls; and the callers at that node.

use crate::base::{MonitorRef, Pid};
use crate::cluster::remote::arguments::own_monitor;
use crate::cluster::remote::call_table::CallEnd;
use crate::cluster::remote::inbound::Inbound;
use crate::cluster::remote::reason::read_reason;
use crate::cluster::remote::relations::Monitor;
use crate::cluster::wire::ConnectionLost;
use crate::kernel::other_nodes::ForeignTarget;

impl Inbound {
    /// The end of a process that a local one has monitored.
    pub(crate) fn monitor_exit(
        &self,
        reference: &[u8],
        reason: &[u8],
    ) -> Result<(), ConnectionLost> {
        let Some(id) = own_monitor(&self.own, reference)? else { return Ok(()) };
        let (removed, call) = self.change(|relations| {
            let removed = relations.take_monitor(id);
            ((removed, relations.calls.ended(id)), None)
        })?;
        if let Some(call) = call {
            call.finish(CallEnd::Exit(reason.to_vec()));
        }
        if let Some(Monitor { watcher, target, name }) = removed {
            let pid = match target {
                ForeignTarget::Pid(pid) => Some(pid),
                ForeignTarget::AtNode(_) => None,
            };
            let reference = MonitorRef::new(id, watcher);
            self.kernel.foreign_down(reference, pid, name, &read_reason(reason));
        }
        Ok(())
    }

    /// A message to an alias, which is the answer of a call.
    pub(crate) fn answer(&self, alias: &[u8], payload: &[u8]) -> Result<(), ConnectionLost> {
        let Some(id) = own_monitor(&self.own, alias)? else { return Ok(()) };
        let removed = self.change(|relations| match relations.calls.remove(id) {
            Some((call, demonitor)) => (Some(call), Some(demonitor)),
            None => (None, None),
        })?;
        if let Some(call) = removed {
            call.finish(CallEnd::Answer(payload.to_vec()));
        }
        Ok(())
    }

    /// Returns the caller of a call; [`Pid::OUTSIDE`] if no process of the other node is. The pid of
    /// code outside of processes, of a node of this crate, has the number 0.
    pub(crate) fn caller(&self, from: &[u8]) -> Pid {
        let caller = self.sender(from).ok();
        let caller = caller.filter(|pid| self.other.parts(*pid) != Some((0, 0)));
        caller.unwrap_or(Pid::OUTSIDE)
    }
}
