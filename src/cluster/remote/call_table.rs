//! The calls to servers of another node that wait for their answers.
//!
//! A call is a monitor of the server, whose reference is also the alias that the answer goes to. The
//! entry is removed by whichever comes first: the answer, the end of the server, the loss of the
//! connection, or the caller, which has stopped waiting. What comes later finds no entry. Whatever
//! removes an entry before the server has ended sends the removal of the monitor.

use tokio::sync::oneshot;

use crate::base::random::Map;
use crate::base::{Pid, SharedStr};
use crate::cluster::remote::node_pair::Target;
use crate::cluster::remote::signal::Signal;

/// How a call ended. A call whose sender is dropped has lost its connection.
#[derive(Debug)]
pub(crate) enum CallEnd {
    /// The payload `{Tag, Answer}`.
    Answer(Vec<u8>),
    /// The encoded exit reason of the server.
    Exit(Vec<u8>),
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct PendingCall {
    pub(crate) own: Pid,
    pub(crate) name: SharedStr,
    pub(crate) end: oneshot::Sender<CallEnd>,
}

impl PendingCall {
    /// Notifies the caller, unless it has stopped waiting.
    pub(crate) fn finish(self, end: CallEnd) {
        drop(self.end.send(end));
    }
}

/// The calls to one other node, by the numbers of their monitors.
#[derive(Debug, Default)]
pub(crate) struct CallTable(Map<u64, PendingCall>);

impl CallTable {
    /// Adds a call. Returns its monitor and its request.
    pub(crate) fn add(&mut self, id: u64, call: PendingCall, request: Vec<u8>) -> Signal {
        let (own, name) = (call.own, call.name.clone());
        self.0.insert(id, call);
        Signal::Call { own, name, id, request }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes a call whose server has ended.
    pub(crate) fn ended(&mut self, id: u64) -> Option<PendingCall> {
        self.0.remove(&id)
    }

    /// Removes a call whose server may live. Returns it with the removal of its monitor.
    pub(crate) fn remove(&mut self, id: u64) -> Option<(PendingCall, Signal)> {
        let call = self.0.remove(&id)?;
        let (own, target) = (call.own, Target::Name(call.name.clone()));
        Some((call, Signal::Demonitor { own, target, id }))
    }

    /// Takes all calls out, for the loss of the connection.
    pub(crate) fn take(&mut self) -> Vec<PendingCall> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}
