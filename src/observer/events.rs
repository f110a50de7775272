//! The events of a page: its observation, sent as server-sent events.
//!
//! A task reads the observation and queues the events; the connection takes them from the queue. A
//! connection whose client does not read takes nothing, and would keep its observation forever. So
//! the task measures the queue.
//!
//! 1. At most [`BOUND`] bytes are queued behind the last picture. When they are exceeded, the task
//!    empties the queue and ends, and its observation ends with it. The connection, which waits for its
//!    client, keeps no picture until TCP gives that client up, and fails at its next read of the queue.
//! 2. The task ends when the connection has ended, when the stop token is cancelled, or when the
//!    observed tree has ended. In the latter two cases the client gets all that was queued.
//! 3. Neither the task nor the connection works long in one go: the JSON of an item is written in
//!    pieces, and the connection writes at most [`TURN`] bytes, before other tasks have their turn.
//! 4. A change is sent at once, and those of the next [`BATCH`] together: for each part that is sent, the
//!    connection wakes and calls the system. A picture or a sample takes the changes before it along.
//! 5. A picture follows the changes after at most [`REFRESH`], because a page can't learn from changes
//!    which of very many children are the worst. A picture that takes long is followed by a longer
//!    rest, of [`REST`] times as long: 100,000 nodes are tens of megabytes for both sides.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::{Either, select};
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::observation::json_pieces::pieces;
use crate::observation::slices::{SLICE, Slices};
use crate::observation::{Observation, Observed};

/// How many bytes may wait for a page behind the last picture.
const BOUND: usize = 1 << 20;

/// How many bytes of an item are queued as one part.
const PART: usize = 16 << 10;

/// How many bytes a connection writes before other tasks have their turn.
const TURN: usize = 4 * PART;

/// How long changes wait for others, to be sent together. A page draws four times in a second.
const BATCH: Duration = Duration::from_millis(50);

/// The interval of the samples.
const SAMPLES: Duration = Duration::from_secs(1);

/// How long after a picture a page with changes gets another one.
const REFRESH: Duration = Duration::from_secs(5);

/// How many times longer than the work on a picture the rest after it is at least.
const REST: u32 = 20;

/// What the task and the connection share.
struct Waiting {
    /// The side of the queue that the connection has. The task locks it only to empty the queue.
    parts: Mutex<UnboundedReceiver<String>>,
    bytes: AtomicUsize,
    is_over: AtomicBool,
}

/// Starts the task of a page, and returns the body of the answer.
pub(super) fn subscribe(
    observation: Observation,
    permit: OwnedSemaphorePermit,
    stop: CancellationToken,
) -> Body {
    let (queue, waiting) = queue();
    let observation = observation.sample_every(SAMPLES);
    tokio::spawn(async move {
        let _permit = permit;
        serve(observation, queue, stop).await;
    });
    Body::from_stream(unfold((Connection(waiting), 0), |(connection, mut written)| async move {
        if written >= TURN {
            yield_now().await;
            written = 0;
        }
        let part = connection.0.take().await?;
        written += part.as_ref().map_or(0, String::len);
        Some((part, (connection, written)))
    }))
}

/// Forwards an observation to a page. Empties the queue of a page that does not read.
async fn serve(observation: Observation, mut queue: Queue, stop: CancellationToken) {
    if !forward(observation, &mut queue, stop).await {
        queue.waiting.give_up().await;
    }
}

/// Returns both sides of a new queue.
fn queue() -> (Queue, Arc<Waiting>) {
    let (sender, parts) = unbounded_channel();
    let (parts, bytes, is_over) = (Mutex::new(parts), AtomicUsize::new(0), AtomicBool::new(false));
    let waiting = Arc::new(Waiting { parts, bytes, is_over });
    (Queue::new(sender, waiting.clone()), waiting)
}

/// The connection of a page. Its drop ends the task.
struct Connection(Arc<Waiting>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.parts().close();
    }
}

impl Waiting {
    fn parts(&self) -> MutexGuard<'_, UnboundedReceiver<String>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a part for the connection.
    async fn take(&self) -> Option<io::Result<String>> {
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
    async fn give_up(&self) {
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
struct Queue {
    sender: UnboundedSender<String>,
    waiting: Arc<Waiting>,
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
    async fn push(&mut self, item: Observed) -> bool {
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
    fn due(&self) -> Option<Instant> {
        (!self.batch.is_empty()).then_some(self.batch_until)
    }

    /// Queues the changes that wait. Returns `false` if they, or any part before them, were refused.
    fn flush(&mut self) -> bool {
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
    fn push_part(&mut self, part: String) -> bool {
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
    fn has_room(&self) -> bool {
        self.waiting.bytes.load(Ordering::Acquire) <= BOUND
    }
}

/// Forwards an observation to the queue until one of them is over. Returns `false` if the page does not
/// read.
async fn forward(mut observation: Observation, queue: &mut Queue, stop: CancellationToken) -> bool {
    let sender = queue.sender.clone();
    let (closed, stopped) = (pin!(sender.closed()), pin!(stop.cancelled()));
    let mut over = pin!(select(closed, stopped));
    let (mut has_changed, mut pictured, mut rest) = (false, Instant::now(), REFRESH);
    while let Some(item) = next(&mut observation, queue, over.as_mut()).await {
        has_changed |= !matches!(item, Observed::Sample(_));
        if let Observed::Picture(_) = item {
            (has_changed, pictured) = (false, Instant::now());
        }
        if !queue.push(item).await {
            return false;
        }
        if has_changed && pictured.elapsed() >= rest && queue.has_room() {
            let begun = Instant::now();
            if !queue.push(Observed::Picture(observation.picture().await)).await {
                return false;
            }
            (has_changed, pictured) = (false, Instant::now());
            rest = REFRESH.max(REST * begun.elapsed());
        }
    }
    queue.flush()
}

/// Returns the next item, unless it is over. Meanwhile the changes that are due are queued.
async fn next(
    observation: &mut Observation,
    queue: &mut Queue,
    mut over: Pin<&mut impl Future>,
) -> Option<Observed> {
    let mut next = pin!(observation.next());
    loop {
        let item = match queue.due() {
            None => select(next.as_mut(), over.as_mut()).await,
            Some(due) => {
                let item = pin!(timeout_at(due, select(next.as_mut(), over.as_mut())));
                match item.await {
                    Ok(item) => item,
                    Err(_) if queue.flush() => continue,
                    // The refusal is remembered: the flush at the end of `forward` returns `false`.
                    Err(_) => return None,
                }
            }
        };
        return match item {
            Either::Left((item, _)) => item,
            Either::Right(_) => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, BOUND, Connection, queue, serve};
    use crate::child::ChildSpec;
    use crate::runtime::Runtime;
    use crate::supervisor::Supervisor;
    use std::future::pending;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    /// The connection waits for its client, and polls the queue no more.
    #[tokio::test(start_paused = true)]
    async fn the_queue_of_a_page_that_does_not_read_is_emptied() {
        let rt = Runtime::new();
        let child = ChildSpec::task("x".repeat(20_000), |_| pending()).named("job");
        let app = Supervisor::one_for_one().unlimited_restarts().child(child);
        let app = app.start(&rt).await.expect("it starts");
        let (queue, waiting) = queue();
        let connection = Connection(waiting.clone());
        let serving = tokio::spawn(serve(rt.observe(), queue, CancellationToken::new()));
        // Each restart is four changes of 20 kB.
        for _ in 0..8 {
            rt.kill(rt.whereis("job").expect("it runs"));
            tokio::time::sleep(Duration::from_millis(1)).await;
            if waiting.parts().len() > 4 {
                let part = connection.0.take().await.expect("the queue is not over");
                assert!(part.is_ok(), "the page reads");
            }
        }
        assert!(waiting.parts().len() > 4);
        while !serving.is_finished() {
            rt.kill(rt.whereis("job").expect("it runs"));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(waiting.parts().len(), 0);
        assert!(connection.0.take().await.is_some_and(|part| part.is_err()));
        assert!(connection.0.take().await.is_none());
        app.stop().await.expect("it stops");
    }
    /// The first change of a burst is queued at once. The others are refused when they are due, and no
    /// item follows.
    #[tokio::test(start_paused = true)]
    async fn a_queue_that_refuses_the_rest_of_a_burst_is_emptied() {
        let rt = Runtime::new();
        let child = ChildSpec::task("x".repeat(1_000), |_| pending()).named("job");
        let app = Supervisor::one_for_one().unlimited_restarts().child(child);
        let app = app.start(&rt).await.expect("it starts");
        let (mut queue, waiting) = queue();
        let connection = Connection(waiting.clone());
        assert!(queue.push_part("x".repeat(BOUND - 4_000)), "there is room for it");
        let serving = tokio::spawn(serve(rt.observe(), queue, CancellationToken::new()));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let with_picture = waiting.parts().len();
        // Each restart is four changes of 1 kB.
        for _ in 0..3 {
            rt.kill(rt.whereis("job").expect("it runs"));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(waiting.parts().len(), with_picture + 1, "one change is queued");
        assert!(!serving.is_finished(), "it has exceeded nothing");
        tokio::time::sleep(BATCH).await;
        assert!(serving.is_finished(), "the others exceed the bound");
        assert_eq!(waiting.parts().len(), 0);
        assert!(connection.0.take().await.is_some_and(|part| part.is_err()));
        assert!(connection.0.take().await.is_none());
        app.stop().await.expect("it stops");
    }
}
