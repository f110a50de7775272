//! Connections that are authenticated and get no number, or whose process is killed.

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::child::{ChildSpec, TaskContext};
use crate::cluster::carrier::network::Network;
use crate::cluster::connection::connection_process::Connection;
use crate::cluster::connection::net_kernel::NET_KERNEL;
use crate::cluster::connection::requests::Call;
use crate::cluster::cookie::Cookie;
use crate::cluster::handshake::{Flags, Session};
use crate::cluster::node::Node;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::node_numbers::NONE_LEFT;
use crate::cluster::wire::Outbox;
use crate::exit::ExitReason;
use crate::message::{NodeChange, Received};
use crate::runtime::Runtime;
use crate::supervisor::{Supervisor, SupervisorRef};

async fn start(network: &Network, name: &str) -> (Runtime, SupervisorRef) {
    let (rt, node) = (Runtime::new(), Node::new(name).cookie(Cookie::new("x")).network(network));
    let tree = Supervisor::one_for_one().child(node).start(&rt).await.unwrap();
    (rt, tree)
}

/// A process that monitors a name at `b@two`, and what it receives of nodes and of the name.
fn watch(rt: &Runtime) -> UnboundedReceiver<Received> {
    let (sender, received) = unbounded_channel();
    let runtime = rt.clone();
    rt.spawn(|mut ctx| async move {
        runtime.monitor_nodes(ctx.pid());
        runtime.node("b@two").process("kv").monitor(ctx.pid());
        loop {
            let _ = sender.send(ctx.recv().await);
        }
    });
    received
}

/// The attempt succeeds and its connection is lost at once. The monitor that waited is not tried
/// again, because the next attempt would end in the same way.
#[tokio::test(start_paused = true)]
async fn a_connection_without_a_number_is_lost_with_the_signals_that_waited() {
    let network = Network::new(1);
    let ((a, _one), (_b, _two)) = (start(&network, "a@one").await, start(&network, "b@two").await);
    NONE_LEFT.set(true);
    let mut received = watch(&a);
    let mut changes = Vec::new();
    let mut downs = 0;
    while downs < 1 || changes.last() != Some(&NodeChange::Down) {
        match received.recv().await.unwrap() {
            Received::Node { change, .. } => changes.push(change),
            Received::DownName { reason, .. } => {
                assert_eq!(reason, ExitReason::NoConnection);
                downs += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    // With the clock paused, this waits until nothing else is left to do.
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert!(received.try_recv().is_err());
    assert_eq!(changes, [NodeChange::Up, NodeChange::Down]);
    assert!(a.connected_nodes().await.is_empty());

    NONE_LEFT.set(false);
    a.node("b@two").connect().await.unwrap();
    assert_eq!(a.connected_nodes().await, ["b@two"]);
}

/// Requests that are still answered hold the outbox: their answers must not wait in it.
#[tokio::test(start_paused = true)]
async fn a_connection_whose_process_is_killed_closes_its_outbox() {
    let network = Network::new(1);
    let (a, _one) = start(&network, "a@one").await;
    let (outbox, (begun, mut up)) = (Outbox::new(1024), unbounded_channel());
    let queue = outbox.clone();
    let connection = ChildSpec::task("connection", |ctx: TaskContext| async move {
        let settings = ctx.runtime().server(NET_KERNEL).call_unlimited(Call::Settings).await?;
        let (peer, flags) = (NodeName::parse("b@two").unwrap(), Flags::OFFERED);
        let session = Session { peer, creation: 9, flags };
        let connection = Connection::begin(&ctx, &settings, &session, queue);
        assert!(connection.is_ok());
        begun.send(ctx.pid())?;
        std::future::pending().await
    });
    let _tree = Supervisor::one_for_one().child(connection).start(&a).await.unwrap();
    let process = up.recv().await.unwrap();
    assert!(outbox.push(|_| {}));
    a.exit(process, ExitReason::Killed);
    a.ended(process).await;
    assert!(!outbox.push(|_| {}) && !outbox.waits());
}
