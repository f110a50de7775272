//! Topics that can't be shared.

use regrow::cluster::{Cookie, Network, Node, TopicRelay, TopicsError};
use regrow::{ExitReason, PubSub, Runtime, Supervisor};

use super::{A, News, Sharing, node, taken};
use crate::beam::COOKIE;

/// Starts a relay alone, and returns why that failed.
async fn refused(rt: &Runtime, relay: TopicRelay<String, u64>) -> String {
    let error = Supervisor::one_for_one().child(relay).start(rt).await.unwrap_err();
    format!("{:#}", ExitReason::from(error))
}

#[track_caller]
fn says(text: &str, error: &TopicsError) {
    assert!(text.contains(&error.to_string()), "{text}");
}

#[tokio::test(start_paused = true)]
async fn topics_are_not_shared_without_a_node_that_shares_its_groups() {
    let (network, rt) = (Network::new(1), Runtime::new());
    let news = News::new(&rt);
    let mut stream = news.stream("sport".to_owned());
    says(&refused(&rt, news.across_nodes("news")).await, &TopicsError::NoNode);
    assert_eq!((rt.process_count(), rt.tags().len()), (0, 0));

    let without = Node::new(A).cookie(Cookie::new(COOKIE)).network(&network);
    let _tree = Supervisor::one_for_one().child(without).start(&rt).await.unwrap();
    says(&refused(&rt, news.across_nodes("news")).await, &TopicsError::NoGroups);
    assert!(rt.whereis("topics:news").is_none());
    // The topics are as they were.
    assert_eq!(news.publish(&"sport".to_owned(), 1), 1);
    assert_eq!(taken(&mut stream), [1]);
}

#[tokio::test(start_paused = true)]
async fn names_are_checked_and_the_longest_one_can_be_shared() {
    let (network, rt) = (Network::new(1), Runtime::new());
    let _tree = Supervisor::one_for_one().child(node(&network, A)).start(&rt).await.unwrap();
    let news = News::new(&rt);
    for wrong in [String::new(), "x".repeat(201)] {
        let text = refused(&rt, news.across_nodes(wrong.as_str())).await;
        says(&text, &TopicsError::InvalidName(wrong));
    }
    let other = Runtime::new();
    let text = refused(&rt, News::new(&other).across_nodes("news")).await;
    says(&text, &TopicsError::OtherRuntime);
    let longest = news.across_nodes("x".repeat(200));
    let tree = Supervisor::one_for_one().child(longest).start(&rt).await.unwrap();
    assert_eq!(rt.whereis_tag(&format!("topics:{}", "x".repeat(200))).len(), 1);
    tree.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_name_is_that_of_one_pub_sub_and_a_pub_sub_has_one_name() {
    let network = Network::new(1);
    let a = Sharing::start(&network, A).await;
    let other = News::new(&a.rt);
    let text = refused(&a.rt, other.across_nodes("news")).await;
    assert!(text.contains("topics:news"), "{text}");
    says(&refused(&a.rt, a.news.across_nodes("more")).await, &TopicsError::AlreadyShared);
    // The relay that runs is not affected, and its topics can be shared anew after its end.
    assert_eq!(a.rt.whereis_tag("topics:news").len(), 1);
    a.tree.terminate_child("topics:news").await.unwrap();
    let more = a.news.across_nodes("more");
    let _tree = Supervisor::one_for_one().child(more).start(&a.rt).await.unwrap();
}

/// Several topics of one program, each under its own name.
#[tokio::test(start_paused = true)]
async fn topics_of_several_names_and_types_do_not_mix() {
    let network = Network::new(1);
    let [at_a, at_b] = [(); 2].map(|()| Runtime::new());
    let mut trees = Vec::new();
    let mut topics = Vec::new();
    for (rt, name) in [(&at_a, A), (&at_b, super::B)] {
        let (numbers, texts) = (PubSub::<u32, u64>::new(rt), PubSub::<u32, String>::new(rt));
        let relays = (numbers.across_nodes("numbers"), texts.across_nodes("texts"));
        let tree = Supervisor::rest_for_one().child(node(&network, name));
        let tree = tree.child(relays.0.clone()).child(relays.1.clone()).start(rt).await.unwrap();
        trees.push(tree);
        topics.push((numbers, texts, relays));
    }
    at_a.node(super::B).connect().await.unwrap();
    let (numbers, texts, relays) = &topics[0];
    super::until(|| relays.0.nodes().len() + relays.1.nodes().len() == 2).await;
    let (mut number, mut text) = (topics[1].0.stream(1), topics[1].1.stream(1));
    numbers.publish(&1, 7);
    texts.publish(&1, "seven".to_owned());
    super::settled().await;
    assert_eq!((taken(&mut number), taken(&mut text)), (vec![7], vec!["seven".to_owned()]));
    assert_eq!(topics[1].2.0.counts().received, 1);
}
