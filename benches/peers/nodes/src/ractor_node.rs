//! ractor_cluster. The address is the port; the server is found as the member of a group.

use ractor::rpc::CallResult;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, pg};
use ractor_cluster::{NodeServer, NodeServerMessage, RactorClusterMessage};

use crate::{Caller, ITEM};

const GROUP: &str = "prices";

struct Prices;

#[derive(RactorClusterMessage)]
enum Message {
    #[rpc]
    Price(String, RpcReplyPort<u32>),
}

impl Actor for Prices {
    type Msg = Message;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, this: ActorRef<Message>, (): ()) -> Result<(), ActorProcessingErr> {
        pg::join(GROUP.to_owned(), vec![this.get_cell()]);
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let Message::Price(item, reply) = message;
        Ok(reply.send(u32::from(item == ITEM))?)
    }
}

async fn node(port: u16, name: &str) -> ActorRef<NodeServerMessage> {
    let (cookie, host) = ("bench".to_owned(), "localhost".to_owned());
    let node = NodeServer::new(port, cookie, name.to_owned(), host, None, None);
    Actor::spawn(None, node, ()).await.expect("it starts").0
}

pub(crate) async fn serve(port: u16) {
    let _node = node(port, "shop").await;
    let _prices = Actor::spawn(None, Prices, ()).await.expect("it starts");
    println!("{port}");
    std::future::pending().await
}

pub(crate) async fn connect(address: &str) -> Box<dyn Fn() -> Caller + Send> {
    let port: u16 = address.parse().expect("a port is a number");
    let node = node(0, &format!("till{}", std::process::id())).await;
    ractor_cluster::client_connect(&node, ("127.0.0.1", port)).await.expect("it connects");
    let there = loop {
        match pg::get_members(&GROUP.to_owned()).pop() {
            Some(member) => break ActorRef::<Message>::from(member),
            None => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    };
    Box::new(move || {
        let there = there.clone();
        Box::new(move || {
            let there = there.clone();
            Box::pin(async move {
                let call = there.call(|reply| Message::Price(ITEM.to_owned(), reply), None);
                match call.await.expect("it is sent") {
                    CallResult::Success(price) => price,
                    other => panic!("{other:?}"),
                }
            })
        })
    })
}
