//! Calls as they arrive: the answers to those of this node, and the callers of those to it.

use crate::base::Pid;
use crate::cluster::remote::call_table::CallEnd;
use crate::cluster::remote::inbound::{Inbound, token};
use crate::cluster::term::Token;
use crate::cluster::wire::ConnectionLost;
use crate::cluster::wire::control::malformed;

impl Inbound {
    /// A message to an alias, which is the answer of a call.
    pub(crate) fn answer(&self, alias: &[u8], payload: &[u8]) -> Result<(), ConnectionLost> {
        let Token::Reference(alias) = token(alias)? else {
            return Err(malformed("an alias that is no reference"));
        };
        let Some(id) = self.own.monitor(&alias) else { return Ok(()) };
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
