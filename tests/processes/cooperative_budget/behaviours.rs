//! Agents, state machines, event managers and topics.

use super::{Ask, MANY, Other, SOON, same};

use regrow::testing::{Probe, TransitionCheck};
use regrow::{
    Agent, AgentRef, Event, EventHandler, EventHandlers, EventManager, ExitReason, GenServer,
    HandlerContext, HandlerOwner, MachineContext, Name, Next, PubSub, Removal, Result, Runtime,
    StateMachine, StreamOverflow,
};

const NUMBER: Name<Agent<u8>> = Name::new("number");

async fn agent(rt: &Runtime) -> AgentRef<u8> {
    Agent::start(rt, || 7).await.unwrap()
}

#[tokio::test]
async fn requests_to_an_ended_agent_let_other_tasks_run() {
    let rt = Runtime::new();
    let ended = agent(&rt).await;
    ended.stop(ExitReason::Normal).await.unwrap();
    for agent in [ended, rt.agent(NUMBER)] {
        lets_other_tasks_run!("AgentRef::get", drop(agent.get(|number| *number).await));
        lets_other_tasks_run!("AgentRef::get_timeout", {
            drop(agent.get_timeout(|number| *number, SOON).await);
        });
        lets_other_tasks_run!("AgentRef::get_waiting", {
            drop(agent.get_waiting(|number| *number, SOON).await);
        });
        lets_other_tasks_run!("AgentRef::update", drop(agent.update(|number| *number += 1).await));
        lets_other_tasks_run!("AgentRef::update_timeout", {
            drop(agent.update_timeout(|number| *number += 1, SOON).await);
        });
        lets_other_tasks_run!("AgentRef::update_waiting", {
            drop(agent.update_waiting(|number| *number += 1, SOON).await);
        });
        let stop = || ExitReason::Normal;
        lets_other_tasks_run!("AgentRef::stop", drop(agent.stop(stop()).await));
        lets_other_tasks_run!("AgentRef::stop_timeout", {
            drop(agent.stop_timeout(stop(), SOON).await);
        });
    }
}

#[tokio::test]
async fn refused_starts_of_agents_and_machines_let_other_tasks_run() {
    let rt = Runtime::new();
    let _holder = Agent::start_named(&rt, NUMBER, || 7).await.unwrap();
    lets_other_tasks_run!("Agent::start_named", {
        drop(Agent::start_named(&rt, NUMBER, || 7).await);
    });
    rt.shutdown();
    lets_other_tasks_run!("Agent::start", drop(Agent::start(&rt, || 7).await));
    lets_other_tasks_run!("StateMachine::start", drop(Busy::start(&rt, ()).await));
}

/// A machine that gives itself the next event while it handles one, until another task has run.
struct Busy {
    other: Option<Other>,
    rounds: usize,
}

impl StateMachine for Busy {
    type Args = ();
    type State = ();
    type Call = ();
    type Cast = ();
    type Payload = ();

    async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<((), Self)> {
        Ok(((), Busy { other: None, rounds: 0 }))
    }

    async fn handle_event(
        &mut self,
        (): &(),
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<()>> {
        if self.other.get_or_insert_with(Other::spawn).has_run() {
            return Err(ExitReason::Normal);
        }
        self.rounds += 1;
        assert!(self.rounds < MANY, "a machine with events of its own lets no other task run");
        ctx.next_event(event);
        Ok(Next::Keep)
    }

    fn state_name((): &()) -> &'static str {
        "busy"
    }
}

#[tokio::test]
async fn a_machine_that_gives_itself_events_lets_other_tasks_run() {
    let machine = Busy::start(&Runtime::new(), ()).await.unwrap();
    machine.cast(());
    assert_eq!(machine.ended().await, ExitReason::Normal);
}

#[tokio::test]
async fn checks_of_an_ended_machine_let_other_tasks_run() {
    let machine = Busy::start(&Runtime::new(), ()).await.unwrap();
    machine.stop(ExitReason::Normal).await.unwrap();
    let check = TransitionCheck::<Busy>::new();
    lets_other_tasks_run!("TransitionCheck::watch", drop(check.watch(&machine).await));
}

/// A handler that ignores its events.
struct Quiet;

impl EventHandler<u8> for Quiet {
    type Args = ();
    type Call = Ask;
    type RemoveArg = ();
    type Output = ();

    async fn init((): (), _: &mut HandlerContext<u8>) -> Result<Self> {
        Ok(Quiet)
    }

    async fn handle_event(&mut self, _: &u8, _: &mut HandlerContext<u8>) -> Result {
        Ok(())
    }

    async fn handle_call(&mut self, call: Ask, _: &mut HandlerContext<u8>) -> Result {
        call.send(7);
        Ok(())
    }

    async fn terminate(self, _: Removal<()>) {}
}

#[tokio::test]
async fn requests_to_an_ended_event_manager_let_other_tasks_run() {
    let rt = Runtime::new();
    let probe = Probe::new(&rt);
    let manager = EventManager::<u8>::start(&rt, EventHandlers::new()).await.unwrap();
    let (owner, mut exits) = HandlerOwner::process(&probe);
    let handler = manager.add_sup_handler::<Quiet>("quiet", (), owner.clone()).await.unwrap();
    manager.stop(ExitReason::Normal).await.unwrap();
    lets_other_tasks_run!("ServerRef::sync_notify", drop(manager.sync_notify(1).await));
    lets_other_tasks_run!("ServerRef::add_handler", {
        drop(manager.add_handler::<Quiet>("new", ()).await);
    });
    lets_other_tasks_run!("ServerRef::add_sup_handler", {
        drop(manager.add_sup_handler::<Quiet>("new", (), owner.clone()).await);
    });
    lets_other_tasks_run!("ServerRef::which_handlers", drop(manager.which_handlers().await));
    lets_other_tasks_run!("HandlerRef::call", drop(handler.call(same).await));
    lets_other_tasks_run!("HandlerRef::call_timeout", {
        drop(handler.call_timeout(same, SOON).await);
    });
    lets_other_tasks_run!("HandlerRef::delete", drop(handler.delete(()).await));
    lets_other_tasks_run!("HandlerRef::swap", {
        drop(handler.swap::<Quiet>((), "new", |_| ()).await);
    });
    lets_other_tasks_run!("HandlerRef::swap_sup", {
        drop(handler.swap_sup::<Quiet>((), "new", |_| (), owner.clone()).await);
    });
    assert!(exits.next().await.is_some());
    drop((owner, handler));
    lets_other_tasks_run!("HandlerExits::next", assert!(exits.next().await.is_none()));
}

#[tokio::test]
async fn reads_of_a_topic_let_other_tasks_run() {
    let rt = Runtime::new();
    let topics = PubSub::<&str, u8>::new(&rt);
    let mut events = topics.stream("numbers");
    lets_other_tasks_run!("TopicStream::next", {
        topics.publish(&"numbers", 7);
        assert_eq!(events.next().await.unwrap().event, 7);
    });
    let mut ended = topics.stream_with("numbers", 1, StreamOverflow::Unsubscribe);
    topics.publish(&"numbers", 1);
    topics.publish(&"numbers", 2);
    assert_eq!(ended.next().await.unwrap().event, 1);
    lets_other_tasks_run!("TopicStream::next", assert!(ended.next().await.is_none()));
}
