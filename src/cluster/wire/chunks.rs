//! The buffers of frames that wait to be written.
//!
//! Short frames are put together into chunks, each of which is one write. A long frame is a chunk of
//! its own, so it is moved and never copied under the lock of its queue.
//!
//! **Invariant.** The capacity of a chunk is at most twice the longer of its length and [`KEPT`]. The
//! queue counts lengths, so its bound is one of memory only if capacities follow them. A long frame in
//! a much longer buffer is therefore copied to one of its own size before it is appended
//! ([`copy_of_own_size`]).

use std::cell::Cell;
use std::collections::VecDeque;

/// Frames in the order of their appends.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    chunks: VecDeque<Vec<u8>>,
    pub(super) bytes: usize,
    /// An empty buffer that is used again.
    spare: Vec<u8>,
}

/// The length up to which frames are put into one chunk.
pub(super) const CHUNK: usize = 64 * 1024;
/// The capacity of a buffer that is used again. An idle connection keeps little memory.
const KEPT: usize = 4 * 1024;

thread_local! {
    /// The buffer in which frames of this thread are encoded.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Returns an empty buffer for a frame of this thread.
pub(super) fn scratch() -> Vec<u8> {
    SCRATCH.try_with(Cell::take).unwrap_or_default()
}

/// Keeps a buffer for the next frame of this thread.
pub(super) fn keep(mut frame: Vec<u8>) {
    if frame.capacity() <= KEPT {
        frame.clear();
        let _ = SCRATCH.try_with(|scratch| scratch.set(frame));
    }
}

/// Frees the memory of a buffer that is too long to be used again.
pub(super) fn forget_long(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}

/// Returns a copy of a frame that [`Chunks::append`] would move with more than twice the memory it
/// needs; `None` if the frame is appended as it is.
pub(super) fn copy_of_own_size(frame: &Vec<u8>) -> Option<Vec<u8>> {
    (frame.len() > CHUNK && frame.capacity() / 2 > frame.len()).then(|| frame.clone())
}

impl Chunks {
    pub(super) fn append(&mut self, frame: &mut Vec<u8>) {
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
    pub(super) fn take(&mut self, spent: &mut Vec<u8>) -> Option<Vec<u8>> {
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk.len();
        if self.spare.capacity() == 0 {
            spent.clear();
            self.spare = std::mem::take(spent);
        }
        Some(chunk)
    }
}
