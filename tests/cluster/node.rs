//! A node of this crate and nodes of Erlang.

use regrow::cluster::{HandshakeError, NodeError};
use regrow::{NodeChange, Received};
use tokio::sync::mpsc::unbounded_channel;

use crate::beam::{Beam, COOKIE, Epmd};
use crate::pairs::subscribe;

#[tokio::test]
async fn a_beam_pings_a_node_and_sends_messages_to_names() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, tree) = epmd.node("rust@127.0.0.1").await;
    let (_, mut changes) = subscribe(&rt);
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    assert_eq!(beam.eval("nodes(hidden)").await, "['rust@127.0.0.1']");
    assert_eq!(beam.eval("nodes()").await, "[]");
    assert_eq!(beam.eval("global:sync()").await, "ok");
    let change = |change| Some(("beam@127.0.0.1".to_owned(), change));
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    assert_eq!(rt.connected_nodes().await, ["beam@127.0.0.1"]);

    let (sender, mut received) = unbounded_channel();
    let probe = rt.spawn(|mut ctx| async move {
        while let Received::Term(term) = ctx.recv().await {
            let _ = sender.send(term.term().unwrap().to_string());
        }
    });
    assert!(rt.register("probe", probe.pid()));
    let sent = "{probe, 'rust@127.0.0.1'} ! {hello, [1, -1, 256], <<\"x\">>, #{a => 1.5}}, ok";
    assert_eq!(beam.eval(sent).await, "ok");
    assert_eq!(received.recv().await.unwrap(), "{hello,[1,-1,256],<<\"x\">>,#{a => 1.5}}");
    beam.eval("[{probe, 'rust@127.0.0.1'} ! N || N <- lists:seq(1, 10000)], ok").await;
    for n in 1..=10_000 {
        assert_eq!(received.recv().await.unwrap(), n.to_string());
    }

    // Nothing else is reached, and the caller learns so.
    let call = "catch gen_server:call({nobody, 'rust@127.0.0.1'}, request)";
    assert!(beam.eval(call).await.contains("noproc"));
    let monitor = "R = erlang:monitor(process, {nobody, 'rust@127.0.0.1'}), \
                   receive {'DOWN', R, process, Who, Why} -> {Who, Why} end";
    assert_eq!(beam.eval(monitor).await, "{{nobody,'rust@127.0.0.1'},noproc}");

    assert_eq!(beam.eval("erlang:disconnect_node('rust@127.0.0.1')").await, "true");
    assert_eq!(changes.recv().await, change(NodeChange::Down));
    // The next use connects again.
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    tree.stop().await.unwrap();
    assert_eq!(changes.recv().await, change(NodeChange::Down));
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pang");
}

#[tokio::test]
async fn a_node_connects_to_a_beam_and_notices_its_end() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = epmd.node("rust@127.0.0.1").await;
    let (_, mut changes) = subscribe(&rt);
    let there = rt.node("beam@127.0.0.1");
    let error = there.connect().await.unwrap_err();
    assert!(matches!(error, NodeError::Unknown(_)), "{error:?}");

    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    let change = |change| Some(("beam@127.0.0.1".to_owned(), change));
    for _ in 0..3 {
        there.connect().await.unwrap();
        assert_eq!(changes.recv().await, change(NodeChange::Up));
        beam.until("nodes(hidden)", "['rust@127.0.0.1']").await;
        assert!(there.disconnect().await);
        assert_eq!(changes.recv().await, change(NodeChange::Down));
    }
    there.connect().await.unwrap();
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    beam.process.kill().await.unwrap();
    assert_eq!(changes.recv().await, change(NodeChange::Down));
    assert!(there.connect().await.is_err());

    // Another incarnation of the node, with the same name.
    let _beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    there.connect().await.unwrap();
    assert_eq!(changes.recv().await, change(NodeChange::Up));
}

#[tokio::test]
async fn a_beam_with_another_cookie_is_refused_and_refuses() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = epmd.node("rust@127.0.0.1").await;
    let (_, mut changes) = subscribe(&rt);
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", "another").await;
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pang");
    let error = rt.node("beam@127.0.0.1").connect().await.unwrap_err();
    assert!(matches!(error, NodeError::Handshake(HandshakeError::Closed)), "{error:?}");
    changes.close();
    assert_eq!(changes.recv().await, None);
}

/// The tick time is four seconds. The node of Erlang waits eight, and still has the connection. Then
/// it is stopped by the operating system, and is lost.
#[tokio::test]
async fn ticks_keep_an_idle_connection_and_show_that_a_beam_is_stopped() {
    let Some(epmd) = Epmd::start().await else { return };
    let node = regrow::cluster::Node::new("rust@127.0.0.1")
        .cookie(regrow::cluster::Cookie::new(COOKIE))
        .resolver(epmd.resolver())
        .tick_time(std::time::Duration::from_secs(4));
    let rt = regrow::Runtime::new();
    let _tree = regrow::Supervisor::one_for_one().child(node).start(&rt).await.unwrap();
    let (_, mut changes) = subscribe(&rt);
    let mut beam = Beam::start_with(&epmd, "beam@127.0.0.1", COOKIE, 4).await;
    rt.node("beam@127.0.0.1").connect().await.unwrap();
    beam.until("nodes(hidden)", "['rust@127.0.0.1']").await;
    let idle = "timer:sleep(8000), nodes(hidden)";
    assert_eq!(beam.eval(idle).await, "['rust@127.0.0.1']");
    let change = |change| Some(("beam@127.0.0.1".to_owned(), change));
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    assert!(changes.try_recv().is_err());
    beam.signal("-STOP").await;
    assert_eq!(changes.recv().await, change(NodeChange::Down));
    beam.signal("-CONT").await;
    // The first attempt may use the connection that is lost.
    beam.until("net_adm:ping('rust@127.0.0.1')", "pong").await;
    assert_eq!(changes.recv().await, change(NodeChange::Up));
}

/// Once with the greater name on either side.
#[tokio::test]
async fn a_node_and_a_beam_that_connect_at_once_agree_on_one_connection() {
    let Some(epmd) = Epmd::start().await else { return };
    let mut beam = Beam::start(&epmd, "m@127.0.0.1", COOKIE).await;
    for name in ["a@127.0.0.1", "z@127.0.0.1"] {
        let (rt, tree) = epmd.node(name).await;
        let there = rt.node("m@127.0.0.1");
        let storm = format!(
            "[begin net_kernel:connect_node('{name}'), erlang:disconnect_node('{name}') end \
             || _ <- lists:seq(1, 200)], done"
        );
        beam.send(&storm).await;
        let storm_is_over = async {
            assert_eq!(beam.value().await, "done");
        };
        let own_storm = async {
            loop {
                // An attempt may meet the disconnect of the other side.
                let connected = there.connect().await;
                assert!(!matches!(connected, Err(NodeError::TimedOut(_))), "{connected:?}");
                there.disconnect().await;
            }
        };
        tokio::select! {
            () = storm_is_over => {}
            () = own_storm => {}
        }
        while there.disconnect().await {}
        // The other side may still be at an attempt of its own, which then ends.
        let mut connected = there.connect().await;
        for _ in 0..10 {
            if matches!(connected, Err(NodeError::Handshake(HandshakeError::Simultaneous))) {
                connected = there.connect().await;
            }
        }
        connected.unwrap();
        beam.until("nodes(hidden)", &format!("['{name}']")).await;
        assert_eq!(beam.eval(&format!("net_adm:ping('{name}')")).await, "pong");
        tree.stop().await.unwrap();
    }
}
