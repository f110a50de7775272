//! The bytes that wait to be written to a peer.
//!
//! Frames are appended under a lock to one buffer, which the writer of the connection takes as a
//! whole, so frames that wait are written together. The order of frames is the order of the appends.
//!
//! **The bound.** The bytes that wait and those that the writer has taken and not written yet are at
//! most `limit`. A frame that comes when they are above it is not queued, and the connection is
//! closed ([`ConnectionLost::Overflow`]): a signal that is left out while later ones arrive would
//! break the order that links, monitors and calls rely on. A single frame may exceed the limit by
//! its own length, which the sender has in memory anyway. A sender never waits.
//!
//! **If the connection ends** before, between or after an append: a closed outbox refuses frames, and
//! the close and each append are under the lock. Frames that were appended before are dropped with
//! the connection, as those in the buffers of the operating system are.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::base::PlainMutex;
use crate::cluster::wire::frame::append_frame;
use crate::cluster::wire::lost::ConnectionLost;

/// The queue of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: PlainMutex<Queue>,
    /// Wakes the writer: bytes wait.
    changed: Notify,
    /// Wakes the connection: the bound is exceeded.
    overflow: Notify,
    limit: usize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<u8>,
    /// The number of bytes that the writer has taken and not written yet.
    taken: usize,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Closed, or to be closed because of the bound.
    Closed,
}

/// What an append has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the connection has to be woken"]
pub(crate) enum Appended {
    Yes,
    /// Nothing: the connection ends because of the bound.
    Overflow,
    /// Nothing: the connection has ended.
    No,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        let queue = PlainMutex::new(Queue::default());
        let (changed, overflow) = (Notify::new(), Notify::new());
        Outbox(Arc::new(Shared { queue, changed, overflow, limit }))
    }

    /// Appends a frame. Returns false if the connection has ended, or ends because of the bound.
    pub(crate) fn push(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let appended = self.append(write);
        self.wake(appended);
        appended == Appended::Yes
    }

    /// Appends a frame, as [`push`](Self::push) does, under a lock of the caller: nothing is woken.
    /// After unlock, pass the result to [`wake`](Self::wake).
    pub(crate) fn append(&self, write: impl FnOnce(&mut Vec<u8>)) -> Appended {
        // The frame is encoded before the lock is taken.
        let mut frame = Vec::new();
        append_frame(&mut frame, write);
        let mut queue = self.0.queue.lock();
        if queue.state != State::Open {
            return Appended::No;
        }
        let is_full = queue.waiting.len() + queue.taken > self.0.limit;
        if is_full {
            queue.state = State::Closed;
        } else if queue.waiting.is_empty() {
            queue.waiting = frame;
        } else {
            queue.waiting.extend(frame);
        }
        drop(queue);
        if is_full { Appended::Overflow } else { Appended::Yes }
    }

    /// Wakes the connection after an append.
    pub(crate) fn wake(&self, appended: Appended) {
        match appended {
            Appended::Yes => self.0.changed.notify_one(),
            Appended::Overflow => self.0.overflow.notify_one(),
            Appended::No => {}
        }
    }

    /// Appends a tick, unless bytes wait: these show as well that this node lives.
    pub(crate) fn push_tick(&self) {
        let mut queue = self.0.queue.lock();
        if queue.state == State::Open && queue.waiting.is_empty() {
            queue.waiting.extend([0; 4]);
        }
        drop(queue);
        self.0.changed.notify_one();
    }

    /// Waits for bytes, and takes all that wait. Only one task may call it.
    pub(crate) async fn take(&self) -> Vec<u8> {
        loop {
            // A permit of `changed` that comes between the look at the queue and the wait is kept.
            {
                let mut queue = self.0.queue.lock();
                if !queue.waiting.is_empty() {
                    queue.taken = queue.waiting.len();
                    return std::mem::take(&mut queue.waiting);
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// Notes that bytes which were taken have been written.
    pub(crate) fn written(&self, bytes: usize) {
        let mut queue = self.0.queue.lock();
        queue.taken = queue.taken.saturating_sub(bytes);
    }

    /// Whether bytes wait or are being written.
    pub(crate) fn waits(&self) -> bool {
        let queue = self.0.queue.lock();
        queue.taken > 0 || !queue.waiting.is_empty()
    }

    /// Waits until the bound is exceeded. Only one task may call it.
    pub(crate) async fn overflowed(&self) -> ConnectionLost {
        self.0.overflow.notified().await;
        ConnectionLost::Overflow(self.0.limit)
    }

    /// Refuses all further frames, and drops those that wait.
    pub(crate) fn close(&self) {
        let mut queue = self.0.queue.lock();
        queue.state = State::Closed;
        let dropped = std::mem::take(&mut queue.waiting);
        drop(queue);
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::Outbox;
    use crate::cluster::wire::lost::ConnectionLost;

    #[tokio::test]
    async fn frames_that_wait_are_taken_together_in_their_order() {
        let outbox = Outbox::new(100);
        assert!(outbox.take().now_or_never().is_none() && !outbox.waits());
        assert!(outbox.push(|frame| frame.push(1)) && outbox.push(|frame| frame.push(2)));
        outbox.push_tick(); // bytes wait, so no tick is needed
        let taken = outbox.take().await;
        assert_eq!(taken, [0, 0, 0, 2, 112, 1, 0, 0, 0, 2, 112, 2]);
        assert!(outbox.waits());
        outbox.written(taken.len());
        assert!(!outbox.waits());
        outbox.push_tick();
        assert_eq!(outbox.take().await, [0; 4]);
    }

    #[tokio::test]
    async fn a_frame_beyond_the_bound_closes_the_outbox() {
        let outbox = Outbox::new(10);
        assert!(outbox.push(|frame| frame.extend([0; 20])));
        assert_eq!(outbox.take().await.len(), 25); // taken, and not written yet
        assert!(outbox.overflowed().now_or_never().is_none());
        assert!(!outbox.push(|_| {}));
        assert_eq!(outbox.overflowed().await, ConnectionLost::Overflow(10));
        outbox.written(25);
        assert!(!outbox.push(|_| {}));
    }

    #[tokio::test]
    async fn written_bytes_make_room() {
        let outbox = Outbox::new(10);
        for _ in 0..100 {
            assert!(outbox.push(|frame| frame.extend([0; 20])));
            let taken = outbox.take().await;
            outbox.written(taken.len());
        }
    }

    #[test]
    fn a_closed_outbox_refuses_frames() {
        let outbox = Outbox::new(10);
        outbox.close();
        assert!(!outbox.push(|_| {}) && !outbox.waits());
    }
}
