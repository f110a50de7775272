//! The queue between the observation of a page and its connection.
//!
//! The task that reads the observation queues its items; the connection takes them in parts. A connection
//! whose client does not read takes nothing, so the queue measures what waits.
//!
//! 1. At most [`BOUND`] bytes are queued behind the last picture. A part that exceeds them is refused, and
//!    so is everything after it: its text would have a gap. The task then empties the queue and ends. The
//!    connection, which waits for its client, keeps no picture until TCP gives that client up, and fails
//!    at its next read of the queue.
//! 2. The JSON of an item is written in pieces, between which other tasks have their turn.
//! 3. A change is queued at once, and those of the next [`BATCH`] together: for each part that is sent, the
//!    connection wakes and calls the system. A picture or a sample takes the changes before it along.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::observation::Observed;
use crate::observation::json_pieces::pieces;
use crate::observation::slices::{SLICE, Slices};

/// How many bytes may wait for a page behind the last picture.
pub(super) const BOUND: usize = 1 << 20;

/// How many bytes of an item are queued as one part.
const PART: usize = 16 << 10;

/// How many bytes a connection writes before other tasks have their turn.
pub(super) const TURN: usize = 4 * PART;

/// How long changes wait for others, to be sent together. A page draws four times in a second.
pub(super) const BATCH: Duration = Duration::from_millis(50);

/// What the task and the connection share.
pub(super) struct Waiting {
    /// The side of the queue that the connection has. The task locks it only to empty the queue.
    parts: Mutex<UnboundedReceiver<String>>,
    bytes: AtomicUsize,
    is_over: AtomicBool,
}

/// Returns both sides of a new queue.
pub(super) fn queue() -> (Queue, Connection) {
    let (sender, parts) = unbounded_channel();
    let (parts, bytes, is_over) = (Mutex::new(parts), AtomicUsize::new(0), AtomicBool::new(false));
    let waiting = Arc::new(Waiting { parts, bytes, is_over });
    (Queue::new(sender, waiting.clone()), Connection(waiting))
}

/// The connection of a page. Its drop ends the task.
pub(super) struct Connection(pub(super) Arc<Waiting>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.parts().close();
    }
}

impl Waiting {
    pub(super) fn parts(&self) -> MutexGuard<'_, UnboundedReceiver<String>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a part for the connection.
    pub(super) async fn take(&self) -> Option<io::Result<String>> {
        let part = poll_fn(|cx| self.parts().poll_recv(cx)).await;
        // The parts that were taken before the queue was emptied are of no use without the others.
        if self.is_over.swap(false, Ordering::AcqRel) {
            return Some(Err(io::Error::other("the page did not read")));
        }
        let part = part?;
        self.bytes.fetch_sub(part.len(), Ordering::AcqRel);
        Some(Ok(part))
    }

    /// Empties the queue of a page that does not read, in slices.
    pub(super) async fn give_up(&self) {
        self.is_over.store(true, Ordering::Release);
        self.parts().close();
        loop {
            let some = {
                let mut parts = self.parts();
                (0..TURN / PART).map_while(|_| parts.try_recv().ok()).collect::<Vec<_>>()
            };
            if some.is_empty() {
                return;
            }
            drop(some);
            yield_now().await;
        }
    }
}

/// The side of the queue that the task has.
pub(super) struct Queue {
    pub(super) sender: UnboundedSender<String>,
    pub(super) waiting: Arc<Waiting>,
    limit: usize,
    /// The changes that wait for others, as events.
    batch: String,
    /// Until when a change that arrives waits.
    batch_until: Instant,
    /// Whether a part was not queued: the page does not read, or its connection has ended.
    is_refused: bool,
    slices: Slices,
}

impl Queue {
    fn new(sender: UnboundedSender<String>, waiting: Arc<Waiting>) -> Self {
        let (batch, batch_until, slices) = (String::new(), Instant::now(), Slices::default());
        Queue { sender, waiting, limit: BOUND, batch, batch_until, is_refused: false, slices }
    }

    /// Queues an item. Returns whether the page still reads.
    pub(super) async fn push(&mut self, item: Observed) -> bool {
        match item {
            Observed::Change(change) => self.push_change(&change.to_json()),
            Observed::Picture(_) => self.push_picture(item).await,
            _ => self.flush() && self.push_parts(item).await.is_some(),
        }
    }

    fn push_change(&mut self, json: &str) -> bool {
        for text in ["data: ", json, "\n\n"] {
            self.batch.push_str(text);
        }
        self.batch.len() < PART && Instant::now() < self.batch_until || self.flush()
    }

    /// Returns when the changes that wait are due, if there are any.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.batch.is_empty()).then_some(self.batch_until)
    }

    /// Queues the changes that wait. Returns `false` if they, or any part before them, were refused.
    pub(super) fn flush(&mut self) -> bool {
        if self.batch.is_empty() {
            return !self.is_refused;
        }
        self.batch_until = Instant::now() + BATCH;
        let batch = std::mem::take(&mut self.batch);
        self.push_part(batch)
    }

    /// A page that has taken all that was before the picture reads, however long the picture is.
    async fn push_picture(&mut self, picture: Observed) -> bool {
        if !self.flush() {
            return false;
        }
        self.limit = usize::MAX;
        let Some(length) = self.push_parts(picture).await else { return false };
        self.limit = BOUND + length;
        self.is_read(self.waiting.bytes.load(Ordering::Acquire))
    }

    /// Queues an item in parts. Returns its length, or `None` if the page does not read.
    async fn push_parts(&mut self, item: Observed) -> Option<usize> {
        let (mut part, mut length) = (String::from("data: "), 0);
        for piece in pieces(item) {
            self.slices.before(SLICE).await;
            part.push_str(&piece);
            if part.len() >= PART {
                length += part.len();
                self.push_part(std::mem::take(&mut part)).then_some(())?;
            }
        }
        part.push_str("\n\n");
        length += part.len();
        self.push_part(part).then_some(length)
    }

    /// Queues a part. After a refusal the queue refuses every part, because its text would have a gap.
    pub(super) fn push_part(&mut self, part: String) -> bool {
        let length = part.len();
        let waiting = self.waiting.bytes.fetch_add(length, Ordering::AcqRel) + length;
        self.is_refused =
            self.is_refused || !self.is_read(waiting) || self.sender.send(part).is_err();
        !self.is_refused
    }

    /// Whether no more bytes wait than the page may leave.
    fn is_read(&self, waiting: usize) -> bool {
        waiting <= self.limit
    }

    /// Whether the page has taken the last picture, and most of what followed.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.bytes.load(Ordering::Acquire) <= BOUND
    }
}
