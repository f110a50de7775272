//! BoxedCall: a question is queued, or waits for room where the mailbox lets it.

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use crate::base::current_process;
use crate::base::pid::Pid;
use crate::call::reply::Reply;
use crate::call::reply_slot::AwaitedReply;
use crate::kernel::wait_graph::WaitEdge;
use crate::mailbox::queued_send::QueuedSend;
use crate::mailbox::record::{Process, Sent};
use crate::process::{AnyProcess, IfFull};
use crate::runtime::deadline::until;
use crate::runtime::errors::call_error::CallError;
use crate::server::GenServer;
use crate::server::item::ServerItem;

/// Asks the question: it is queued, or [waits for room](wait_until_queued) where the mailbox lets it.
/// This waker is woken when it is answered.
#[inline]
pub(crate) fn ask<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    waker: Waker,
) -> Result<(AwaitedReply<T>, Sent), CallError> {
    ask_then(process, make, waker, |_| ())
}

/// The same where deadlocks are looked for: the caller waits no more as soon as the answer is
/// sent, whether it has noticed or not.
#[cold]
pub(crate) fn ask_with_edge<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    waker: Waker,
    edge: &mut WaitEdge,
) -> Result<(AwaitedReply<T>, Sent), CallError> {
    ask_then(process, make, waker, |answer| edge.end_with(answer.is_due()))
}

#[inline]
fn ask_then<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    waker: Waker,
    before: impl FnOnce(&AwaitedReply<T>),
) -> Result<(AwaitedReply<T>, Sent), CallError> {
    let (reply, answer) = Reply::new(process, waker);
    before(&answer);
    match process.send_as(make(reply), ServerItem::Call, IfFull::WaitOrLose) {
        Ok(sent) => Ok((answer, sent)),
        Err((refused, why)) => {
            // Nobody listens when the refused question's reply is dropped.
            drop(answer);
            drop(refused);
            Err(why.into())
        }
    }
}

/// Waits for the question under this number in the line to be queued. One that still waits
/// for room when the time is up is taken back, and so is one whose server ends: it was not
/// handled.
pub(crate) async fn wait_until_queued<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    number: u64,
    answer: AwaitedReply<T>,
    due: Option<Instant>,
) -> Result<AwaitedReply<T>, CallError> {
    let queued_send = QueuedSend::new(process.clone(), number);
    match wait_for_room(queued_send, due).await {
        Ok(()) => Ok(answer.later()),
        Err((question, error)) => {
            // As above.
            drop(answer);
            drop(question);
            Err(error)
        }
    }
}

async fn wait_for_room<S: GenServer>(
    mut queued_send: QueuedSend<ServerItem<S>>,
    due: Option<Instant>,
) -> Result<(), (ServerItem<S>, CallError)> {
    let process = queued_send.process().clone();
    match until(&process.kernel, due, &mut queued_send).await {
        Some(wait_until_queued) => {
            wait_until_queued.map_err(|question| (question, CallError::NoProc))
        }
        None => match queued_send.give_up() {
            Some(question) => Err((question, CallError::Overloaded)),
            // It was let in at the last moment.
            None => Ok(()),
        },
    }
}

/// Who asks; no server may ask itself.
#[inline]
pub(crate) fn refuse_self<S: GenServer>(
    process: &Process<ServerItem<S>>,
) -> Result<Pid, CallError> {
    let caller = current_process::current_pid(process.kernel.number());
    if caller == process.pid() { Err(CallError::CallingSelf) } else { Ok(caller) }
}

/// Notes who waits for whom, where the runtime detects deadlocks.
#[inline]
pub(crate) fn wait_edge<S: GenServer>(
    process: &Process<ServerItem<S>>,
    caller: Pid,
) -> Result<Option<WaitEdge>, CallError> {
    let edge = process.kernel.waits.enter(caller, process.pid());
    edge.map_err(|cycle| CallError::Deadlock { cycle })
}
