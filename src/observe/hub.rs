//! Distributes values of one kind, such as the events of a runtime, to the listeners that exist.
//!
//! Invariants:
//! 1. Until there is a first listener, a value costs one load, and is not made.
//! 2. No process waits for a listener: a listener that is too slow loses the oldest values.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::broadcast::{self, Receiver, Sender};

use crate::base::ignore_panic;

/// The number of values that a listener may lag behind before it misses the oldest.
const KEPT: usize = 1024;

/// Distributes values to listeners.
#[derive(Debug)]
pub(crate) struct Hub<T> {
    /// Whether there has been a listener since the hub was created.
    was_subscribed: AtomicBool,
    sender: OnceLock<Sender<T>>,
}

impl<T> Default for Hub<T> {
    fn default() -> Self {
        Hub { was_subscribed: AtomicBool::new(false), sender: OnceLock::new() }
    }
}

impl<T: Clone> Hub<T> {
    /// Returns a new listener, for all values from now on.
    pub(crate) fn subscribe(&self) -> Receiver<T> {
        let sender = self.sender.get_or_init(|| broadcast::channel(KEPT).0);
        let receiver = sender.subscribe();
        self.was_subscribed.store(true, Ordering::Release);
        receiver
    }

    /// Whether there is a listener.
    #[inline]
    pub(crate) fn has_listeners(&self) -> bool {
        self.was_subscribed.load(Ordering::Acquire)
            && self.sender.get().is_some_and(|sender| sender.receiver_count() > 0)
    }

    /// Sends a value to all listeners. `make` does not run while there is no listener.
    pub(crate) fn publish(&self, make: impl FnOnce() -> T) {
        if !self.has_listeners() {
            return;
        }
        if let Some(sender) = self.sender.get() {
            // An error means that the last listener was dropped just now.
            ignore_panic(|| drop(sender.send(make())));
        }
    }
}
