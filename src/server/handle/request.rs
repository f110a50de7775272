//! Sends a call: the call is queued, or waits for room if the policy of the mailbox says so.

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use crate::base::current_process;
use crate::call::{AwaitedReply, Receipt, Reply, returnable};
use crate::kernel::WaitEdge;
use crate::mailbox::{Process, QueuedSend, Sent};
use crate::observe::ChangeKind;
use crate::process::{CallLimit, IfFull};
use crate::runtime::{CallError, until};
use crate::server::item::{KeptCall, LimitedCall};
use crate::server::{GenServer, ServerItem};

/// Sends a call. A call that joins the send queue then [waits for room](wait_until_queued). `waker`
/// is woken when the answer arrives.
#[inline(always)]
pub(crate) fn ask<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    waker: Waker,
) -> Result<(AwaitedReply<T>, Sent), CallError> {
    send_call(process, make, ServerItem::Call, waker, |_| ())
}

/// Sends a call while a switch of calls is on. The edge ends when the answer is sent, which may be
/// before the caller is polled. The limit is queued with the call.
#[cold]
pub(crate) fn ask_observed<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    waker: Waker,
    observed: &mut ObservedCall,
) -> Result<(AwaitedReply<T>, Sent), CallError> {
    let (edge, limit) = (&mut observed.edge, observed.limit.take());
    let in_slot = limit.clone();
    let before_send = |answer: &AwaitedReply<T>| {
        if let Some(limit) = in_slot {
            answer.set_limit(limit);
        }
        if let Some(edge) = edge {
            edge.end_with(answer.is_due());
        }
    };
    let wrap = |call| match limit {
        Some(limit) => ServerItem::Limited(Box::new(LimitedCall { call, limit })),
        None => ServerItem::Call(call),
    };
    send_call(process, make, wrap, waker, before_send)
}

/// The caller's side of a returnable call that was sent.
pub(crate) type AskedReturnable<S, T> = (AwaitedReply<T>, Sent, ReturnableReceipt<S>);

/// What takes a returnable call back, together with its limit.
type ReturnableReceipt<S> = Receipt<(<S as GenServer>::Call, Option<Arc<CallLimit>>)>;

/// Sends a call that the caller can take back. `edge` is the edge of the call, if the detection of
/// deadlocks is on, and `limit` its limit, if deadlines are propagated.
pub(crate) fn ask_returnable<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    waker: Waker,
    edge: Option<&mut WaitEdge>,
    limit: Option<Arc<CallLimit>>,
) -> Result<AskedReturnable<S, T>, CallError> {
    let (mut receipt, in_slot) = (None, limit.clone());
    let before_send = |answer: &AwaitedReply<T>| {
        if let Some(limit) = in_slot {
            answer.set_limit(limit);
        }
        if let Some(edge) = edge {
            edge.end_with(answer.is_due());
        }
    };
    let make = |reply| {
        let (call, own) = returnable((make(reply), limit));
        receipt = Some(own);
        call
    };
    let (answer, sent) = send_call(process, make, ServerItem::Returnable, waker, before_send)?;
    Ok((answer, sent, receipt.expect("a call that was sent was made")))
}

#[inline(always)]
fn send_call<S: GenServer, T: Send + 'static, C>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> C,
    wrap: impl FnOnce(C) -> ServerItem<S>,
    waker: Waker,
    before_send: impl FnOnce(&AwaitedReply<T>),
) -> Result<(AwaitedReply<T>, Sent), CallError> {
    let (reply, answer) = Reply::new(process, waker);
    before_send(&answer);
    let mark = |item| KeptCall::item(item, answer.for_successor(), process);
    match process.send_marked(make(reply), wrap, mark, IfFull::WaitOrLose) {
        Ok(sent) => Ok((answer, sent)),
        Err((refused, why)) => {
            // The answer is dropped first, so that the reply in the refused call has no caller when
            // the call is dropped.
            drop(answer);
            drop(refused);
            Err(why.into())
        }
    }
}

/// Waits until the call that has this number in the send queue is queued in the mailbox. A call
/// that still waits for room when its time limit has passed, or when its server ends, is taken
/// back, so it is never handled.
pub(crate) async fn wait_until_queued<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    number: u64,
    answer: AwaitedReply<T>,
    due: Option<Instant>,
) -> Result<AwaitedReply<T>, CallError> {
    let queued_send = QueuedSend::new(process.clone(), number);
    match wait_for_room(queued_send, due).await {
        Ok(()) => Ok(answer.later()),
        Err((call, error)) => {
            // The answer is dropped first, as in `send_call`.
            drop(answer);
            drop(call);
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
        Some(queued) => queued.map_err(|call| (call, CallError::NoProc)),
        None => match queued_send.cancel() {
            Some(call) => Err((call, CallError::Overloaded)),
            // The call was queued just before.
            None => Ok(()),
        },
    }
}

/// What a call has to do while a switch of calls is on.
pub(crate) struct ObservedCall {
    /// The edge of the wait graph, while deadlocks are detected.
    edge: Option<WaitEdge>,
    /// The limit of the call, while deadlines are propagated.
    pub(crate) limit: Option<Arc<CallLimit>>,
}

/// Whether a call needs no check before it is sent: the server does not call itself, and all switches of
/// calls are off.
#[inline]
pub(crate) fn is_plain_call<S: GenServer>(process: &Process<ServerItem<S>>) -> bool {
    let caller = current_process::current_pid(process.kernel.number());
    caller != process.pid() && process.kernel.waits.switches.all_off()
}

/// Checks a call that is no [plain](is_plain_call) one before it is sent. Returns `None` if all switches
/// of calls are off by now; then the call is a plain one.
#[cold]
#[inline(never)]
pub(crate) fn observed_call<S: GenServer>(
    process: &Process<ServerItem<S>>,
) -> Result<Option<ObservedCall>, CallError> {
    let caller = current_process::current_pid(process.kernel.number());
    if caller == process.pid() {
        return Err(CallError::CallingSelf);
    }
    if process.kernel.waits.switches.all_off() {
        return Ok(None);
    }
    Ok(Some(ObservedCall { edge: wait_edge(process)?, limit: None }))
}

/// Adds the edge from the caller to the server to the wait graph, if the detection of deadlocks is
/// on. Refuses a server that calls itself, because none of its handlers could answer, and a call
/// that would close a cycle.
#[inline]
pub(crate) fn wait_edge<S: GenServer>(
    process: &Process<ServerItem<S>>,
) -> Result<Option<WaitEdge>, CallError> {
    let caller = current_process::current_pid(process.kernel.number());
    if caller == process.pid() {
        return Err(CallError::CallingSelf);
    }
    let edge = process.kernel.waits.enter(caller, process.pid());
    edge.map_err(|cycle| {
        let kind = || ChangeKind::Deadlock { cycle: cycle.clone() };
        process.kernel.report_own_change(process, kind);
        CallError::Deadlock { cycle }
    })
}
