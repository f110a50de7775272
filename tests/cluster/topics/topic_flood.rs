//! More events than a node, or its relay, can take.

use std::time::Duration;

use regrow::cluster::{EncodedTerm, Network};
use regrow::{ChildSpec, DeadLetterCause, Overflow, Received, Runtime};
use tokio::time::{Instant, sleep};

use super::{A, B, News, Sharing, meet, node, settled, taken, tree_of};
use crate::log::Log;

/// B receives nothing for a while, and A may keep 64 KiB for it.
#[tokio::test(start_paused = true)]
async fn a_flood_leaves_out_events_and_keeps_the_connection_and_its_other_messages() {
    let log = Log::listen();
    let network = Network::with_capacity(1, 1_024);
    let a = Sharing::start_as(node(&network, A).send_buffer(64 << 10), A).await;
    let b = Sharing::start(&network, B).await;
    meet(&a, &b).await;
    let (mut at_a, mut at_b) = (a.stream("sport"), b.stream("sport"));
    let mut lost = a.rt.dead_letters();
    let reader = b.rt.spawn(|mut ctx| async move {
        assert!(matches!(ctx.recv().await, Received::Term(_)));
    });
    network.cut(A, B);
    let begun = Instant::now();
    a.publish("sport", 0..10_000);
    assert_eq!((begun.elapsed(), taken(&mut at_a).len()), (Duration::ZERO, 10_000));
    let counts = a.relay.counts();
    assert_eq!(counts.sent + counts.left_out, 10_000);
    assert!((100..2_000).contains(&counts.sent), "{counts:?}");
    let letter = lost.next().await.unwrap();
    assert_eq!(letter.cause, DeadLetterCause::Full);
    assert!(letter.pid.unwrap().is_foreign());
    // The other half of the buffer is left for other messages.
    let there = a.rt.pid_of(&b.rt.external_pid(reader.pid()).unwrap()).unwrap();
    assert!(a.rt.send_term(there, EncodedTerm::new("hello").unwrap()));

    sleep(Duration::from_secs(10)).await;
    network.heal(A, B);
    settled().await;
    assert!(!reader.join().await.is_abnormal() && a.reaches(&[B]));
    assert_eq!(taken(&mut at_b), Vec::from_iter(0..counts.sent));
    a.publish("sport", [10_000]);
    settled().await;
    assert_eq!(taken(&mut at_b), [10_000]);
    let lines = log.take();
    let lines = lines.iter().filter(|line| line.message.contains("event left out")).count();
    assert!((10..=14).contains(&lines), "{lines} lines"); // 1, 2, 4, 8 … 8,192
}

/// The relay can't run while the messages come.
#[tokio::test(start_paused = true)]
async fn a_relay_that_is_full_drops_the_newest_messages() {
    let network = Network::new(1);
    let rt = Runtime::new();
    let news = News::new(&rt);
    let relay = news.across_nodes("news");
    let child = ChildSpec::from(relay.clone()).mailbox_capacity(10, Overflow::DropNewest);
    let _tree = tree_of(&rt, node(&network, A), child).await;
    let mut stream = news.stream("sport".to_owned());
    let mut lost = rt.dead_letters();
    let pid = rt.whereis(relay.group()).unwrap();
    for event in 0..100u64 {
        let term = EncodedTerm::new(&(
            regrow::cluster::Atom::new("regrow_topic").unwrap(),
            "news",
            "sport",
            event,
        ));
        assert!(rt.send_term(pid, term.unwrap()));
    }
    assert_eq!(lost.next().await.unwrap().cause, DeadLetterCause::Dropped);
    settled().await;
    assert_eq!((taken(&mut stream), relay.counts().received), (Vec::from_iter(0..10), 10));
    assert_eq!(rt.info(pid).unwrap().dropped_messages, 90);
}
