//! Byte streams, whose reading end is sent as one mailbox item.

use std::fmt;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::base::{consume_budget, with_caught_wakers};

/// The number of chunks that a stream made by [`stream`] holds before its writers wait.
const DEFAULT_CAPACITY: usize = 16;

/// The writing end of a byte stream. Clones write to the same stream; the stream ends for its
/// reader when the last clone is dropped.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let (writer, mut reader) = regrow::stream();
/// let other = writer.clone();
/// writer.write(b"one".to_vec()).await.unwrap();
/// other.write(b"two".to_vec()).await.unwrap();
/// assert_eq!(reader.read().await, Some(b"one".to_vec()));
/// drop(reader);
/// assert_eq!(writer.write(b"three".to_vec()).await, Err(b"three".to_vec())); // returned
/// # }));
/// ```
#[derive(Clone, Debug)]
pub struct StreamWriter(mpsc::Sender<Vec<u8>>);

/// The reading end of a byte stream.
///
/// [`Runtime::send_stream`](crate::Runtime::send_stream) sends a handle to a process, and has an
/// example. A handle equals no handle, not even itself.
pub struct StreamHandle(Box<mpsc::Receiver<Vec<u8>>>);

/// Makes a byte stream that holds up to 16 chunks before its writers wait.
///
/// Use a stream for many bytes, or for bytes that arrive slowly. Send a few bytes as a
/// [`Message`](crate::Message). OTP has no counterpart.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let (writer, mut reader) = regrow::stream();
/// writer.write(b"one".to_vec()).await.unwrap();
/// drop(writer);
/// assert_eq!(reader.read().await, Some(b"one".to_vec()));
/// assert_eq!(reader.read().await, None);
/// # }));
/// ```
pub fn stream() -> (StreamWriter, StreamHandle) {
    stream_with_capacity(DEFAULT_CAPACITY)
}

/// Makes a byte stream that holds up to `capacity` chunks before its writers wait.
///
/// # Panics
///
/// Panics if `capacity` is 0: such a stream could never hold a chunk.
///
/// ```
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let (writer, mut reader) = regrow::stream_with_capacity(1);
/// writer.write(b"one".to_vec()).await.unwrap();
/// let full = writer.write(b"two".to_vec());
/// assert!(tokio::time::timeout(Duration::from_secs(1), full).await.is_err()); // the writer waits
/// assert_eq!(reader.read().await, Some(b"one".to_vec()));
/// writer.write(b"two".to_vec()).await.unwrap(); // there is room again
/// # }));
/// ```
pub fn stream_with_capacity(capacity: usize) -> (StreamWriter, StreamHandle) {
    assert!(capacity > 0, "a stream needs room for at least one chunk");
    let (writer, reader) = mpsc::channel(capacity);
    (StreamWriter(writer), StreamHandle(Box::new(reader)))
}

impl StreamWriter {
    /// Writes a chunk, and waits while the stream is full. [`StreamWriter`] has an example.
    ///
    /// # Errors
    ///
    /// Returns the chunk, if the reader was dropped.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was written, and the chunk is lost.
    pub async fn write(&self, chunk: Vec<u8>) -> Result<(), Vec<u8>> {
        consume_budget().await;
        match self.0.try_send(chunk) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(chunk)) => Err(chunk),
            // This write overtakes no waiting write: `try_send` fails while writers wait.
            Err(TrySendError::Full(chunk)) => {
                with_caught_wakers(self.0.send(chunk)).await.map_err(|refused| refused.0)
            }
        }
    }
}

impl StreamHandle {
    /// Reads the next chunk, in the order of the writes; `None` when the last writer was dropped
    /// and all chunks were read. [`stream`] has an example.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: if the future is dropped before it is ready, no chunk is lost.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }

    /// Makes all waiting and all later writes fail. This runs the wakers of writers.
    pub(crate) fn close(&mut self) {
        self.0.close();
    }
}

impl PartialEq for StreamHandle {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl fmt::Debug for StreamHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamHandle")
    }
}
