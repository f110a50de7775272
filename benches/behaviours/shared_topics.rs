//! The cost of an event for the subscribers of another node, on a network without sockets.
//!
//! Beside a publish: a term for each of the subscribers, which are processes that decode it. Each side
//! ends when all subscribers have all events.

use std::time::Instant;

use regrow::cluster::{Cookie, EncodedTerm, Network, Node};
use regrow::{ChildSpec, Context, Pid, PubSub, Received, Runtime, Supervisor};
use tokio::sync::mpsc;

use crate::support::{Bench, Row, Table, Target, nanos_each, shut_down};

/// Events that are sent before the subscribers are waited for.
const BATCH: usize = 100;

pub(crate) fn rows(bench: &Bench) {
    if !bench.shows(Table::Demanding) {
        return;
    }
    let columns = ["a term each", "publish", "ratio"];
    bench.header("events for another node, for each delivery", columns);
    let row = |text, size| Row { text, unit: "ns", target: Target::None, size };
    bench.compare(&row("a String to 1 subscriber", 100_000), terms::<1>, publishes::<1>);
    bench.compare(&row("a String to 100 subscribers", 1_000_000), terms::<100>, publishes::<100>);
}

fn text(number: usize) -> String {
    format!("event number {number}, with some text behind it")
}

fn node(network: &Network, name: &str) -> Node {
    Node::new(name).cookie(Cookie::new("bench")).network(network).groups("pg")
}

/// Two connected nodes, each with a child.
async fn connected(a: (&Runtime, Option<ChildSpec>), b: (&Runtime, Option<ChildSpec>)) {
    let network = Network::new(1);
    for ((rt, child), name) in [(a.clone(), "a@bench"), (b, "b@bench")] {
        let tree = Supervisor::rest_for_one().child(node(&network, name));
        let tree = child.into_iter().fold(tree, |tree, child| tree.child(child));
        // The tree runs until its runtime is shut down.
        drop(tree.start(rt).await.expect("it starts"));
    }
    a.0.node("b@bench").connect().await.expect("connected");
}

/// Sends events in batches, each of which has arrived at all subscribers before the next one is sent.
async fn batches<const N: usize>(
    size: usize,
    mut send: impl FnMut(usize) + Send,
    mut arrived: mpsc::UnboundedReceiver<()>,
) -> f64 {
    let events = size.div_ceil(N);
    let begin = Instant::now();
    for batch in (0..events).step_by(BATCH) {
        let end = events.min(batch + BATCH);
        (batch..end).for_each(&mut send);
        for _ in 0..(end - batch) * N {
            arrived.recv().await.expect("the subscribers run");
        }
    }
    nanos_each(begin, events * N)
}

/// A process that decodes what it receives.
async fn decoder(mut ctx: Context, arrived: mpsc::UnboundedSender<()>) {
    while let Received::Term(term) = ctx.recv().await {
        std::hint::black_box(term.decode::<String>().expect("a text"));
        let _ = arrived.send(());
    }
}

async fn terms<const N: usize>(size: usize) -> f64 {
    let (a, b) = (Runtime::new(), Runtime::new());
    connected((&a, None), (&b, None)).await;
    let (sender, arrived) = mpsc::unbounded_channel();
    let there: Vec<Pid> = (0..N)
        .map(|_| {
            let sender = sender.clone();
            let own = b.spawn(|ctx| decoder(ctx, sender)).pid();
            a.pid_of(&b.external_pid(own).expect("a node runs")).expect("a pid")
        })
        .collect();
    let from = a.clone();
    let send = move |number| {
        let event = text(number);
        for to in &there {
            assert!(from.send_term(*to, EncodedTerm::new(&event).expect("a term")));
        }
    };
    let cost = batches::<N>(size, send, arrived).await;
    shut_down(&a).await;
    shut_down(&b).await;
    cost
}

async fn publishes<const N: usize>(size: usize) -> f64 {
    let (a, b) = (Runtime::new(), Runtime::new());
    let [here, there] = [&a, &b].map(PubSub::<String, String>::new);
    let (relay, other) = (here.across_nodes("bench"), there.across_nodes("bench"));
    connected((&a, Some(relay.clone().into())), (&b, Some(other.into()))).await;
    while relay.nodes().is_empty() {
        tokio::task::yield_now().await;
    }
    let (sender, arrived) = mpsc::unbounded_channel();
    for _ in 0..N {
        let (mut stream, sender) = (there.stream("all".to_owned()), sender.clone());
        b.spawn(|_| async move {
            while let Some(event) = stream.next().await {
                std::hint::black_box(event);
                let _ = sender.send(());
            }
        });
    }
    let key = "all".to_owned();
    let send = move |number| assert_eq!(here.publish(&key, text(number)), 0);
    let cost = batches::<N>(size, send, arrived).await;
    shut_down(&a).await;
    shut_down(&b).await;
    cost
}
