//! Callers at another node that wait no longer: the server sees that no answer is awaited.

use std::time::Duration;

use regrow::cluster::Term;
use regrow::{ExitReason, GenServer, Name, Reply, Result, ServerContext};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::fake::Fake;
use crate::pairs::{Running, node, start};
use crate::received_calls::{own_pid, reference};

/// A server that passes its replies on.
struct Desk(UnboundedSender<Reply<u8>>);

impl GenServer for Desk {
    type Args = UnboundedSender<Reply<u8>>;
    type Call = Reply<u8>;
    type Cast = std::convert::Infallible;

    async fn init(replies: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Desk(replies))
    }

    async fn handle_call(&mut self, reply: Reply<u8>, _: &mut ServerContext<Self>) -> Result {
        let _ = self.0.send(reply);
        Ok(())
    }
}

const DESK: Name<Desk> = Name::new("desk");

struct World {
    running: Running,
    fake: Fake,
    replies: UnboundedReceiver<Reply<u8>>,
}

impl World {
    async fn start() -> World {
        let running = start(node("rust@127.0.0.1").expose_calls(DESK)).await;
        let (sender, replies) = unbounded_channel();
        Desk::spec(sender).named(DESK).start(&running.rt).await.unwrap();
        let (fake, _) = Fake::join(running.address, "fake@127.0.0.1").await;
        World { running, fake, replies }
    }

    /// Sends an operation with the monitor of the caller.
    async fn monitor(&mut self, operation: i32, number: u32) {
        let arguments = [Term::from(operation), own_pid(), Term::atom("desk"), reference(number)];
        let control = Term::tuple(arguments).to_bytes().unwrap();
        self.fake.frame(&[&b"\x70"[..], &control].concat()).await;
    }

    /// Calls the server as `gen_server:call` does.
    async fn call(&mut self, number: u32) -> Reply<u8> {
        self.monitor(19, number).await;
        let control = [Term::from(6), own_pid(), Term::atom(""), Term::atom("desk")];
        let tag = Term::improper_list([Term::atom("alias")], reference(number));
        let from = Term::tuple([own_pid(), tag]);
        let message = Term::tuple([Term::atom("$gen_call"), from, Term::atom("any")]);
        self.fake.send_terms(&Term::tuple(control), &message).await;
        self.replies.recv().await.unwrap()
    }
}

async fn awaited_no_longer(reply: &Reply<u8>) {
    let waiting = async {
        while reply.is_awaited() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the caller has gone");
}

#[tokio::test]
async fn a_caller_that_has_gone_awaits_no_reply() {
    let mut world = World::start().await;
    let (first, second) = (world.call(1).await, world.call(2).await);
    world.monitor(20, 1).await;
    world.fake.ask().await;
    assert!(world.fake.is_answered().await); // so the removal was handled
    assert!(!first.is_awaited() && second.is_awaited());
    first.send(1); // dropped
    drop(world.fake);
    awaited_no_longer(&second).await;
}

/// The reason of the end is what the caller gets, whatever happens to the reply.
#[tokio::test]
async fn a_caller_whose_server_has_ended_awaits_no_reply() {
    let mut world = World::start().await;
    let reply = world.call(1).await;
    assert!(reply.is_awaited());
    let server = world.running.rt.whereis("desk").unwrap();
    assert!(world.running.rt.exit(server, ExitReason::Killed));
    awaited_no_longer(&reply).await;
    reply.send(1);
    let (control, _) = world.fake.read_terms().await.unwrap();
    assert_eq!(control.as_tuple().unwrap()[0].as_integer(), Some(21));
}
