//! Topics that this crate shares with processes of Erlang.

use regrow::{PubSub, Runtime, Supervisor};

use crate::beam::{Beam, COOKIE, Epmd};
use crate::pg::Watch;

#[tokio::test]
async fn a_process_of_erlang_gets_the_events_of_a_topic_and_publishes() {
    let Some(epmd) = Epmd::start().await else { return };
    let rt = Runtime::new();
    let news = PubSub::<String, (String, u32)>::new(&rt);
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
    assert_eq!(relay.nodes(), ["beam@127.0.0.1"]);

    let event = ("goal".to_owned(), 21);
    assert_eq!(news.publish(&"sport".to_owned(), event.clone()), 0);
    let received = beam.eval("receive {regrow_topic, Name, Key, Event} -> {Name, Key, Event} end");
    assert_eq!(received.await, r#"{<<"news">>,<<"sport">>,{<<"goal">>,21}}"#);

    let mut stream = news.stream("sport".to_owned());
    beam.until("[node(P) || P <- pg:get_members(<<\"topics:news\">>), P =/= self()]", "['rust@127.0.0.1']")
        .await;
    let publish = "M = {regrow_topic, <<\"news\">>, <<\"sport\">>, {<<\"goal\">>, 7}}, \
        [P ! M || P <- pg:get_members(<<\"topics:news\">>), P =/= self()], ok";
    assert_eq!(beam.eval(publish).await, "ok");
    assert_eq!(stream.next().await.unwrap().event, ("goal".to_owned(), 7));
    // The relay has a name as well.
    let named = "{'topics:news', 'rust@127.0.0.1'} ! \
        {regrow_topic, <<\"news\">>, <<\"sport\">>, {\"text\", 8}}, ok";
    assert_eq!(beam.eval(named).await, "ok");
    assert_eq!(stream.next().await.unwrap().event, ("text".to_owned(), 8));
    assert_eq!(relay.counts().undecodable, 0);
    assert_eq!(beam.eval("{'topics:news', 'rust@127.0.0.1'} ! nonsense, net_adm:ping('rust@127.0.0.1')").await, "pong");
    news.publish(&"sport".to_owned(), event);
    assert_eq!(beam.eval("receive {regrow_topic, _, _, _} -> got end").await, "got");
    while relay.counts().undecodable == 0 {
        tokio::task::yield_now().await;
    }
}
