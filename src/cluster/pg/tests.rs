//! The order of two messages that only a test can force: the `Down` of an earlier connection arrives
//! after what the next connection has brought.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::timeout;

use crate::base::Pid;
use crate::cluster::handshake::Flags;
use crate::cluster::node_name::NodeName;
use crate::cluster::pg::scope::{Scope, ScopeArgs};
use crate::cluster::remote::local_node::{LocalNode, PidTags};
use crate::cluster::remote::node_numbers::Numbered;
use crate::cluster::remote::nodes::{Connector, Nodes, Wanted};
use crate::cluster::remote::peer_connection::Up;
use crate::cluster::term::{Atom, ExternalPid};
use crate::cluster::wire::Outbox;
use crate::kernel::Kernel;
use crate::message::EncodedTerm;
use crate::runtime::Runtime;
use crate::server::GenServer;

#[derive(Debug)]
struct Never;

impl Connector for Never {
    fn connect(&self, _: Arc<Kernel>, wanted: Wanted) {
        drop(wanted);
    }
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn atom(text: &str) -> Atom {
    Atom::new(text).unwrap()
}

fn other(id: u32) -> ExternalPid {
    ExternalPid::new(atom("pg-other@host"), id, 0, 9)
}

/// The loss notifies more monitors than one slice has, so the scope's own `Down` is, as a rule, among
/// the later ones, and the messages of the next connection are queued before it.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn the_down_of_an_earlier_connection_does_not_remove_what_the_next_one_has_brought() {
    let rt = Runtime::new();
    let nodes = Nodes::of(&rt.kernel);
    let node = LocalNode::new(name("pg-own@host"), 7, PidTags::default());
    let own = nodes.start(node, 1 << 20, Arc::new(Never));
    let peer = nodes.peer(&name("pg-other@host"));
    let connect = || {
        let (own, flags, outbox) = (own.clone(), Flags::default(), Outbox::new(64 << 20));
        let other = Numbered::connect(name("pg-other@host"), 9).unwrap();
        peer.up(Up { own, other, flags, outbox })
    };
    connect();
    let args = ScopeArgs { name: "pg".into(), most_members: 100 };
    let scope = Scope::start(&rt, args).await.unwrap();
    let send = |term: EncodedTerm| assert!(rt.send_term(scope.pid().unwrap(), term));
    let discover = || send(EncodedTerm::new(&(atom("discover"), other(1))).unwrap());
    let join = |group: &str| {
        send(EncodedTerm::new(&(atom("join"), other(1), group, other(3))).unwrap());
    };
    let shown = async |group: &str| {
        let shown = async {
            while rt.whereis_tag(group).is_empty() {
                yield_now().await;
            }
        };
        assert!(timeout(Duration::from_secs(20), shown).await.is_ok(), "{group} is not shown");
    };
    discover();
    join("room");
    shown("room").await;

    let watcher = rt.spawn(|_| std::future::pending()).pid();
    let foreign: Pid = rt.pid_of(&other(3)).unwrap();
    for _ in 0..10_000 {
        rt.monitor(watcher, foreign);
    }
    connect();
    discover();
    let groups = vec![("hall", vec![other(3)])];
    let sync = (atom("$gen_cast"), (atom("sync"), other(1), groups));
    send(EncodedTerm::new(&sync).unwrap());
    // The scope has a monitor of the new connection. All of the earlier one are spent.
    while rt.leftovers().monitors != 1 {
        yield_now().await;
    }
    join("kitchen");
    shown("kitchen").await;
    assert_eq!(rt.whereis_tag("hall"), [foreign]);
    assert!(rt.whereis_tag("room").is_empty());
}
