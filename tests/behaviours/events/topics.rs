//! Topics: which subscribers get an event, in which order, and what a subscriber misses.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt, StreamExt};
use regrow::{
    CallError, DeadLetterCause, EventManager, ExitReason, GenServer, MessageKind, Notify, Overflow,
    PubSub, Reply, Result, Runtime, ServerContext, ServerName, ServerRef, StreamOverflow,
    Supervisor, TopicEvent,
};
use support::log::Log;
use support::settled;

pub(super) type News = PubSub<&'static str, u32>;

/// A server that collects the events that it gets, and whose handler of 0 waits for ever.
pub(super) struct Reader {
    got: Vec<TopicEvent<u32>>,
    news: Option<News>,
}

pub(super) enum Call {
    Got(Reply<Vec<TopicEvent<u32>>>),
    /// Publishes in its handler.
    Publish(u32, Reply<usize>),
}

impl GenServer for Reader {
    /// The topics whose `a` it subscribes to in `init`.
    type Args = Option<News>;
    type Call = Call;
    type Cast = TopicEvent<u32>;

    async fn init(news: Option<News>, ctx: &mut ServerContext<Self>) -> Result<Self> {
        if let Some(news) = &news {
            news.subscribe("a", &ctx.this(), |event| event)?.keep();
        }
        Ok(Reader { got: Vec::new(), news })
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Got(reply) => reply.send(self.got.clone()),
            Call::Publish(event, reply) => {
                reply.send(self.news.as_ref().map_or(0, |news| news.publish(&"a", event)));
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, event: TopicEvent<u32>, _: &mut ServerContext<Self>) -> Result {
        self.got.push(event);
        if event.event == 0 { std::future::pending().await } else { Ok(()) }
    }
}

pub(super) async fn got(reader: &ServerRef<Reader>) -> Vec<u32> {
    let got = reader.call(Call::Got).await.unwrap();
    got.into_iter().map(|event| event.event).collect()
}

fn event(event: u32, missed: u64) -> TopicEvent<u32> {
    TopicEvent { event, missed }
}

#[tokio::test]
async fn an_event_reaches_the_subscribers_of_its_topic_in_order() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let reader = Reader::start(&rt, Some(news.clone())).await.unwrap();
    let (mut same, mut other) = (news.stream("a"), news.stream("b"));
    assert_eq!([news.publish(&"a", 1), news.publish(&"b", 2), news.publish(&"c", 3)], [2, 1, 0]);
    assert_eq!(news.publish(&"a", 4), 2);
    assert_eq!(got(&reader).await, [1, 4]);
    assert_eq!([same.next().await, same.next().await], [Some(event(1, 0)), Some(event(4, 0))]);
    assert_eq!(other.next().await, Some(event(2, 0)));
    assert!(same.next().now_or_never().is_none());
    let pids: Vec<_> = news.subscribers(&"a").iter().map(|it| it.pid).collect();
    assert_eq!(pids, [reader.pid(), None]);
    assert_eq!(format!("{news:?}"), "PubSub(2 topics, 3 subscriptions)");
}

#[tokio::test]
async fn a_subscription_ends_with_its_server_before_any_process_is_notified() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let readers = [
        Reader::start(&rt, Some(news.clone())).await.unwrap(),
        Reader::start(&rt, Some(news.clone())).await.unwrap(),
    ];
    rt.kill(readers[0].pid().unwrap());
    readers[0].ended().await;
    assert_eq!(news.subscriber_count(&"a"), 1);
    readers[1].stop(ExitReason::Normal).await.unwrap();
    assert!(news.keys().is_empty());
    assert_eq!(format!("{news:?}"), "PubSub(0 topics, 0 subscriptions)");
}

#[tokio::test]
async fn a_new_incarnation_subscribes_again_in_its_init() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let child = Reader::child(Some(news.clone())).named("reader");
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let reader = rt.server::<Reader>("reader");
    news.publish(&"a", 1);
    support::killed(&rt, reader.pid().unwrap()).await;
    tree.count_children().await.unwrap(); // answered after the restart
    assert_eq!(news.publish(&"a", 2), 1);
    assert_eq!(got(&reader).await, [2]);
}

#[tokio::test]
async fn dropping_the_guard_ends_a_subscription_and_keep_does_not() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let reader = Reader::start(&rt, None).await.unwrap();
    let first = news.subscribe("a", &reader, |event| event).unwrap();
    let second = news.subscribe("a", &reader, |event| event).unwrap();
    assert_eq!(news.publish(&"a", 1), 2); // twice, for two subscriptions
    first.unsubscribe();
    assert_eq!(news.publish(&"a", 2), 1);
    second.keep();
    assert_eq!(news.publish(&"a", 3), 1);
    assert_eq!(got(&reader).await, [1, 1, 2, 3]);
}

/// A server that has left all topics and subscribes again is removed at its end.
#[tokio::test]
async fn a_server_that_subscribed_again_is_removed_when_it_ends() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let reader = Reader::start(&rt, None).await.unwrap();
    for _ in 0..3 {
        news.subscribe("a", &reader, |event| event).unwrap().unsubscribe();
        news.subscribe("b", &reader, |event| event).unwrap().keep();
    }
    assert_eq!((news.subscriber_count(&"a"), news.subscriber_count(&"b")), (0, 3));
    support::killed(&rt, reader.pid().unwrap()).await;
    assert!(news.keys().is_empty());
    support::assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn a_server_that_has_ended_cannot_subscribe() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let reader = Reader::start(&rt, None).await.unwrap();
    reader.stop(ExitReason::Normal).await.unwrap();
    let refused = news.subscribe("a", &reader, |event| event).unwrap_err();
    assert_eq!(refused, CallError::NoProc);
    let absent = rt.server::<Reader>(ServerName::from("absent"));
    assert!(news.subscribe("a", &absent, |event| event).is_err());
    assert!(news.keys().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_misses_events_which_are_counted_and_delays_nothing() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let mut dead_letters = rt.dead_letters();
    let spec = Reader::spec(None).mailbox_capacity(2, Overflow::Reject);
    let slow = spec.start(&rt).await.unwrap();
    let fast = Reader::start(&rt, Some(news.clone())).await.unwrap();
    let subscription = news.subscribe("a", &slow, |event| event).unwrap();
    let (release, gate) = tokio::sync::oneshot::channel::<()>();
    slow.suspend().await.unwrap();
    let accepted: Vec<_> = (1..=5).map(|event| news.publish(&"a", event)).collect();
    assert_eq!(accepted, [2, 2, 1, 1, 1]);
    assert_eq!((subscription.missed(), news.subscribers(&"a")[1].missed), (3, 3));
    slow.resume().await.unwrap();
    settled().await;
    news.publish(&"a", 6);
    drop((release, gate));
    let missed = slow.call(Call::Got).await.unwrap();
    assert_eq!(missed, [event(1, 0), event(2, 0), event(6, 3)]);
    assert_eq!(got(&fast).await, [1, 2, 3, 4, 5, 6]);
    for _ in 0..3 {
        let letter = dead_letters.next().await.unwrap();
        assert_eq!((letter.pid, letter.kind), (slow.pid(), MessageKind::Cast));
        assert_eq!(letter.cause, DeadLetterCause::Full);
    }
    assert_eq!(rt.counters().refused, 3);
}

#[tokio::test]
async fn a_stream_drops_the_oldest_the_newest_or_its_subscription() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let mut dead_letters = rt.dead_letters();
    let mut oldest = news.stream_with("a", 2, StreamOverflow::DropOldest);
    let mut newest = news.stream_with("a", 2, StreamOverflow::DropNewest);
    let mut once = news.stream_with("a", 2, StreamOverflow::Unsubscribe);
    let accepted: Vec<_> = (1..=5).map(|event| news.publish(&"a", event)).collect();
    assert_eq!(accepted, [3, 3, 1, 1, 1]);
    assert_eq!(news.subscriber_count(&"a"), 2);
    assert_eq!([oldest.missed(), newest.missed(), once.missed()], [3, 3, 1]);
    assert_eq!([oldest.next().await, oldest.next().await], [Some(event(4, 3)), Some(event(5, 0))]);
    assert_eq!([newest.next().await, newest.next().await], [Some(event(1, 0)), Some(event(2, 0))]);
    let rest: Vec<_> = (&mut once).collect().await;
    assert_eq!(rest, [event(1, 0), event(2, 0)]);
    news.publish(&"a", 6);
    assert_eq!([oldest.next().await, newest.next().await], [Some(event(6, 0)), Some(event(6, 3))]);
    let causes: Vec<_> = (0..7)
        .map(|_| dead_letters.next().now_or_never().unwrap().unwrap())
        .map(|letter| (letter.kind == MessageKind::Event, letter.cause))
        .collect();
    let count = |cause| causes.iter().filter(|it| **it == (true, cause)).count();
    assert_eq!(count(DeadLetterCause::Evicted), 3);
    assert_eq!(count(DeadLetterCause::Dropped), 3);
    assert_eq!(count(DeadLetterCause::Full), 1);
}

#[tokio::test]
async fn a_stream_of_one_event_counts_what_it_evicts() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let mut stream = news.stream_with("a", 1, StreamOverflow::DropOldest);
    assert!((1..=4).all(|event| news.publish(&"a", event) == 1));
    assert_eq!(stream.next().await, Some(event(4, 3)));
}

#[tokio::test]
async fn the_drop_of_a_stream_or_of_the_topics_ends_the_subscription() {
    let rt = Runtime::new();
    let news = News::new(&rt);
    let (stream, mut other) = (news.stream("a"), news.stream("b"));
    let reader = Reader::start(&rt, None).await.unwrap();
    let subscription = news.subscribe("c", &reader, |event| event).unwrap();
    drop(stream);
    assert_eq!(news.publish(&"a", 1), 0);
    news.publish(&"b", 2);
    drop(news);
    assert_eq!([other.next().await, other.next().await], [Some(event(2, 0)), None]);
    drop((other, subscription));
    reader.stop(ExitReason::Normal).await.unwrap();
    support::assert_nothing_left(&rt).await;
}

#[tokio::test]
#[should_panic(expected = "a stream with a capacity of 0")]
async fn a_stream_without_capacity_is_refused() {
    let _ = News::new(&Runtime::new()).stream_with("a", 0, StreamOverflow::DropOldest);
}

#[tokio::test]
async fn a_function_that_panics_costs_its_own_subscriber_the_event() {
    let (rt, log) = (Runtime::new(), Log::listen());
    let news = News::new(&rt);
    let reader = Reader::start(&rt, None).await.unwrap();
    let odd = news.subscribe("a", &reader, |event| {
        assert!(event.event % 2 == 1, "even");
        event
    });
    let (odd, mut stream) = (odd.unwrap(), news.stream("a"));
    assert_eq!([1, 2, 3].map(|number| news.publish(&"a", number)), [2, 1, 2]);
    assert_eq!(reader.call(Call::Got).await.unwrap(), [event(1, 0), event(3, 1)]);
    assert_eq!((stream.next().await, odd.missed()), (Some(event(1, 0)), 1));
    let lines = log.take();
    let line = lines.iter().find(|line| line.target == "regrow::events").unwrap();
    assert!(line.field("panic").contains("even"), "{line:?}");
}

#[tokio::test]
async fn a_handler_publishes_to_its_own_topic() {
    let rt = Runtime::new();
    let reader = Reader::start(&rt, Some(News::new(&rt))).await.unwrap();
    assert_eq!(reader.call(|reply| Call::Publish(7, reply)).await, Ok(1));
    assert_eq!(got(&reader).await, [7]);
}

#[tokio::test]
async fn an_event_manager_subscribes_to_a_topic() {
    let (rt, notes) = (Runtime::new(), super::Notes::new());
    let topics: PubSub<u8, super::Event> = PubSub::new(&rt);
    let manager = EventManager::start(&rt, Default::default()).await.unwrap();
    let one = super::add(&manager, "one", &notes).await;
    topics.subscribe(1, &manager, |event| Notify(event.event)).unwrap().keep();
    topics.publish(&1, super::Event("a"));
    assert_eq!(one.call(super::Ask::Events).await.unwrap(), ["a"]);
}

/// The number of clones of an event is one less than that of its subscribers.
#[tokio::test]
async fn the_last_subscriber_gets_the_event_itself() {
    struct Counted(Arc<AtomicUsize>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::Relaxed);
            Counted(self.0.clone())
        }
    }
    let (rt, clones) = (Runtime::new(), Arc::<AtomicUsize>::default());
    let topics: PubSub<(), Counted> = PubSub::new(&rt);
    let _streams: Vec<_> = (0..5).map(|_| topics.stream(())).collect();
    assert_eq!(topics.publish(&(), Counted(clones.clone())), 5);
    assert_eq!(clones.load(Ordering::Relaxed), 4);
}
