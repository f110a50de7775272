//! The order of messages between the processes of several nodes, while the bytes of each connection
//! are delayed by times of their own.

use std::time::Duration;

use regrow::cluster::{EncodedTerm, Network};
use regrow::{Pid, ProcessHandle, Received, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::yield_now;

use crate::beam::is_full;
use crate::network::{Joined, join};

const NODES: u32 = 4;
/// The senders of each node.
const SENDERS: u32 = 3;

fn name(number: u32) -> String {
    format!("n{number}@order")
}

/// A process that checks the order of each sender: a number of a sender is one more than the last one.
/// It ends when each sender has sent so many messages.
fn receiver(rt: &Runtime, count: u32) -> (ProcessHandle, UnboundedReceiver<()>) {
    let (done, is_done) = unbounded_channel();
    let receiver = rt.spawn(move |mut ctx| async move {
        let mut next = vec![0; (NODES * SENDERS) as usize];
        while next.iter().any(|next| *next < count) {
            let Received::Term(term) = ctx.recv().await else { panic!("no message") };
            let (sender, number): (u32, u32) = term.decode().unwrap();
            let next = &mut next[sender as usize];
            assert_eq!(number, *next, "sender {sender}");
            *next += 1;
        }
        let _ = done.send(());
    });
    assert!(rt.register("receiver", receiver.pid()));
    (receiver, is_done)
}

/// Starts a process that sends its numbers to the receivers of all nodes, and gives way now and then.
fn sender(node: &Joined, sender: u32, count: u32) -> Pid {
    let rt = node.rt.clone();
    let sender = node.rt.spawn(move |_| async move {
        let receivers: Vec<_> =
            (0..NODES).map(|node| rt.node(name(node)).process("receiver")).collect();
        for number in 0..count {
            for receiver in &receivers {
                assert!(receiver.send(EncodedTerm::new(&(sender, number)).unwrap()));
            }
            if (number + sender).is_multiple_of(7) {
                yield_now().await;
            }
        }
    });
    sender.pid()
}

#[tokio::test(start_paused = true)]
async fn messages_of_each_pair_of_processes_arrive_in_their_order_over_random_delays() {
    // 60,000 messages, and at full length a million.
    let pairs = NODES * NODES * SENDERS;
    let count = if is_full() { 1_000_000 } else { 60_000 } / pairs + 1;
    let network = Network::new(7);
    network.delay_all(Duration::ZERO..=Duration::from_millis(30));
    let mut nodes = Vec::new();
    for number in 0..NODES {
        nodes.push(join(&network, &name(number)).await);
    }
    let receivers: Vec<_> = nodes.iter().map(|node| receiver(&node.rt, count)).collect();
    for (number, node) in (0..).zip(&nodes) {
        for of_node in 0..SENDERS {
            sender(node, number * SENDERS + of_node, count);
        }
    }
    for (_, mut is_done) in receivers {
        assert_eq!(is_done.recv().await, Some(()));
    }
}
