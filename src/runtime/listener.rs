//! A listener of a hub: the stream of its values, and the number of those that it has missed.

use std::future::poll_fn;
use std::pin::pin;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
#[cfg(feature = "serde")]
use tokio::sync::broadcast::error::TryRecvError;

use crate::base::CaughtWakers;

/// The values that a hub sends from the creation of the listener on.
#[derive(Debug)]
pub(crate) struct Listener<T> {
    receiver: Receiver<T>,
    missed: u64,
    waker: CaughtWakers,
}

impl<T: Clone> Listener<T> {
    pub(crate) fn new(receiver: Receiver<T>) -> Self {
        Listener { receiver, missed: 0, waker: CaughtWakers::default() }
    }

    /// Waits for the next value. Returns `None` when the hub is gone. A wait that is dropped has
    /// taken no value.
    pub(crate) async fn next(&mut self) -> Option<T> {
        loop {
            let Listener { receiver, waker, .. } = self;
            let mut next = pin!(receiver.recv());
            match poll_fn(|cx| waker.poll(cx, |cx| next.as_mut().poll(cx))).await {
                Ok(value) => return Some(value),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Takes the next value if there is one.
    #[cfg(feature = "serde")]
    pub(crate) fn try_next(&mut self) -> Option<T> {
        loop {
            match self.receiver.try_recv() {
                Ok(value) => return Some(value),
                Err(TryRecvError::Lagged(missed)) => self.missed += missed,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// The number of values that were sent and not taken yet.
    #[cfg(feature = "serde")]
    pub(crate) fn queued(&self) -> usize {
        self.receiver.len()
    }

    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }
}
