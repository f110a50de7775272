//! The bytes that wait to be written to a peer.
//!
//! Frames are appended under a lock to *chunks*, which the writer of the connection takes one after
//! the other, so frames that wait are written together. The order of frames is the order of the
//! appends. A long frame is a chunk of its own, so it is moved and never copied under the lock.
//!
//! **The bound.** The bytes that wait, and those that the writer has taken and not written yet, are at
//! most `limit`, without the longest frame that was appended since the queue was empty. A frame that
//! comes when they are above it is not queued, and the connection is closed
//! ([`ConnectionLost::Overflow`]): a signal that is left out while later ones arrive would break the
//! order that links, monitors and calls rely on. The longest frame doesn't count, because a single
//! frame may be as long as the limit, and the short ones behind it must not end the connection. So a
//! connection holds at most `limit` and two frames, which their senders had in memory anyway. A sender
//! never waits.
//!
//! **If the connection ends** before, between or after an append: a closed outbox refuses frames, and
//! the close and each append are under the lock. Frames that were appended before are dropped with
//! the connection, as those in the buffers of the operating system are.

use std::cell::Cell;
use std::collections::VecDeque;
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
    waiting: Chunks,
    /// The number of bytes that the writer has taken and not written yet.
    taken: usize,
    /// The length of the longest frame since nothing waited.
    longest: usize,
    state: State,
}

/// Frames in the order of their appends.
#[derive(Debug, Default)]
struct Chunks {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
    /// An empty buffer that is used again.
    spare: Vec<u8>,
}

/// The length up to which frames are put into one chunk.
const CHUNK: usize = 64 * 1024;
/// The capacity of a buffer that is used again. An idle connection keeps little memory.
const KEPT: usize = 4 * 1024;

thread_local! {
    /// The buffer in which frames of this thread are encoded.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Keeps a buffer for the next frame of this thread.
fn keep(mut frame: Vec<u8>) {
    if frame.capacity() <= KEPT {
        frame.clear();
        let _ = SCRATCH.try_with(|scratch| scratch.set(frame));
    }
}

impl Chunks {
    fn append(&mut self, frame: &mut Vec<u8>) {
        self.bytes += frame.len();
        match self.chunks.back_mut() {
            Some(last) if last.len() + frame.len() <= CHUNK => last.extend_from_slice(frame),
            _ if frame.len() > CHUNK => self.chunks.push_back(std::mem::take(frame)),
            _ => {
                let mut chunk = std::mem::take(&mut self.spare);
                chunk.extend_from_slice(frame);
                self.chunks.push_back(chunk);
            }
        }
    }

    /// Takes the oldest chunk, and keeps a buffer that was written.
    fn take(&mut self, spent: &mut Vec<u8>) -> Option<Vec<u8>> {
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk.len();
        if self.spare.capacity() == 0 {
            spent.clear();
            self.spare = std::mem::take(spent);
        }
        Some(chunk)
    }
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
        let appended = self.append(|frames| append_frame(frames, write));
        self.wake(appended);
        appended == Appended::Yes
    }

    /// Appends a frame, as [`push`](Self::push) does, unless `write` fails: then nothing is appended.
    pub(crate) fn try_push<E>(
        &self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut frame = SCRATCH.try_with(Cell::take).unwrap_or_default();
        let mut written = Ok(());
        append_frame(&mut frame, |frame| written = write(frame));
        if written.is_ok() {
            self.wake(self.append_encoded(&mut frame));
        }
        keep(frame);
        written
    }

    /// Appends the frames that `write` appends, under a lock of the caller: nothing is woken.
    /// After unlock, pass the result to [`wake`](Self::wake).
    pub(crate) fn append(&self, write: impl FnOnce(&mut Vec<u8>)) -> Appended {
        // The frame is encoded before the lock is taken.
        let mut frame = SCRATCH.try_with(Cell::take).unwrap_or_default();
        write(&mut frame);
        let appended = self.append_encoded(&mut frame);
        keep(frame);
        appended
    }

    fn append_encoded(&self, frame: &mut Vec<u8>) -> Appended {
        let mut queue = self.0.queue.lock();
        if queue.state != State::Open {
            return Appended::No;
        }
        let bytes = queue.waiting.bytes + queue.taken;
        if bytes == 0 {
            queue.longest = 0;
        }
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
        if bytes.capacity() > KEPT {
            *bytes = Vec::new();
        }
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
    }

    /// Whether bytes wait or are being written.
    pub(crate) fn waits(&self) -> bool {
        let queue = self.0.queue.lock();
        queue.taken > 0 || queue.waiting.bytes > 0
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

    use super::{CHUNK, Outbox};
    use crate::cluster::wire::lost::ConnectionLost;

    async fn take(outbox: &Outbox) -> Vec<u8> {
        let mut bytes = Vec::new();
        outbox.take(&mut bytes).await;
        bytes
    }

    #[tokio::test]
    async fn frames_that_wait_are_taken_together_in_their_order() {
        let outbox = Outbox::new(100);
        assert!(take(&outbox).now_or_never().is_none() && !outbox.waits());
        assert!(outbox.push(|frame| frame.push(1)) && outbox.push(|frame| frame.push(2)));
        outbox.push_tick(); // bytes wait, so no tick is needed
        let taken = take(&outbox).await;
        assert_eq!(taken, [0, 0, 0, 2, 112, 1, 0, 0, 0, 2, 112, 2]);
        assert!(outbox.waits());
        outbox.written(taken.len());
        assert!(!outbox.waits());
        outbox.push_tick();
        assert_eq!(take(&outbox).await, [0; 4]);
    }

    #[tokio::test]
    async fn long_frames_are_taken_alone_and_in_their_order() {
        let (outbox, mut expected) = (Outbox::new(9 * CHUNK), Vec::new());
        let mut taken: Vec<u8> = Vec::new();
        for (number, length) in
            [1, CHUNK + 1, 2, CHUNK - 20, 3, 3 * CHUNK, 4].into_iter().enumerate()
        {
            let content = vec![number as u8; length];
            crate::cluster::wire::frame::append_frame(&mut expected, |frame| {
                frame.extend(&content)
            });
            assert!(outbox.push(|frame| frame.extend(&content)));
        }
        let mut bytes = Vec::new();
        while taken.len() < expected.len() {
            outbox.take(&mut bytes).await;
            outbox.written(bytes.len());
            taken.extend(&bytes);
        }
        assert!(taken == expected && !outbox.waits());
    }

    #[tokio::test]
    async fn a_frame_beyond_the_bound_closes_the_outbox() {
        let outbox = Outbox::new(10);
        assert!(outbox.push(|frame| frame.extend([0; 20])));
        assert_eq!(take(&outbox).await.len(), 25); // taken, and not written yet
        assert!(outbox.push(|frame| frame.extend([0; 7]))); // the longest frame doesn't count
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
            let taken = take(&outbox).await;
            outbox.written(taken.len());
        }
        // The longest frame is one of those that wait.
        assert!(outbox.push(|_| {}) && outbox.push(|_| {}) && outbox.push(|_| {}));
        let (first, second) = (outbox.push(|_| {}), outbox.push(|_| {}));
        assert!(first && !second);
    }

    #[test]
    fn a_closed_outbox_refuses_frames() {
        let outbox = Outbox::new(10);
        outbox.close();
        assert!(!outbox.push(|_| {}) && !outbox.waits());
    }
}
