//! The states of a machine without `PartialEq`, which decides what is a change of state.
use regrow::{Event, MachineContext, Next, Result, StateMachine};

struct Door;

enum State {
    Closed,
    Open,
}

impl StateMachine for Door {
    type Args = ();
    type State = State;
    type Call = std::convert::Infallible;
    type Cast = ();
    type Payload = ();

    async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(State, Self)> {
        Ok((State::Closed, Door))
    }

    async fn handle_event(
        &mut self,
        _: &State,
        _: Event<Self>,
        _: &mut MachineContext<'_, Self>,
    ) -> Result<Next<State>> {
        Ok(Next::State(State::Open))
    }

    fn state_name(state: &State) -> &'static str {
        match state {
            State::Closed => "closed",
            State::Open => "open",
        }
    }
}

fn main() {}
