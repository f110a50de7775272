//! The acknowledgements of servers that one process starts one after the other, and awaits.
//!
//! A supervisor of a declared list has one [`StartAcks`] for all its starts. A channel for each start
//! would be allocated, and freed when the start is over.
//!
//! **Guarantee.** [`next`](StartAcks::next) resolves exactly once, with the acknowledgement of its
//! server, or with `None` if the body of that server was dropped without one.
//!
//! **Invariants**
//! 1. A wait checks for the acknowledgement and registers its waker in one step under the lock. An
//!    acknowledgement is added, and the waker taken, in one step as well. So no acknowledgement is
//!    missed.
//! 2. An acknowledgement is found by the pid of its server. So that of an earlier start, which was
//!    dropped, does not end the wait for a later one. It is dropped when the next start begins.
//! 3. Under the lock no acknowledgement is dropped, and no waker is cloned, dropped or woken: an
//!    acknowledgement can hold an error of a user, and the waker can be code of a user.
//!
//! What happens if one side ends in between:
//!
//! | | |
//! |---|---|
//! | the server acknowledges, or ends, before the wait begins | its notice is found by the first poll |
//! | the wait is dropped before the acknowledgement | the guard of the start kills the server; its notice wakes the starter once more, and is dropped at the next start |
//! | the starter ends | each server that is starting holds a reference, so its notice has a place |

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop;

use crate::base::{Pid, PlainMutex, ignore_panic, wake};
use crate::runtime::{Ack, AckReceiver};

/// A notice of a server: its acknowledgement, or `None` if it ends without one.
type Notice = (Pid, Option<Ack>);

#[derive(Debug, Default)]
pub(crate) struct StartAcks(PlainMutex<State>);

#[derive(Debug, Default)]
struct State {
    received: Vec<Notice>,
    waker: Option<Waker>,
}

impl StartAcks {
    /// Drops the notices of earlier starts. Call this before a start begins.
    pub(crate) fn clear(&self) {
        let mut state = self.0.lock();
        if state.received.is_empty() {
            return;
        }
        let stale = std::mem::take(&mut state.received);
        drop(state);
        ignore_panic(|| drop(stale));
    }

    /// Waits for the notice of this server. Only one task may wait.
    pub(crate) fn next(&self, server: Pid) -> NextAck<'_> {
        NextAck { acks: self, server }
    }
}

impl AckReceiver for StartAcks {
    fn acknowledged(&self, server: Pid, ack: Option<Ack>) {
        let mut state = self.0.lock();
        state.received.push((server, ack));
        let waker = state.waker.take();
        drop(state);
        wake(waker);
    }
}

/// Waits for the notice of a server.
pub(crate) struct NextAck<'a> {
    acks: &'a StartAcks,
    server: Pid,
}

impl NextAck<'_> {
    fn take(&self, state: &mut State) -> Option<Option<Ack>> {
        let at = state.received.iter().position(|(server, _)| *server == self.server)?;
        Some(state.received.swap_remove(at).1)
    }
}

impl Future for NextAck<'_> {
    type Output = Option<Ack>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Ack>> {
        let budget = ready!(coop::poll_proceed(cx));
        let taken = self.take(&mut self.acks.0.lock());
        let taken = taken.or_else(|| {
            let waker = cx.waker().clone();
            let mut state = self.acks.0.lock();
            // Invariant 1.
            let (taken, unused) = match self.take(&mut state) {
                Some(ack) => (Some(ack), Some(waker)),
                None => (None, state.waker.replace(waker)),
            };
            drop(state);
            ignore_panic(|| drop(unused));
            taken
        });
        let Some(ack) = taken else { return Poll::Pending };
        budget.made_progress();
        Poll::Ready(ack)
    }
}

#[cfg(test)]
mod tests {
    use super::StartAcks;
    use crate::base::pid::Pid;
    use crate::runtime::{Ack, AckReceiver, StartError};
    use futures_util::FutureExt;
    use futures_util::task::noop_waker_ref;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Context;

    #[test]
    fn a_notice_that_comes_first_is_found() {
        let (acks, server) = (StartAcks::default(), Pid::from_raw(1));
        acks.acknowledged(server, Some(Ack::Started));
        assert_eq!(acks.next(server).now_or_never(), Some(Some(Ack::Started)));
        acks.acknowledged(server, None);
        assert_eq!(acks.next(server).now_or_never(), Some(None));
    }

    #[test]
    fn the_notice_of_a_dropped_start_is_not_that_of_the_next() {
        let (acks, [first, second]) = (StartAcks::default(), [1, 2].map(Pid::from_raw));
        assert_eq!(acks.next(first).now_or_never(), None);
        acks.clear();
        let mut next = pin!(acks.next(second));
        assert!(next.as_mut().poll(&mut Context::from_waker(noop_waker_ref())).is_pending());
        acks.acknowledged(first, Some(Ack::Refused(Box::new(StartError::Ignored))));
        assert_eq!(next.as_mut().now_or_never(), None);
        acks.acknowledged(second, Some(Ack::Started));
        assert_eq!(next.now_or_never(), Some(Some(Ack::Started)));
        acks.clear();
        assert!(acks.0.lock().received.is_empty());
    }

    #[tokio::test]
    async fn a_notice_wakes_the_task_that_waits() {
        let (acks, server) = (Arc::new(StartAcks::default()), Pid::from_raw(1));
        let waiting = acks.clone();
        let task = tokio::spawn(async move { waiting.next(server).await });
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        acks.acknowledged(server, None);
        assert_eq!(task.await.expect("it does not panic"), None);
    }
}
