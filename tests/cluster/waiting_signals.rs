//! Signals that wait for a connection while another one is lost, or while an attempt ends.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use regrow::cluster::{EncodedTerm, Resolver};
use regrow::{NodeChange, Received, Runtime};
use tokio::time::timeout;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

use crate::fake::Fake;
use crate::pairs::{node, pair_with, start};
use crate::signals_beam::probe;

const LIMIT: Duration = Duration::from_secs(10);

/// Sends a signal to `b` at the moment at which a node logs the loss of `b`. The server of its
/// connections has not handled the loss to its end, so it can't have read the request.
struct SendsAtLoss(Mutex<Option<Runtime>>);

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        self.0 += &format!("{value:?} ");
    }
}

impl Subscriber for SendsAtLoss {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.target() == "regrow::cluster"
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let is_loss = fields.0.contains("b@127.0.0.1") && fields.0.contains("Down");
        if let Some(rt) = self.0.lock().unwrap().take_if(|_| is_loss) {
            send(&rt, "b@127.0.0.1", "after the loss");
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn send(rt: &Runtime, node: &str, text: &str) {
    let term = EncodedTerm::new(text).unwrap();
    assert!(rt.node(node).process("probe").send(term));
}

#[tokio::test]
async fn a_signal_that_is_sent_at_the_loss_arrives_by_the_next_connection() {
    // With one subscriber, a thread that has none can make `tracing` cache that no line is wanted.
    let _kept = [(); 2].map(|()| Dispatch::new(SendsAtLoss(Mutex::new(None))));
    let (mut a, b) = pair_with("a@127.0.0.1", "b@127.0.0.1", |node| node).await;
    let (_probe, mut received) = probe(&b.rt, "probe");
    let _sends = tracing::subscriber::set_default(SendsAtLoss(Mutex::new(Some(a.rt.clone()))));
    // A signal makes the first connection, so the server has read an earlier request.
    send(&a.rt, "b@127.0.0.1", "first");
    let mut next = async || timeout(LIMIT, received.recv()).await.expect("it arrives").unwrap();
    assert_eq!(next().await, Received::Term(EncodedTerm::new("first").unwrap()));
    assert!(a.rt.node("b@127.0.0.1").disconnect().await);
    assert_eq!(next().await, Received::Term(EncodedTerm::new("after the loss").unwrap()));
    a.expect("b@127.0.0.1", &[NodeChange::Up, NodeChange::Down, NodeChange::Up]).await;
}

/// The peer answers the dial by `nok`, since its own attempt continues, and then breaks that off.
#[tokio::test]
async fn a_signal_dials_again_after_the_peers_own_attempt_has_broken_off() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::without_epmd().node("z@reader", listener.local_addr().unwrap());
    let a = start(node("a@127.0.0.1").resolver(resolver)).await;
    send(&a.rt, "z@reader", "x");
    let mut dialed = Fake { stream: listener.accept().await.unwrap().0 };
    dialed.read_message().await.unwrap();
    dialed.message(b"snok").await;
    dialed.closed().await;
    let mut own = Fake::connect(a.address).await;
    own.introduce("z@reader").await;
    drop(own);
    timeout(LIMIT, listener.accept()).await.expect("the next dial").unwrap();
}
