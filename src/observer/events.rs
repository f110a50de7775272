//! The events of a page: its observation, sent as server-sent events.
//!
//! A task reads the observation and queues the events; the connection takes them from the queue. A
//! connection whose client does not read takes nothing, and would keep its observation forever. So
//! the task measures the queue.
//!
//! 1. At most [`BOUND`] bytes are queued behind the last picture. When they are exceeded, the task
//!    ends, its observation ends with it, and the connection fails at its next read of the queue.
//! 2. The task ends when the connection has ended, when the stop token is cancelled, or when the
//!    observed tree has ended. In the latter two cases the client gets all that was queued.
//! 3. A picture follows the changes after at most [`REFRESH`], because a page can't learn from changes
//!    which of very many children are the worst. A picture that takes long is followed by a longer
//!    rest, of [`REST`] times as long: 100,000 nodes are tens of megabytes for both sides.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::{Either, select};
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::observation::{Observation, Observed};

/// How many bytes may wait for a page behind the last picture.
const BOUND: usize = 1 << 20;

/// The interval of the samples.
const SAMPLES: Duration = Duration::from_secs(1);

/// How long after a picture a page with changes gets another one.
const REFRESH: Duration = Duration::from_secs(5);

/// How many times longer than the work on a picture the rest after it is at least.
const REST: u32 = 20;

/// What the task and the connection share.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    is_over: AtomicBool,
}

/// Starts the task of a page, and returns the body of the answer.
pub(super) fn subscribe(
    observation: Observation,
    permit: OwnedSemaphorePermit,
    stop: CancellationToken,
) -> Body {
    let (sender, events) = unbounded_channel();
    let waiting = Arc::new(Waiting::default());
    let queue = Queue { sender, waiting: waiting.clone(), limit: BOUND };
    let observation = observation.sample_every(SAMPLES);
    tokio::spawn(async move {
        let _permit = permit;
        forward(observation, queue, stop).await;
    });
    Body::from_stream(unfold((events, waiting), |(mut events, waiting)| async {
        let event = take(&mut events, &waiting).await?;
        Some((event, (events, waiting)))
    }))
}

/// Takes an event for the connection.
async fn take(
    events: &mut UnboundedReceiver<String>,
    waiting: &Waiting,
) -> Option<io::Result<String>> {
    if waiting.is_over.load(Ordering::Acquire) {
        events.close();
        while events.try_recv().is_ok() {}
        waiting.is_over.store(false, Ordering::Release);
        return Some(Err(io::Error::other("the page did not read")));
    }
    let event = events.recv().await?;
    waiting.bytes.fetch_sub(event.len(), Ordering::AcqRel);
    Some(Ok(event))
}

/// The side of the queue that the task has.
struct Queue {
    sender: UnboundedSender<String>,
    waiting: Arc<Waiting>,
    limit: usize,
}

impl Queue {
    /// Queues an item. Returns whether the page still reads.
    fn push(&mut self, item: &Observed) -> bool {
        let event = format!("data: {}\n\n", item.to_json());
        let length = event.len();
        let waiting = self.waiting.bytes.fetch_add(length, Ordering::AcqRel) + length;
        // A page that has taken all that was before this picture reads, however long it is.
        if let Observed::Picture(_) = item
            && waiting - length <= self.limit
        {
            self.limit = BOUND + length;
        }
        if waiting > self.limit {
            self.waiting.is_over.store(true, Ordering::Release);
            return false;
        }
        self.sender.send(event).is_ok()
    }
}

/// Forwards an observation to the queue until one of them is over.
async fn forward(mut observation: Observation, mut queue: Queue, stop: CancellationToken) {
    let sender = queue.sender.clone();
    let (closed, stopped) = (pin!(sender.closed()), pin!(stop.cancelled()));
    let mut over = pin!(select(closed, stopped));
    let (mut has_changed, mut pictured, mut rest) = (false, Instant::now(), REFRESH);
    loop {
        let next = match select(pin!(observation.next()), over.as_mut()).await {
            Either::Left((Some(item), _)) => item,
            Either::Left((None, _)) | Either::Right(_) => return,
        };
        has_changed |= !matches!(next, Observed::Sample(_));
        if let Observed::Picture(_) = next {
            (has_changed, pictured) = (false, Instant::now());
        }
        if !queue.push(&next) {
            return;
        }
        if has_changed && pictured.elapsed() >= rest {
            let begun = Instant::now();
            if !queue.push(&Observed::Picture(observation.picture().await)) {
                return;
            }
            (has_changed, pictured) = (false, Instant::now());
            rest = REFRESH.max(REST * begun.elapsed());
        }
    }
}
