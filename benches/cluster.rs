//! What the connections of a cluster cost, without a network: nodes in one thread, on the paused
//! clock, each connected to each.
//!
//! Prints a table with a line for each number of nodes, by default 10, 30, 100 and 300; `-- 500`
//! measures 500. A thousand nodes in one program have half a million connections, and need the memory
//! of the table for all of them.
//!
//! * Memory: the resident memory of the program, for each end of a connection, with that of the
//!   network.
//! * Join: the processor time of a node that joins and connects to all others, for each connection,
//!   with both ends and the handshake.
//! * Ticks: the processor time of one node for the ticks of a minute with the tick time of OTP, and
//!   the bytes that it sends.
//! * Loss: the processor time of all nodes for the stop of one node, for each of the others.

mod support;

use std::process::Command;
use std::time::Duration;

use regrow::cluster::{Cookie, Network, Node};
use regrow::{Runtime, Supervisor, SupervisorRef};
use support::{cpu_nanos, resident};
use tokio::time::sleep;

/// The argument with which the program starts itself again, because freed memory is used again.
const MEASURE: &str = "--measure";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut sizes: Vec<usize> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    if args.iter().any(|arg| arg == MEASURE) {
        let rt =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        return rt.expect("a runtime").block_on(measure(sizes[0]));
    }
    if sizes.is_empty() {
        let is_quick = args.iter().any(|arg| arg == "--quick" || arg == "--test");
        sizes = if is_quick { vec![5] } else { vec![10, 30, 100, 300] };
    }
    println!(
        "| nodes | connections | memory, KiB | join, µs | ticks, ms | ticks, bytes | loss, µs |"
    );
    println!("|---|---|---|---|---|---|---|");
    for nodes in sizes {
        let own = std::env::current_exe().expect("a bench is a file");
        let measured = Command::new(own).args([MEASURE, &nodes.to_string()]).status();
        assert!(measured.expect("the program can be started").success());
    }
}

async fn join(network: &Network, number: usize) -> (Runtime, SupervisorRef) {
    let rt = Runtime::new();
    let node = Node::new(name(number)).cookie(Cookie::new("bench")).network(network);
    let tree = Supervisor::one_for_one().child(node).start(&rt).await.expect("it starts");
    (rt, tree)
}

fn name(number: usize) -> String {
    format!("n{number}@bench")
}

fn cpu() -> f64 {
    cpu_nanos().unwrap_or_default()
}

async fn measure(count: usize) {
    let network = Network::new(1);
    let (idle, begun) = (resident().unwrap_or_default(), cpu());
    let mut nodes = Vec::new();
    for number in 0..count {
        let node = join(&network, number).await;
        for other in 0..number {
            node.0.node(name(other)).connect().await.expect("connected");
        }
        nodes.push(node);
    }
    sleep(Duration::from_secs(60)).await;
    let connections = network.connections();
    assert_eq!(connections, count * (count - 1) / 2);
    let joined = (cpu() - begun) / 1e3 / connections as f64;
    let memory = resident().unwrap_or_default().saturating_sub(idle) / 1024;
    let memory = memory as f64 / (2 * connections) as f64;

    let (begun, bytes) = (cpu(), network.bytes_sent());
    sleep(Duration::from_secs(120)).await;
    let ticks = (cpu() - begun) / 1e6 / 2.0 / count as f64;
    let bytes = (network.bytes_sent() - bytes) / 2 / count as u64;

    sleep(Duration::from_secs(5)).await; // between two ticks
    let begun = cpu();
    nodes.remove(0).1.stop().await.expect("it stops");
    sleep(Duration::from_secs(1)).await;
    let lost = (cpu() - begun) / 1e3 / (count - 1) as f64;
    assert_eq!(network.connections(), (count - 1) * (count - 2) / 2);
    println!(
        "| {count} | {connections} | {memory:.1} | {joined:.0} | {ticks:.2} | {bytes} | {lost:.0} |"
    );
}
