//! Topics on several threads: subscribers that end or leave while others publish.

use super::topics::{News, Reader, got};
use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regrow::{GenServer, PubSub, StreamOverflow, TopicStream};
use support::race;

/// A server that ends while another thread publishes to it.
#[test]
fn no_subscription_of_a_server_that_ended_during_a_publish_is_left() {
    race::on_workers(async |rt| {
        let news = News::new(&rt);
        for _ in 0..200 {
            let reader = Reader::start(&rt, Some(news.clone())).await.unwrap();
            let publisher = tokio::spawn({
                let news = news.clone();
                async move { (1..50).map(|event| news.publish(&"a", event)).sum::<usize>() }
            });
            support::killed(&rt, reader.pid().unwrap()).await;
            assert_eq!(news.subscriber_count(&"a"), 0);
            assert!(publisher.await.unwrap() < 50);
        }
        support::assert_nothing_left(&rt).await;
    });
}

/// A server that subscribes while it is killed is refused, or is removed by its end.
#[test]
fn no_subscription_of_a_server_that_ended_while_it_subscribed_is_left() {
    race::on_workers(async |rt| {
        let news = News::new(&rt);
        for _ in 0..300 {
            let reader = Reader::start(&rt, None).await.unwrap();
            let subscriber = tokio::spawn({
                let (news, reader) = (news.clone(), reader.clone());
                async move { news.subscribe("a", &reader, |event| event).map(|it| it.keep()) }
            });
            support::killed(&rt, reader.pid().unwrap()).await;
            drop(subscriber.await.unwrap());
            assert!(news.keys().is_empty());
        }
        support::assert_nothing_left(&rt).await;
    });
}

/// After `unsubscribe` returned, no event that is published later reaches the subscriber.
#[test]
fn no_event_published_after_an_unsubscribe_reaches_the_subscriber() {
    race::on_workers(async |rt| {
        let topics: PubSub<(), u32> = PubSub::new(&rt);
        for _ in 0..300 {
            let is_over = Arc::new(AtomicBool::new(false));
            let reader = Reader::start(&rt, None).await.unwrap();
            let subscription = topics.subscribe((), &reader, |event| event).unwrap();
            let publisher = tokio::spawn({
                let (topics, is_over) = (topics.clone(), is_over.clone());
                async move {
                    for number in 2..40 {
                        // An event that is published after the end has the number 1.
                        let is_late = is_over.load(Ordering::SeqCst);
                        topics.publish(&(), if is_late { 1 } else { number });
                    }
                }
            });
            tokio::task::yield_now().await;
            subscription.unsubscribe();
            is_over.store(true, Ordering::SeqCst);
            publisher.await.unwrap();
            let got = got(&reader).await;
            assert!(!got.contains(&1), "{got:?}");
            assert!(got.is_sorted(), "{got:?}");
            rt.kill(reader.pid().unwrap());
        }
        support::assert_nothing_left(&rt).await;
    });
}

/// Several publishers, streams that come and go, and servers that are killed. Each subscriber gets the
/// events of one publisher in order, and knows how many it has missed.
#[test]
fn subscribers_get_the_events_of_each_publisher_in_order_under_load() {
    const EACH: u32 = 2_000;
    race::on_workers(async |rt| {
        let topics: PubSub<u8, (u32, u32)> = PubSub::new(&rt);
        let small = topics.stream_with(0, 64, StreamOverflow::DropOldest);
        let all = topics.stream_with(0, 4 * EACH as usize, StreamOverflow::Unsubscribe);
        let publishers: Vec<_> = (0..4)
            .map(|publisher| {
                let topics = topics.clone();
                tokio::spawn(async move {
                    for number in 0..EACH {
                        topics.publish(&0, (publisher, number));
                        if number % 64 == 0 {
                            drop(topics.stream(0));
                            tokio::task::yield_now().await;
                        }
                    }
                })
            })
            .collect();
        let readers = [small, all].map(|stream| tokio::spawn(read_in_order(stream)));
        for publisher in publishers {
            publisher.await.unwrap();
        }
        assert_eq!(topics.subscriber_count(&0), 2);
        drop(topics);
        let [small, all] = readers;
        let ((received, missed), all) = (small.await.unwrap(), all.await.unwrap());
        assert_eq!(received + missed, u64::from(4 * EACH));
        assert_eq!(all, (u64::from(4 * EACH), 0));
        support::assert_nothing_left(&rt).await;
    });
}

/// Reads all events of four publishers, and returns how many were received and missed.
async fn read_in_order(mut stream: TopicStream<(u32, u32)>) -> (u64, u64) {
    let (mut last, mut received, mut missed) = ([None; 4], 0, 0);
    while let Some(event) = stream.next().await {
        let (publisher, number) = event.event;
        let last = &mut last[publisher as usize];
        assert!(*last < Some(number), "{last:?} before {number}");
        *last = Some(number);
        received += 1;
        missed += event.missed;
    }
    assert_eq!(missed, stream.missed());
    (received, missed)
}
