//! The events of a page: its observation, sent as server-sent events.
//!
//! A task reads the observation and queues the events; the connection takes them from the queue.
//!
//! 1. If the queue refuses an item, because the page does not read, the task empties the queue and ends,
//!    and its observation ends with it.
//! 2. The task ends when the connection has ended, when the stop token is cancelled, or when the
//!    observed tree has ended. In the latter two cases the client gets all that was queued.
//! 3. The connection writes at most [`TURN`] bytes before other tasks have their turn.
//! 4. A picture follows the changes after at most [`REFRESH`], because a page can't learn from changes
//!    which of very many children are the worst. A picture that takes long is followed by a longer
//!    rest, of [`REST`] times as long: 100,000 nodes are tens of megabytes for both sides.

use std::pin::{Pin, pin};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::{Either, select};
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::observation::{Observation, Observed};
use crate::observer::page_queue::{Queue, TURN, queue};

/// The interval of the samples.
const SAMPLES: Duration = Duration::from_secs(1);

/// How long after a picture a page with changes gets another one.
const REFRESH: Duration = Duration::from_secs(5);

/// How many times longer than the work on a picture the rest after it is at least.
const REST: u32 = 20;

/// Starts the task of a page, and returns the body of the answer.
pub(super) fn subscribe(
    observation: Observation,
    permit: OwnedSemaphorePermit,
    stop: CancellationToken,
) -> Body {
    let (queue, connection) = queue();
    let observation = observation.sample_every(SAMPLES);
    tokio::spawn(async move {
        let _permit = permit;
        serve(observation, queue, stop).await;
    });
    Body::from_stream(unfold((connection, 0), |(connection, mut written)| async move {
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
    use super::serve;
    use crate::child::ChildSpec;
    use crate::observer::page_queue::{BATCH, BOUND, queue};
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
        let (queue, connection) = queue();
        let serving = tokio::spawn(serve(rt.observe(), queue, CancellationToken::new()));
        // Each restart is four changes of 20 kB.
        for _ in 0..8 {
            rt.kill(rt.whereis("job").expect("it runs"));
            tokio::time::sleep(Duration::from_millis(1)).await;
            if connection.0.parts().len() > 4 {
                let part = connection.0.take().await.expect("the queue is not over");
                assert!(part.is_ok(), "the page reads");
            }
        }
        assert!(connection.0.parts().len() > 4);
        while !serving.is_finished() {
            rt.kill(rt.whereis("job").expect("it runs"));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(connection.0.parts().len(), 0);
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
        let (mut queue, connection) = queue();
        assert!(queue.push_part("x".repeat(BOUND - 4_000)), "there is room for it");
        let serving = tokio::spawn(serve(rt.observe(), queue, CancellationToken::new()));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let with_picture = connection.0.parts().len();
        // Each restart is four changes of 1 kB.
        for _ in 0..3 {
            rt.kill(rt.whereis("job").expect("it runs"));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(connection.0.parts().len(), with_picture + 1, "one change is queued");
        assert!(!serving.is_finished(), "it has exceeded nothing");
        tokio::time::sleep(BATCH).await;
        assert!(serving.is_finished(), "the others exceed the bound");
        assert_eq!(connection.0.parts().len(), 0);
        assert!(connection.0.take().await.is_some_and(|part| part.is_err()));
        assert!(connection.0.take().await.is_none());
        app.stop().await.expect("it stops");
    }
}
