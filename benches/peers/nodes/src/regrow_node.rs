//! regrow. The address is the port; without EPMD.

use regrow::cluster::{Cookie, Node, Resolver};
use regrow::{GenServer, Name, Reply, Result, Runtime, ServerContext, Supervisor};
use serde::{Deserialize, Serialize};

use crate::{Caller, ITEM};

const PRICES: Name<Prices> = Name::new("prices");

struct Prices;

#[derive(Serialize, Deserialize)]
enum Call {
    Price { item: String, reply: Reply<u32> },
}

impl GenServer for Prices {
    type Args = ();
    type Call = Call;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Prices)
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        let Call::Price { item, reply } = call;
        reply.send(u32::from(item == ITEM));
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

fn node(name: &str, resolver: Resolver) -> Node {
    Node::new(name).cookie(Cookie::new("bench")).resolver(resolver)
}

pub(crate) async fn serve(port: u16) {
    let rt = Runtime::new();
    let node = node("shop@127.0.0.1", Resolver::without_epmd());
    let node = node.listen(([127, 0, 0, 1], port)).expose(PRICES);
    let tree = Supervisor::one_for_one().child(Prices::child(()).named(PRICES)).child(node);
    let _tree = tree.start(&rt).await.expect("it starts");
    println!("{port}");
    std::future::pending().await
}

pub(crate) async fn connect(address: &str) -> Box<dyn Fn() -> Caller + Send> {
    let port = address.parse().expect("a port is a number");
    let resolver = Resolver::without_epmd().node("shop@127.0.0.1", ([127, 0, 0, 1], port));
    let rt = Runtime::new();
    // Each program has another name.
    let name = format!("till{}@127.0.0.1", std::process::id());
    let tree = Supervisor::one_for_one().child(node(&name, resolver));
    let tree = tree.start(&rt).await.expect("it starts");
    Box::new(move || {
        let _ = &tree;
        let there = rt.node("shop@127.0.0.1").server(PRICES);
        Box::new(move || {
            let there = there.clone();
            Box::pin(async move {
                let item = ITEM.to_owned();
                there.call(|reply| Call::Price { item, reply }).await.expect("it answers")
            })
        })
    })
}
