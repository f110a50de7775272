//! The memory of a long frame, which the next long frame of the connection uses again.
//!
//! A new buffer of many megabytes costs a page fault for each of its pages, and its release gives them
//! back: more time than the copy of its content takes. So a connection keeps one buffer for all its
//! long frames, in both directions:
//!
//! ```text
//!   reader ── the frame was handled ──▶ kept ── an answer is encoded ──▶ writer
//!     ▲                                  │ ▲                               │
//!     └───── a long frame begins ────────┘ └──────── it was written ───────┘
//! ```
//!
//! **Invariants.**
//!
//! 1. At most one buffer is kept, the one with the greater capacity. It leaves for the queue of the
//!    writer only with a frame of at least half its capacity: a shorter one is copied out of it, and the
//!    buffer is put back. So a connection has at most one buffer more than its frames need, which is
//!    about as long as a frame that this connection has had, and the frames that wait have buffers of at
//!    most twice their length.
//! 2. The end of an interval of ticks frees the buffer if no frame has filled half of it since the end of
//!    the one before. So a connection that has become quiet, or whose frames have become much shorter, keeps
//!    little memory.
//! 3. Nothing is kept after the close: a late answer must not keep memory for a connection that is
//!    lost.
//!
//! No buffer is freed under the lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::base::PlainMutex;

/// The capacity above which a buffer is one of a long frame.
pub(crate) const LONG: usize = 64 * 1024;

/// The kept buffer of one connection. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct LongBuffer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Whether a buffer may be kept: a short frame does not take the lock.
    may_be_kept: AtomicBool,
    kept: PlainMutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    buffer: Vec<u8>,
    /// A frame has filled half of a buffer in this interval.
    was_used: bool,
    is_closed: bool,
}

impl LongBuffer {
    /// Returns the buffer, which is empty; `None` if none is kept.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        if !self.0.may_be_kept.load(Relaxed) {
            return None;
        }
        let mut kept = self.0.kept.lock();
        self.0.may_be_kept.store(false, Relaxed);
        Some(std::mem::take(&mut kept.buffer)).filter(|buffer| buffer.capacity() > 0)
    }

    /// Keeps the buffer of a long frame that is no longer needed. The buffer still has its content.
    pub(crate) fn keep(&self, buffer: Vec<u8>) {
        let is_half_full = buffer.len() >= buffer.capacity() / 2;
        self.put(buffer, is_half_full);
    }

    /// Puts a buffer back that no long frame has used.
    pub(crate) fn put_back(&self, buffer: Vec<u8>) {
        self.put(buffer, false);
    }

    fn put(&self, mut buffer: Vec<u8>, was_used: bool) {
        buffer.clear();
        let mut kept = self.0.kept.lock();
        kept.was_used |= was_used;
        if !kept.is_closed {
            if buffer.capacity() > kept.buffer.capacity() {
                std::mem::swap(&mut kept.buffer, &mut buffer);
            }
            self.0.may_be_kept.store(true, Relaxed);
        }
        drop(kept);
        drop(buffer);
    }

    /// Frees the buffer, if no frame has filled half of it since the last call.
    pub(crate) fn end_of_interval(&self) {
        let mut kept = self.0.kept.lock();
        if !std::mem::take(&mut kept.was_used) {
            let unused = std::mem::take(&mut kept.buffer);
            drop(kept);
            drop(unused);
        }
    }

    /// Frees the buffer, and keeps none from now on.
    pub(crate) fn close(&self) {
        let mut kept = self.0.kept.lock();
        kept.is_closed = true;
        let unused = std::mem::take(&mut kept.buffer);
        drop(kept);
        drop(unused);
    }
}

#[cfg(test)]
mod tests {
    use super::LongBuffer;

    fn capacity(long: &LongBuffer) -> Option<usize> {
        long.take().map(|buffer| buffer.capacity())
    }

    #[test]
    fn the_longest_buffer_is_kept_and_taken_once() {
        let long = LongBuffer::default();
        assert_eq!(capacity(&long), None);
        for size in [10, 30, 20] {
            long.keep(vec![1; size]);
        }
        let buffer = long.take().unwrap();
        assert!(buffer.capacity() >= 30 && buffer.is_empty());
        assert_eq!(capacity(&long), None);
        long.put_back([buffer, vec![1]].concat());
        assert_eq!(long.take(), Some(Vec::new()));
    }

    #[test]
    fn a_buffer_that_no_long_frame_uses_for_an_interval_is_freed() {
        let long = LongBuffer::default();
        long.keep(vec![1; 30]);
        long.end_of_interval();
        // A short frame is encoded in it.
        let buffer = long.take().unwrap();
        long.put_back(buffer);
        long.end_of_interval();
        assert_eq!(capacity(&long), None);
        long.keep(vec![1; 30]);
        long.end_of_interval();
        assert!(capacity(&long).is_some());
    }

    /// Frames of a tenth of the buffer do not keep it, and those of half of it do.
    #[test]
    fn a_buffer_that_is_too_long_for_the_frames_that_use_it_is_freed() {
        let kept_after = |length| {
            let long = LongBuffer::default();
            long.keep(vec![1; 1_000]);
            long.end_of_interval();
            for _ in 0..10 {
                let mut buffer = long.take().unwrap();
                buffer.resize(length, 1);
                long.keep(buffer);
            }
            long.end_of_interval();
            capacity(&long).is_some()
        };
        assert_eq!([100, 500].map(kept_after), [false, true]);
    }

    #[test]
    fn nothing_is_kept_after_the_close() {
        let long = LongBuffer::default();
        long.keep(Vec::with_capacity(30));
        long.close();
        assert_eq!(capacity(&long), None);
        long.keep(Vec::with_capacity(30));
        assert_eq!(capacity(&long), None);
    }
}
