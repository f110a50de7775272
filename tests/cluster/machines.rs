//! A state machine whose calls and casts come from another node.

use std::time::Duration;

use regrow::cluster::{Cookie, Network, Node, RemoteServer};
use regrow::{
    CallError, Event, Machine, MachineContext, Name, Next, Reply, Result, Runtime, StateMachine,
    Supervisor, SupervisorRef,
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::beam::COOKIE;

const DOOR: Name<Machine<Door>> = Name::new("door");
const SECOND: Duration = Duration::from_secs(1);

/// Counts the clients that have come in.
struct Door(u32);

#[derive(Serialize, Deserialize)]
enum Call {
    Enter(Reply<u32>),
}

#[derive(Serialize, Deserialize)]
enum Cast {
    Open,
}

impl StateMachine for Door {
    type Args = ();
    type State = bool;
    type Call = Call;
    type Cast = Cast;
    type Payload = ();

    async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(bool, Self)> {
        Ok((false, Door(0)))
    }

    async fn handle_event(
        &mut self,
        open: &bool,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<bool>> {
        Ok(match event {
            Event::Call(Call::Enter(reply)) if !open => ctx.postpone_awaited(reply, Call::Enter),
            Event::Call(Call::Enter(reply)) => {
                self.0 += 1;
                reply.send(self.0);
                Next::Keep
            }
            Event::Cast(Cast::Open) => Next::State(true),
            event => event.unhandled(open)?,
        })
    }

    fn state_name(open: &bool) -> &'static str {
        if *open { "open" } else { "closed" }
    }
}

/// The runtime of the machine, its handle at another node, and the trees of both.
async fn door() -> (Runtime, RemoteServer<Machine<Door>>, [SupervisorRef; 2]) {
    let network = Network::new(1);
    let node = |name| Node::new(name).cookie(Cookie::new(COOKIE)).network(&network);
    let (here, there) = (Runtime::new(), Runtime::new());
    let client = Supervisor::one_for_one().child(node("a@one")).start(&here).await.unwrap();
    let server = Supervisor::one_for_one().child(node("b@two").expose(DOOR));
    let server = server.child(Door::child(()).named(DOOR)).start(&there).await.unwrap();
    (there, here.node("b@two").server(DOOR), [client, server])
}

fn postponed(rt: &Runtime) -> usize {
    rt.machine_status(rt.whereis("door").unwrap()).unwrap().postponed
}

#[tokio::test(start_paused = true)]
async fn a_call_from_another_node_is_postponed_and_answered_after_a_change_of_state() {
    let (rt, door, _trees) = door().await;
    let open = async {
        sleep(SECOND).await;
        assert_eq!(postponed(&rt), 1);
        assert!(door.cast(Cast::Open));
    };
    assert_eq!(tokio::join!(door.call(Call::Enter), open).0, Ok(1));
    assert_eq!(postponed(&rt), 0);
}

/// The end of the monitor of the caller arrives at the node of the machine.
#[tokio::test(start_paused = true)]
async fn a_postponed_call_whose_caller_at_another_node_has_given_up_is_dropped() {
    let (rt, door, _trees) = door().await;
    assert_eq!(door.call_timeout(Call::Enter, SECOND).await, Err(CallError::Timeout));
    sleep(SECOND).await;
    assert_eq!(postponed(&rt), 1);
    assert!(door.cast(Cast::Open));
    assert_eq!(door.call(Call::Enter).await, Ok(1));
}
