//! Streams of the events of a topic: a bounded queue between the publishers and one reader.
//!
//! **Invariants**
//! 1. The queue never has more events than its capacity.
//! 2. The `missed` of a queued event is the number of events lost between it and the one before. The
//!    `gap` of the queue is the number of those lost since the newest queued event.
//! 3. No event is accepted after the queue was closed. Events and wakers are dropped and woken after
//!    the lock is released.

use std::any::type_name;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};

use futures_util::{Stream, StreamExt};
use tokio::task::coop;

use crate::base::user_panics::drop_each;
use crate::base::{Pid, PlainMutex, ignore_panic, wake};
use crate::events::TopicEvent;
use crate::events::pub_sub::subscriber::{Deliver, Delivered, Subscriber};
use crate::events::pub_sub::subscription::Unsubscribe;
use crate::message::MessageKind;
use crate::observe::DeadLetterCause;
use crate::runtime::Runtime;

/// What happens to an event for a [`TopicStream`] that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StreamOverflow {
    /// The oldest event of the stream is dropped.
    #[default]
    DropOldest,
    /// The new event is dropped.
    DropNewest,
    /// The subscription ends: the reader gets the events that the stream has, and then `None`.
    Unsubscribe,
}

/// The events of one topic, for one reader. [`PubSub::stream`](crate::PubSub::stream) makes it.
/// Dropping it ends the subscription.
///
/// A server reads it by [`pipe`](crate::ServerContext::pipe), if it needs another bound for the topic
/// than for its mailbox.
///
/// ```
/// use regrow::{PubSub, Runtime, StreamOverflow, TopicEvent};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let prices: PubSub<&str, u32> = PubSub::new(&rt);
/// let mut milk = prices.stream_with("milk", 2, StreamOverflow::DropOldest);
/// for price in [1, 2, 3, 4] {
///     prices.publish(&"milk", price);
/// }
/// assert_eq!(milk.next().await, Some(TopicEvent { event: 3, missed: 2 }));
/// assert_eq!(milk.next().await, Some(TopicEvent { event: 4, missed: 0 }));
/// assert_eq!(milk.missed(), 2);
///
/// drop(prices); // no more events can follow
/// assert_eq!(milk.next().await, None);
/// # }));
/// ```
#[must_use = "dropping it ends the subscription"]
pub struct TopicStream<T: Send + 'static> {
    pub(super) queue: Arc<StreamQueue<T>>,
    pub(super) number: u64,
    pub(super) source: Weak<dyn Unsubscribe>,
}

pub(super) struct StreamQueue<T> {
    state: PlainMutex<QueueState<T>>,
    capacity: usize,
    overflow: StreamOverflow,
    runtime: Runtime,
    /// The process that made the stream.
    pid: Option<Pid>,
}

struct QueueState<T> {
    events: VecDeque<TopicEvent<T>>,
    gap: u64,
    missed: u64,
    waker: Option<Waker>,
    closed: bool,
}

impl<T> StreamQueue<T> {
    pub(super) fn new(runtime: &Runtime, capacity: usize, overflow: StreamOverflow) -> Self {
        let (events, waker) = (VecDeque::new(), None);
        let state = QueueState { events, gap: 0, missed: 0, waker, closed: false };
        let pid = Some(runtime.current_pid()).filter(|pid| *pid != Pid::OUTSIDE);
        let (state, runtime) = (PlainMutex::new(state), runtime.clone());
        StreamQueue { state, capacity, overflow, runtime, pid }
    }

    #[cold]
    fn report_lost(&self, cause: DeadLetterCause) {
        let event = (MessageKind::Event, type_name::<T>());
        self.runtime.kernel.publish_dead_letter(event, self.pid, None, cause);
    }
}

impl<T> QueueState<T> {
    fn push(&mut self, event: T) -> Option<Waker> {
        let missed = std::mem::take(&mut self.gap);
        self.events.push_back(TopicEvent { event, missed });
        self.waker.take()
    }

    /// Removes the oldest event, and counts it as missed before the next one.
    fn evict(&mut self) -> Option<TopicEvent<T>> {
        let oldest = self.events.pop_front()?;
        let missed = oldest.missed + 1;
        match self.events.front_mut() {
            Some(next) => next.missed += missed,
            None => self.gap += missed,
        }
        Some(oldest)
    }
}

impl<T: Send + 'static> Deliver<T> for StreamQueue<T> {
    fn deliver(&self, event: T) -> Delivered {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return Delivered::Lost;
        }
        if state.events.len() < self.capacity {
            let waker = state.push(event);
            drop(state);
            wake(waker);
            return Delivered::Accepted;
        }
        state.missed += 1;
        match self.overflow {
            StreamOverflow::DropOldest => {
                let oldest = state.evict();
                let waker = state.push(event);
                drop(state);
                wake(waker);
                ignore_panic(|| drop(oldest));
                self.report_lost(DeadLetterCause::Evicted);
                Delivered::Accepted
            }
            StreamOverflow::DropNewest => {
                state.gap += 1;
                drop(state);
                ignore_panic(|| drop(event));
                self.report_lost(DeadLetterCause::Dropped);
                Delivered::Lost
            }
            StreamOverflow::Unsubscribe => {
                state.closed = true;
                // The reader does not wait: the stream is full.
                drop(state);
                ignore_panic(|| drop(event));
                self.report_lost(DeadLetterCause::Full);
                Delivered::Unsubscribed
            }
        }
    }

    fn close(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.closed = true;
            state.waker.take()
        };
        wake(waker);
    }

    fn info(&self) -> Subscriber {
        Subscriber { pid: self.pid, missed: self.state.lock().missed }
    }
}

impl<T: Send + 'static> TopicStream<T> {
    /// Waits for the next event. Returns `None` when no more events can follow: the stream overflowed
    /// and its policy is [`Unsubscribe`](StreamOverflow::Unsubscribe), or the last handle of the
    /// [`PubSub`](crate::PubSub) was dropped. [`TopicStream`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has received nothing.
    pub async fn next(&mut self) -> Option<TopicEvent<T>> {
        StreamExt::next(self).await
    }

    /// Returns how many events this stream has missed in all. [`TopicStream`] has an example.
    pub fn missed(&self) -> u64 {
        self.queue.state.lock().missed
    }
}

impl<T: Send + 'static> Stream for TopicStream<T> {
    type Item = TopicEvent<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let budget = ready!(coop::poll_proceed(cx));
        let waker = cx.waker().clone();
        let mut state = self.queue.state.lock();
        if let Some(event) = state.events.pop_front() {
            budget.made_progress();
            return Poll::Ready(Some(event));
        }
        if state.closed {
            budget.made_progress();
            return Poll::Ready(None);
        }
        let before = state.waker.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl<T: Send + 'static> Drop for TopicStream<T> {
    fn drop(&mut self) {
        let left = {
            let mut state = self.queue.state.lock();
            state.closed = true;
            (std::mem::take(&mut state.events), state.waker.take())
        };
        drop_each(left.0);
        ignore_panic(|| drop(left.1));
        let (source, number) = (&self.source, self.number);
        ignore_panic(|| source.upgrade().into_iter().for_each(|topics| topics.unsubscribe(number)));
    }
}

impl<T: Send + 'static> fmt::Debug for TopicStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.queue.state.lock();
        write!(f, "TopicStream({} of {} events", state.events.len(), self.queue.capacity)?;
        write!(f, ", {} missed)", state.missed)
    }
}
