//! kameo, with the transport of its `bootstrap`: TCP, noise and yamux. There is no multicast DNS: the
//! caller dials the address.

use std::time::Duration;

use futures_util::StreamExt;
use kameo::actor::{RemoteActorRef, Spawn};
use kameo::message::{Context, Message};
use kameo::remote::{Behaviour, messaging};
use kameo::{Actor, RemoteActor, remote_message};
use libp2p::swarm::{Swarm, SwarmEvent};
use libp2p::{Multiaddr, SwarmBuilder, noise, tcp, yamux};
use serde::{Deserialize, Serialize};

use crate::{Caller, ITEM};

const NAME: &str = "prices";

#[derive(Actor, RemoteActor)]
struct Prices;

#[derive(Serialize, Deserialize)]
struct Price {
    item: String,
}

#[remote_message]
impl Message<Price> for Prices {
    type Reply = u32;

    async fn handle(&mut self, price: Price, _: &mut Context<Self, u32>) -> u32 {
        u32::from(price.item == ITEM)
    }
}

fn swarm() -> Swarm<Behaviour> {
    let tcp = SwarmBuilder::with_new_identity().with_tokio().with_tcp(
        tcp::Config::default(),
        noise::Config::new,
        yamux::Config::default,
    );
    let behaved = tcp.expect("the transport").with_behaviour(|key| {
        Behaviour::new(key.public().to_peer_id(), messaging::Config::default())
    });
    // A connection without traffic is closed after 10 s.
    let swarm = behaved
        .expect("the behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)));
    let swarm = swarm.build();
    swarm.behaviour().init_global();
    swarm
}

fn run(mut swarm: Swarm<Behaviour>) {
    tokio::spawn(async move {
        loop {
            // The lookup of a name asks the peers with known addresses, and a dialed address is not
            // one of them until it is added. With `bootstrap`, multicast DNS adds them.
            if let SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } =
                swarm.select_next_some().await
                && endpoint.is_dialer()
            {
                swarm.add_peer_address(peer_id, endpoint.get_remote_address().clone());
            }
        }
    });
}

fn address(port: &str) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address")
}

pub(crate) async fn serve(port: u16) {
    let mut swarm = swarm();
    swarm.listen_on(address(&port.to_string())).expect("it listens");
    run(swarm);
    let prices = Prices::spawn(Prices);
    prices.register(NAME).await.expect("it is registered");
    println!("{port}");
    std::future::pending().await
}

pub(crate) async fn connect(port: &str) -> Box<dyn Fn() -> Caller + Send> {
    let mut swarm = swarm();
    swarm.dial(address(port)).expect("it dials");
    run(swarm);
    let there = loop {
        if let Ok(Some(there)) = RemoteActorRef::<Prices>::lookup(NAME).await {
            break there;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    Box::new(move || {
        let there = there.clone();
        Box::new(move || {
            let there = there.clone();
            Box::pin(async move {
                there.ask(&Price { item: ITEM.to_owned() }).await.expect("it answers")
            })
        })
    })
}
