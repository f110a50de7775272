//! Byte streams that travel as one mailbox item.

use std::fmt;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::base::catch::with_caught_wakers;
use crate::base::coop::consume_budget;

/// How many chunks a stream made by [`stream`] holds before its writer waits.
const DEFAULT_CAPACITY: usize = 16;

/// The writing end of a byte stream; clones write to the same stream. The stream ends for
/// its reader when the last of them is dropped.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (writer, mut reader) = regrow::stream();
/// let other = writer.clone();
/// writer.write(b"one".to_vec()).await.unwrap();
/// other.write(b"two".to_vec()).await.unwrap();
/// assert_eq!(reader.read().await, Some(b"one".to_vec()));
/// drop(reader);
/// assert_eq!(writer.write(b"three".to_vec()).await, Err(b"three".to_vec())); // given back
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct StreamWriter(mpsc::Sender<Vec<u8>>);

/// The reading end of a byte stream, sent to a process by
/// [`Runtime::send_stream`](crate::Runtime::send_stream), which has an example.
///
/// Two live streams are never equal, not even one and itself.
pub struct StreamHandle(Box<mpsc::Receiver<Vec<u8>>>);

/// A byte stream that holds up to 16 chunks before its writers wait. For bytes that are
/// many or slow to come; a few go as a [`Message`](crate::Message). OTP has no
/// counterpart.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (writer, mut reader) = regrow::stream();
/// writer.write(b"one".to_vec()).await.unwrap();
/// drop(writer);
/// assert_eq!(reader.read().await, Some(b"one".to_vec()));
/// assert_eq!(reader.read().await, None);
/// # });
/// ```
pub fn stream() -> (StreamWriter, StreamHandle) {
    stream_with_capacity(DEFAULT_CAPACITY)
}

/// A byte stream that holds up to `capacity` chunks before its writers wait.
///
/// # Panics
///
/// If `capacity` is 0: such a stream could never take a chunk.
///
/// ```
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(async {
/// let (writer, mut reader) = regrow::stream_with_capacity(1);
/// writer.write(b"one".to_vec()).await.unwrap();
/// let full = writer.write(b"two".to_vec());
/// assert!(tokio::time::timeout(Duration::from_secs(1), full).await.is_err()); // it waits
/// assert_eq!(reader.read().await, Some(b"one".to_vec()));
/// writer.write(b"two".to_vec()).await.unwrap(); // there is room again
/// # });
/// ```
pub fn stream_with_capacity(capacity: usize) -> (StreamWriter, StreamHandle) {
    assert!(capacity > 0, "a stream needs room for at least one chunk");
    let (writer, reader) = mpsc::channel(capacity);
    (StreamWriter(writer), StreamHandle(Box::new(reader)))
}

impl StreamWriter {
    /// Writes a chunk, waiting while the stream is full. [`StreamWriter`] has an example.
    ///
    /// # Errors
    ///
    /// The chunk itself, when the reader is gone.
    ///
    /// # Cancel safety
    ///
    /// A write that is dropped has written nothing; its chunk is lost with it.
    pub async fn write(&self, chunk: Vec<u8>) -> Result<(), Vec<u8>> {
        consume_budget().await;
        match self.0.try_send(chunk) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(chunk)) => Err(chunk),
            // It gets past nobody: where others wait, there is no room.
            Err(TrySendError::Full(chunk)) => {
                with_caught_wakers(self.0.send(chunk)).await.map_err(|refused| refused.0)
            }
        }
    }
}

impl StreamHandle {
    /// The next chunk, in the order they were written, or `None` when the last writer
    /// is gone and all was read. [`stream`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a read that is dropped has taken nothing.
    pub async fn read(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }
}

impl StreamHandle {
    /// From now on each write fails, and those that wait fail now. Runs the wakers of writers.
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
