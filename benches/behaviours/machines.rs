//! The cost of a transition of a state machine, beside a server that changes a state by hand.
//!
//! Server: a `GenServer` with the state in a field. Machine: a `StateMachine` with the same states,
//! which also notes each change for its history. Both change their state with each cast and each call.

use std::time::{Duration, Instant};

use regrow::{
    Event, GenServer, MachineContext, Next, Reply, Result, Runtime, ServerContext, ServerRef,
    StateMachine,
};

use crate::support::{Bench, Row, Target, nanos_each, shut_down, yield_sometimes};

#[derive(Clone, Copy, PartialEq)]
enum State {
    Off,
    On,
}

impl State {
    fn other(self) -> Self {
        match self {
            State::Off => State::On,
            State::On => State::Off,
        }
    }
}

enum Call {
    /// Changes the state, and answers with it.
    Toggle(Reply<State>),
}

enum Cast {
    /// Changes the state.
    Toggle,
    /// Does nothing.
    Stay,
}

struct Server(State);

impl GenServer for Server {
    type Args = ();
    type Call = Call;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Server(State::Off))
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        let Call::Toggle(reply) = call;
        self.0 = self.0.other();
        reply.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        if matches!(cast, Cast::Toggle) {
            self.0 = self.0.other();
        }
        Ok(())
    }
}

struct Switch;

impl StateMachine for Switch {
    type Args = ();
    type State = State;
    type Call = Call;
    type Cast = Cast;
    type Payload = ();

    async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(State, Self)> {
        Ok((State::Off, Switch))
    }

    async fn handle_event(
        &mut self,
        state: &State,
        event: Event<Self>,
        _: &mut MachineContext<'_, Self>,
    ) -> Result<Next<State>> {
        match event {
            Event::Call(Call::Toggle(reply)) => {
                reply.send(state.other());
                Ok(Next::State(state.other()))
            }
            Event::Cast(Cast::Toggle) => Ok(Next::State(state.other())),
            _ => Ok(Next::Keep),
        }
    }

    fn state_name(state: &State) -> &'static str {
        match state {
            State::Off => "off",
            State::On => "on",
        }
    }
}

pub(crate) fn rows(bench: &Bench) {
    bench.header("a state machine", ["server", "machine", "ratio"]);
    let new_row = |text, size| Row { text, unit: "ns", target: Target::Ratio(1.2), size };
    let toggle = || Cast::Toggle;
    let row = new_row("a transition by a cast", 1_000_000);
    bench.compare(
        &row,
        move |n| async move { casts(server().await, n, toggle).await },
        move |n| async move { casts(switch().await, n, toggle).await },
    );
    let stay = || Cast::Stay;
    bench.compare(
        &new_row("a cast without a transition", 1_000_000),
        move |n| async move { casts(server().await, n, stay).await },
        move |n| async move { casts(switch().await, n, stay).await },
    );
    bench.compare(
        &new_row("a transition by a call", 256_000),
        |n| async move { calls(server().await, n).await },
        |n| async move { calls(switch().await, n).await },
    );
}

type Started<S> = (Runtime, ServerRef<S>);

async fn server() -> Started<Server> {
    let rt = Runtime::new();
    let server = Server::start(&rt, ()).await.expect("it starts");
    (rt, server)
}

async fn switch() -> Started<regrow::Machine<Switch>> {
    let rt = Runtime::new();
    let switch = Switch::start(&rt, ()).await.expect("it starts");
    (rt, switch)
}

/// Measured until all casts were handled.
async fn casts<S>((rt, server): Started<S>, size: usize, cast: fn() -> Cast) -> f64
where
    S: GenServer<Call = Call, Cast = Cast>,
{
    let start = Instant::now();
    for sent in 0..size {
        assert!(server.cast(cast()));
        yield_sometimes(sent).await;
    }
    server.call_timeout(Call::Toggle, Duration::from_secs(60)).await.expect("it answers");
    let cost = nanos_each(start, size);
    shut_down(&rt).await;
    cost
}

async fn calls<S>((rt, server): Started<S>, size: usize) -> f64
where
    S: GenServer<Call = Call, Cast = Cast>,
{
    let start = Instant::now();
    for _ in 0..size {
        server.call(Call::Toggle).await.expect("it answers");
    }
    let cost = nanos_each(start, size);
    shut_down(&rt).await;
    cost
}
