//! Calls that another node has made: the reply is in them already.

use std::sync::{Arc, Weak};

use crate::call::TakenOver;
use crate::mailbox::Process;
use crate::process::IfFull;
use crate::runtime::CallError;
use crate::server::item::KeptCall;
use crate::server::{GenServer, ServerItem};

/// Queues a call, whose answer is put into this slot. The sender, which is a connection, never waits:
/// a call that finds no room is dropped and counted.
pub(crate) fn send_received_call<S: GenServer>(
    process: &Arc<Process<ServerItem<S>>>,
    call: S::Call,
    slot: Option<Weak<dyn TakenOver>>,
) -> Result<(), CallError> {
    let mark = |item| KeptCall::item(item, slot, process);
    match process.send_marked(call, ServerItem::Call, mark, IfFull::Lose) {
        Ok(_) => Ok(()),
        Err((refused, why)) => {
            drop(refused);
            Err(why.into())
        }
    }
}
