//! Topics that this crate shares with processes of Erlang.

use regrow::cluster::TopicRelay;
use regrow::{PubSub, Runtime, Supervisor, SupervisorRef};

use crate::beam::{Beam, COOKIE, Epmd};
use crate::pg::Watch;

type News = PubSub<String, (String, u32)>;

/// A node of this crate that shares topics, and a process of Erlang that is a member of their group.
struct Cluster {
    news: News,
    relay: TopicRelay<String, (String, u32)>,
    beam: Beam,
    _tree: SupervisorRef,
    _epmd: Epmd,
}

impl Cluster {
    async fn start() -> Option<Cluster> {
        let epmd = Epmd::start().await?;
        let rt = Runtime::new();
        let news = News::new(&rt);
        let relay = news.across_nodes("news");
        let node = epmd.node_spec("rust@127.0.0.1").groups("pg");
        let tree = Supervisor::rest_for_one().child(node).child(relay.clone());
        let _tree = tree.start(&rt).await.unwrap();
        let mut watch = Watch::new(&rt, "topics:news").await;
        let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
        assert_eq!(beam.eval("element(1, pg:start(pg))").await, "ok");
        assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
        assert_eq!(beam.eval("pg:join(<<\"topics:news\">>, self())").await, "ok");
        watch.until(|members| members.len() == 2).await;
        beam.until("length(pg:get_members(<<\"topics:news\">>))", "2").await;
        Some(Cluster { news, relay, beam, _tree, _epmd: epmd })
    }

    async fn eval(&mut self, expressions: &str) -> String {
        self.beam.eval(expressions).await
    }
}

#[tokio::test]
async fn a_process_of_erlang_gets_the_events_of_a_topic_and_publishes() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let (news, relay) = (cluster.news.clone(), cluster.relay.clone());
    assert_eq!(relay.nodes(), ["beam@127.0.0.1"]);
    let (key, event) = ("sport".to_owned(), ("goal".to_owned(), 21));
    assert_eq!(news.publish(&key, event.clone()), 0);
    let received = "receive {regrow_topic, Name, Key, Event} -> {Name, Key, Event} end";
    assert_eq!(cluster.eval(received).await, r#"{<<"news">>,<<"sport">>,{<<"goal">>,21}}"#);

    let mut stream = news.stream(key.clone());
    let publish = "M = {regrow_topic, <<\"news\">>, <<\"sport\">>, {<<\"goal\">>, 7}}, \
        [P ! M || P <- pg:get_members(<<\"topics:news\">>), P =/= self()], ok";
    assert_eq!(cluster.eval(publish).await, "ok");
    assert_eq!(stream.next().await.unwrap().event, ("goal".to_owned(), 7));
    // The relay has a name as well.
    let named = "{'topics:news', 'rust@127.0.0.1'} ! \
        {regrow_topic, <<\"news\">>, <<\"sport\">>, {\"text\", 8}}, ok";
    assert_eq!(cluster.eval(named).await, "ok");
    assert_eq!(stream.next().await.unwrap().event, ("text".to_owned(), 8));

    assert_eq!(relay.counts().undecodable, 0);
    let nonsense = "{'topics:news', 'rust@127.0.0.1'} ! nonsense, ok";
    assert_eq!(cluster.eval(nonsense).await, "ok");
    while relay.counts().undecodable == 0 {
        tokio::task::yield_now().await;
    }
    news.publish(&key, event);
    assert_eq!(cluster.eval("receive {regrow_topic, _, _, _} -> got end").await, "got");
}
