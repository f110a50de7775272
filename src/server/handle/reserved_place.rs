//! A place in the mailbox of a server, reserved before the call is made.
//!
//! **Guarantees**
//! 1. While a bounded mailbox is full, a place waits for room, in the order of the
//!    [send queue](crate::mailbox::queued_send) and together with the calls and casts that wait.
//! 2. A place that is dropped keeps no room: in the send queue it is removed at once; in the inbox the
//!    server skips it, without a handler.
//! 3. A call is handled at most once, with or without its place.
//!
//! **Steps**
//! 1. If the mailbox has room, no place is needed: the call is queued when it is made. If it is full
//!    again by then, the call waits for room as any other call.
//! 2. Otherwise an empty [returnable call](mod@crate::call::returnable) joins the send queue. When it
//!    enters the inbox, the place is reserved.
//! 3. The call is put into the place. If the place is gone, the call is queued as any other call.
//!
//! **The server** between these steps:
//!
//! | | |
//! |---|---|
//! | ends before step 2 | no place; the call fails |
//! | ends while the place waits for room | the place returns; the next poll starts over, with the holder of the name |
//! | reaches the place before step 3 | skips it |
//! | ends after step 2 | the place is gone; the call is refused |
//! | ends after step 3 | the caller gets `Exited`, as for any call that was queued |
//!
//! While a switch of calls is on, or metadata travels with calls, or the server keeps its queue, a call
//! needs more than its place: then the place is dropped in step 3, and the call is made as any other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::base::{after_budget, own_waker, poll_budget};
use crate::call::{Receipt, Reply, reserved};
use crate::mailbox::{Process, QueuedSend, Sent};
use crate::process::overflow_policy::Overflow;
use crate::process::{CallLimit, IfFull};
use crate::runtime::{AwaitReply, CallError};
use crate::server::handle::request::{is_plain_call, wait_until_queued};
use crate::server::{GenServer, ServerItem, ServerRef};
use crate::time::deadline_pool::Due;

type EmptyCall<S> = Receipt<(<S as GenServer>::Call, Option<Arc<CallLimit>>)>;

/// A place, or the wait for one.
pub(crate) enum Place<S: GenServer> {
    None,
    /// The place waits for room.
    Waiting(QueuedSend<ServerItem<S>>, EmptyCall<S>),
    Reserved(Arc<Process<ServerItem<S>>>, EmptyCall<S>),
}

impl<S: GenServer> Place<S> {
    /// Waits until the mailbox of the server has room. If no server can be reached, there is nothing to
    /// wait for.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, server: &ServerRef<S>) -> Poll<()> {
        ready!(poll_budget(cx));
        loop {
            match self {
                Place::Reserved(..) => return Poll::Ready(()),
                Place::Waiting(queued_send, _) => {
                    let queued = ready!(Pin::new(queued_send).poll(cx));
                    match std::mem::replace(self, Place::None) {
                        Place::Waiting(queued_send, call) if queued.is_ok() => {
                            *self = Place::Reserved(queued_send.process().clone(), call);
                        }
                        // The server has ended. Its successor may hold the name.
                        _ => return Poll::Ready(()),
                    }
                }
                Place::None => match server.resolve() {
                    Ok(process) if is_full(&process) => *self = Place::join(&process),
                    _ => return Poll::Ready(()),
                },
            }
            if matches!(self, Place::None) {
                return Poll::Ready(());
            }
        }
    }

    /// Joins the send queue of the mailbox, or takes the room that there is by now.
    fn join(process: &Arc<Process<ServerItem<S>>>) -> Self {
        let (queued, call) = reserved();
        match process.send_with(ServerItem::Returnable(queued), IfFull::Wait) {
            Ok(Sent::InSendQueue(number)) => {
                Place::Waiting(QueuedSend::new(process.clone(), number), call)
            }
            Ok(Sent::Accepted) => Place::Reserved(process.clone(), call),
            // The server is ending: the call finds out why.
            Err(_) => Place::None,
        }
    }
}

/// Whether the mailbox is full, and its policy is not to drop.
fn is_full<S: GenServer>(process: &Process<ServerItem<S>>) -> bool {
    let is_full = process.with_counts(|counts| {
        let refuses = matches!(counts.overflow, Overflow::Reject | Overflow::Wait);
        refuses && counts.users >= counts.capacity
    });
    is_full.unwrap_or(false)
}

/// Calls the server, in this place if possible. Otherwise as [`ServerRef::call_timeout`].
pub(crate) async fn call_in_place<S: GenServer, T: Send + 'static>(
    server: &ServerRef<S>,
    place: Place<S>,
    make: impl FnOnce(Reply<T>) -> S::Call,
    limit: Duration,
) -> Result<T, CallError> {
    match place {
        Place::Reserved(process, empty) if is_fillable(&process) => {
            let refine = |error| server.refine_error(error, &process);
            let mut due = process.kernel.deadlines.due_after(limit);
            let (mut answer, sent) = {
                let (reply, answer) = Reply::new(&process, own_waker().await);
                let sent = match empty.fill((make(reply), None)) {
                    Ok(()) => Ok(Sent::Accepted),
                    Err((call, _)) => {
                        process.send_wrapped(call, ServerItem::Call, IfFull::WaitOrLose)
                    }
                };
                match sent {
                    Ok(sent) => (answer, sent),
                    Err((refused, why)) => {
                        // The answer is dropped first, so that the reply has no caller.
                        drop(answer);
                        drop(refused);
                        return after_budget(Err(refine(why.into()))).await;
                    }
                }
            };
            if let Sent::InSendQueue(number) = sent {
                let at = due.map(Due::instant);
                due = at.map(Due::At);
                let queued = Box::pin(wait_until_queued(&process, number, answer, at));
                answer = queued.await.map_err(refine)?;
            }
            AwaitReply::until(answer, due, &process).await
        }
        place => {
            drop(place);
            server.call_timeout(make, limit).await
        }
    }
}

fn is_fillable<S: GenServer>(process: &Process<ServerItem<S>>) -> bool {
    is_plain_call(process) && !process.kernel.carrying.is_on() && !process.head.keeps_queue
}
