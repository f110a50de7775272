//! The bytes that wait to be written to a peer.
//!
//! Frames are appended under a lock to [`Chunks`], which the writer of the connection takes one after
//! the other, so frames that wait are written together. The order of frames is the order of the
//! appends.
//!
//! **The bound.** The bytes that wait, and those that the writer has taken and not written yet, are at
//! most `limit`, without the longest frame that was appended since all bytes were written. A frame that
//! comes when they are above it is not queued, and the connection is closed
//! ([`ConnectionLost::Overflow`]): a signal that is left out while later ones arrive would break the
//! order that links, monitors and calls rely on. The longest frame doesn't count, because a single
//! frame may be as long as the limit, and the short ones behind it must not end the connection. So a
//! connection holds at most `limit` and two of the longest frames, which their senders had in memory
//! anyway, and the [`LongBuffer`]. The buffers of these frames have at most twice their length: a frame
//! that is shorter than half of the long buffer does not take it into the queue. A sender never waits.
//!
//! **If the connection ends** before, between or after an append: a closed outbox refuses frames, and
//! the close and each append are under the lock. Frames that were appended before are dropped with
//! the connection, as those in the buffers of the operating system are.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::base::PlainMutex;
use crate::cluster::wire::chunks::{Chunks, copy_of_own_size, forget_long, keep, scratch};
use crate::cluster::wire::frame::append_frame;
use crate::cluster::wire::long_buffer::{LONG, LongBuffer};
use crate::cluster::wire::loss_reason::ConnectionLost;

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
    long: LongBuffer,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Chunks,
    /// The number of bytes that the writer has taken and not written yet.
    taken: usize,
    /// The length of the longest frame since all bytes were written.
    longest: usize,
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
        let long = LongBuffer::default();
        Outbox(Arc::new(Shared { queue, changed, overflow, limit, long }))
    }

    /// Returns the memory that the long frames of the connection use, in both directions.
    pub(crate) fn long_buffer(&self) -> &LongBuffer {
        &self.0.long
    }

    /// Returns an empty buffer for one frame.
    fn buffer(&self) -> Vec<u8> {
        self.0.long.take().unwrap_or_else(scratch)
    }

    /// Takes a buffer back. A long frame has been moved out of it, or copied if it is much shorter.
    fn put_back(&self, frame: Vec<u8>) {
        if frame.capacity() > LONG {
            self.0.long.put_back(frame);
        } else {
            keep(frame);
        }
    }

    /// Appends a frame. Returns false if the connection has ended, or ends because of the bound.
    pub(crate) fn push(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let appended = self.append(|frames| append_frame(frames, write));
        self.wake(appended);
        appended == Appended::Yes
    }

    /// Appends a frame, as [`push`](Self::push) does, unless `write` fails: then nothing is appended.
    pub(crate) fn try_push<E>(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut frame = self.buffer();
        let mut written = Ok(());
        append_frame(&mut frame, |frame| written = write(frame));
        if written.is_ok() {
            self.wake(self.append_encoded(&mut frame));
        }
        self.put_back(frame);
        written
    }

    /// Appends the frames that `write` appends, under a lock of the caller: nothing is woken.
    /// After unlock, pass the result to [`wake`](Self::wake).
    pub(crate) fn append(&self, write: impl FnOnce(&mut Vec<u8>)) -> Appended {
        // The frame is encoded before the lock is taken.
        let mut frame = self.buffer();
        write(&mut frame);
        let appended = self.append_encoded(&mut frame);
        self.put_back(frame);
        appended
    }

    fn append_encoded(&self, frame: &mut Vec<u8>) -> Appended {
        // Before the lock is taken.
        let mut copy = copy_of_own_size(frame);
        let frame = copy.as_mut().unwrap_or(frame);
        let mut queue = self.0.queue.lock();
        if queue.state != State::Open {
            return Appended::No;
        }
        let bytes = queue.waiting.bytes + queue.taken;
        if bytes.saturating_sub(queue.longest) > self.0.limit {
            queue.state = State::Closed;
            return Appended::Overflow;
        }
        queue.longest = queue.longest.max(frame.len());
        queue.waiting.append(frame);
        Appended::Yes
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
        if queue.state == State::Open && queue.waiting.bytes == 0 {
            queue.waiting.append(&mut vec![0; 4]);
        }
        drop(queue);
        self.0.changed.notify_one();
    }

    /// Waits for bytes, and puts the oldest chunk into `bytes`, whose content was written. Only one
    /// task may call it.
    pub(crate) async fn take(&self, bytes: &mut Vec<u8>) {
        if bytes.capacity() > LONG {
            self.0.long.keep(std::mem::take(bytes));
        }
        forget_long(bytes);
        loop {
            // A permit of `changed` that comes between the look at the queue and the wait is kept.
            {
                let mut queue = self.0.queue.lock();
                if let Some(chunk) = queue.waiting.take(bytes) {
                    queue.taken = chunk.len();
                    drop(queue);
                    *bytes = chunk;
                    return;
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// Notes that bytes which were taken have been written.
    pub(crate) fn written(&self, bytes: usize) {
        let mut queue = self.0.queue.lock();
        queue.taken = queue.taken.saturating_sub(bytes);
        if queue.taken + queue.waiting.bytes == 0 {
            queue.longest = 0;
        }
    }

    /// Whether bytes wait or are being written.
    pub(crate) fn waits(&self) -> bool {
        let queue = self.0.queue.lock();
        queue.taken > 0 || queue.waiting.bytes > 0
    }

    /// Whether more than half of the bytes wait that may wait, without the longest frame as in the
    /// bound. So what may be left out leaves the other half to signals that may not.
    pub(crate) fn is_half_full(&self) -> bool {
        let queue = self.0.queue.lock();
        (queue.waiting.bytes + queue.taken).saturating_sub(queue.longest) > self.0.limit / 2
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
        self.0.long.close();
    }
}

#[cfg(test)]
mod tests;
