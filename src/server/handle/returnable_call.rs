//! A call that is taken back if no handler has received it.
//!
//! **Guarantee.** After [`NotAnswered::NotHandled`] no handler has received the call, and none will.
//! So the call may be made again, by the same caller, or not at all.
//!
//! What happens if the server ends, or stops waiting for messages, at each step:
//!
//! | when the server ends | the call | the outcome |
//! |---|---|---|
//! | before the call is sent | is refused | `NotHandled` |
//! | while the call waits for room | is given back by the send queue | `NotHandled` |
//! | while the call is in the mailbox, or in the reader's buffer | is dropped unread | `NotHandled` |
//! | after the call was taken for its handler | is lost | `Failed(Exited)` |
//!
//! A call that is still queued when the time limit has passed is taken back: `NotHandled`. A call
//! that a full mailbox refuses or evicts is not handled either, but its outcome is
//! `Failed(Overloaded)`: another attempt at once would find a full mailbox again.

use std::sync::Arc;

use tokio::time::Instant;

use crate::base::{after_budget, own_waker};
use crate::call::Reply;
use crate::mailbox::{Process, Sent};
use crate::process::CallLimit;
use crate::runtime::{AwaitReply, CallError};
use crate::server::handle::propagated::PropagatedCall;
use crate::server::handle::request::{ask_returnable, wait_edge, wait_until_queued};
use crate::server::{GenServer, ServerItem};
use crate::time::deadline_pool::Due;

/// Why a returnable call has no answer.
#[derive(Debug)]
pub(crate) enum NotAnswered {
    /// The server is ending or has ended, or the time limit has passed. No handler has received the
    /// call, and none will.
    NotHandled,
    Failed(CallError),
}

/// Calls this process, and waits for the answer until `due`, or until the deadline of the call that
/// the caller handles, if deadlines are propagated and that deadline is earlier.
pub(crate) async fn call_returnable<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    due: Option<Instant>,
) -> Result<T, NotAnswered> {
    if process.kernel.waits.switches.propagates_deadlines() {
        return Box::pin(call_propagated(process, make, due)).await;
    }
    call_until(process, make, due, None).await
}

async fn call_propagated<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    due: Option<Instant>,
) -> Result<T, NotAnswered> {
    let kernel = &process.kernel;
    let Some(mut propagated) = PropagatedCall::begin(kernel, process.pid(), due) else {
        return call_until(process, make, due, None).await;
    };
    if propagated.check(kernel).is_err() {
        return after_budget(Err(NotAnswered::NotHandled)).await;
    }
    let limit = propagated.limit();
    match call_until(process, make, limit.due(), Some(limit)).await {
        Err(NotAnswered::Failed(error)) => {
            propagated.finish(Err(error), kernel).map_err(NotAnswered::Failed)
        }
        other => other,
    }
}

async fn call_until<S: GenServer, T: Send + 'static>(
    process: &Arc<Process<ServerItem<S>>>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    due: Option<Instant>,
    limit: Option<Arc<CallLimit>>,
) -> Result<T, NotAnswered> {
    let mut edge = match wait_edge(process) {
        Ok(edge) => edge,
        Err(error) => return after_budget(Err(NotAnswered::Failed(error))).await,
    };
    let waker = own_waker().await;
    let asked = ask_returnable(process, make, waker, edge.as_mut(), limit);
    let (mut answer, sent, receipt) = match asked {
        Ok(asked) => asked,
        Err(error) => return after_budget(Err(not_sent(error))).await,
    };
    if let Sent::InSendQueue(number) = sent {
        let queued = Box::pin(wait_until_queued(process, number, answer, due)).await;
        answer = queued.map_err(not_sent)?;
    }
    AwaitReply::until(answer, due.map(Due::At), process).await.map_err(|error| match error {
        CallError::Exited(_) | CallError::Timeout if receipt.take_back() => NotAnswered::NotHandled,
        error => NotAnswered::Failed(error),
    })
}

/// Returns the outcome of a call that was not queued.
fn not_sent(error: CallError) -> NotAnswered {
    match error {
        CallError::NoProc => NotAnswered::NotHandled,
        error => NotAnswered::Failed(error),
    }
}
