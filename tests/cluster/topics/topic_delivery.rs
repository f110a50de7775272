//! What subscribers at other nodes get.

use std::time::Duration;

use regrow::cluster::{EncodedTerm, Network};
use regrow::{GenServer, Pid, PubSub, Received, Reply, Result, Runtime, ServerContext, TopicEvent};

use super::{A, B, C, News, Sharing, meet, node, settled, taken, tree_of, two, until};

/// A server that keeps the events it gets.
struct Reader(Vec<u64>);

enum Cast {
    News(TopicEvent<u64>),
}

impl GenServer for Reader {
    type Args = News;
    type Call = Reply<Vec<u64>>;
    type Cast = Cast;

    async fn init(news: News, ctx: &mut ServerContext<Self>) -> Result<Self> {
        news.subscribe("sport".to_owned(), &ctx.this(), Cast::News)?.keep();
        Ok(Reader(Vec::new()))
    }

    async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0.clone());
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        let Cast::News(news) = cast;
        self.0.push(news.event);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_reaches_servers_and_streams_of_all_connected_nodes() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let c = Sharing::start(&network, C).await;
    meet(&a, &c).await;
    assert!(a.reaches(&[B, C]));
    let reader = Reader::start(&b.rt, b.news.clone()).await.unwrap();
    let (mut at_b, mut at_c) = (b.stream("sport"), c.stream("sport"));
    let (mut other, mut own) = (c.stream("weather"), a.stream("sport"));
    // The result counts the subscribers of this node.
    assert_eq!(a.news.publish(&"sport".to_owned(), 7), 1);
    settled().await;
    assert_eq!(reader.call(|reply| reply).await.unwrap(), [7]);
    let all = [&mut at_b, &mut at_c, &mut own].map(taken);
    assert_eq!((all, taken(&mut other)), ([vec![7], vec![7], vec![7]], vec![]));
}

#[tokio::test(start_paused = true)]
async fn one_publish_sends_one_message_to_each_node_however_many_subscribers_it_has() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let c = Sharing::start(&network, C).await;
    meet(&a, &c).await;
    let sent_by = async |count| {
        let before = (network.bytes_sent(), a.relay.counts().sent);
        a.publish("sport", [1]);
        settled().await;
        assert_eq!((b.relay.counts().received, c.relay.counts().received), (count, count));
        (network.bytes_sent() - before.0, a.relay.counts().sent - before.1)
    };
    let (bytes, messages) = sent_by(1).await;
    assert_eq!(messages, 2);
    let mut streams: Vec<_> = (0..200).map(|n| [&b, &c][n % 2].stream("sport")).collect();
    assert_eq!(sent_by(2).await, (bytes, 2));
    assert!(streams.iter_mut().all(|stream| taken(stream) == [1]));
}

/// Each pair of nodes is connected. What one publishes, each gets once.
#[tokio::test(start_paused = true)]
async fn no_event_comes_back_and_none_is_sent_on_among_three_nodes() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let c = Sharing::start(&network, C).await;
    meet(&a, &c).await;
    meet(&b, &c).await;
    let nodes = [&a, &b, &c];
    let mut streams = nodes.map(|node| node.stream("sport"));
    for (number, node) in nodes.iter().enumerate() {
        node.publish("sport", [number as u64]);
    }
    settled().await;
    for stream in &mut streams {
        let mut events = taken(stream);
        events.sort_unstable();
        assert_eq!(events, [0, 1, 2]);
    }
    for node in nodes {
        let counts = node.relay.counts();
        assert_eq!((counts.sent, counts.received, counts.undecodable), (2, 2, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_events_of_each_publisher_arrive_in_order() {
    let network = Network::new(5);
    network.delay_all(Duration::ZERO..=Duration::from_millis(30));
    let (a, b) = two(&network).await;
    let mut streams = ["even", "odd"].map(|key| b.stream(key));
    let publishers = [0, 1].map(|first| {
        let news = a.news.clone();
        tokio::spawn(async move {
            for event in (first..20_000).step_by(2) {
                let key = if event % 4 < 2 { "even" } else { "odd" };
                news.publish(&key.to_owned(), event);
                if event % 64 < 2 {
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    for publisher in publishers {
        publisher.await.unwrap();
    }
    until(|| b.relay.counts().received == 20_000).await;
    for stream in &mut streams {
        let events = taken(stream);
        assert_eq!(events.len(), 10_000);
        for publisher in [0, 1] {
            assert!(events.iter().filter(|event| **event % 2 == publisher).is_sorted());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_publish_stays_at_its_node() {
    let network = Network::new(1);
    let (a, b) = two(&network).await;
    let (mut at_a, mut at_b) = (a.stream("cache"), b.stream("cache"));
    assert_eq!(a.news.publish_local(&"cache".to_owned(), 1), 1);
    settled().await;
    assert_eq!((taken(&mut at_a), taken(&mut at_b), a.relay.counts().sent), (vec![1], vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn a_pid_in_an_event_is_the_process_of_its_node() {
    let network = Network::new(1);
    let (at_a, at_b) = (Runtime::new(), Runtime::new());
    let [here, there] = [&at_a, &at_b].map(PubSub::<String, Pid>::new);
    let relay = here.across_nodes("pids");
    let _a = tree_of(&at_a, node(&network, A), relay.clone()).await;
    let _b = tree_of(&at_b, node(&network, B), there.across_nodes("pids")).await;
    at_a.node(B).connect().await.unwrap();
    until(|| relay.nodes() == [B]).await;
    let mut stream = there.stream("new".to_owned());
    let waiting = at_a.spawn(|mut ctx| async move {
        assert!(matches!(ctx.recv().await, Received::Term(_)));
    });
    here.publish(&"new".to_owned(), waiting.pid());
    let known = stream.next().await.unwrap().event;
    assert!(known.is_foreign());
    assert!(at_b.send_term(known, EncodedTerm::new("hello").unwrap()));
    assert!(!waiting.join().await.is_abnormal());
}
