//! A door with a code lock, as a state machine: the example of OTP's `gen_statem`.
//!
//! You learn what a machine does for you: a state that begins with an action and ends with its
//! time-out, calls that are postponed until the door is open, and a diagram that is compared with what
//! the machine does.
//!
//! ```text
//! cargo run --example door
//! ```
//!
//! You will see the tree with the state of the door, the last changes, and the diagram for mermaid.
//! `-- --selftest` prints nothing. The clock is paused, so the program waits for no time-out.

use std::error::Error;
use std::time::Duration;

use regrow::testing::TransitionCheck;
use regrow::{
    EnterContext, Event, Machine, MachineContext, MachineRef, Name, Next, Reply, Result, Runtime,
    StateMachine, Supervisor, Transition,
};

const DOOR: Name<Machine<Door>> = Name::new("door");

/// How long the door stays open, and how long the digits of one attempt may take.
const OPEN: Duration = Duration::from_millis(50);
const ATTEMPT: Duration = Duration::from_millis(200);

/// What the door does in this program.
const CHANGES: [&str; 4] = [
    "locked → open (code)",
    "open → locked (lock)",
    "locked → blocked (code)",
    "blocked → locked (reset)",
];

/// What all states share.
struct Door {
    code: Vec<u8>,
    entered: Vec<u8>,
    is_lit: bool,
}

#[derive(Debug, PartialEq)]
enum State {
    Locked,
    Open,
    /// After a wrong code.
    Blocked {
        attempts: u8,
    },
}

enum Call {
    /// Answered when the door is open.
    Enter(Reply<()>),
    IsLit(Reply<bool>),
}

enum Cast {
    Button(u8),
    Reset,
}

enum Payload {
    Lock,
    Forget,
    Verify { attempt: u8 },
}

impl StateMachine for Door {
    type Args = Vec<u8>;
    type State = State;
    type Call = Call;
    type Cast = Cast;
    type Payload = Payload;

    const MAX_POSTPONED: Option<usize> = Some(100);

    const TRANSITIONS: &'static [Transition] = &[
        Transition::initial("locked"),
        Transition::new("locked", "code", "open"),
        Transition::new("locked", "code", "blocked"),
        Transition::new("open", "lock", "locked"),
        Transition::new("blocked", "reset", "locked"),
    ];

    async fn init(code: Vec<u8>, _: &mut MachineContext<'_, Self>) -> Result<(State, Self)> {
        Ok((State::Locked, Door { code, entered: Vec::new(), is_lit: false }))
    }

    /// What each entry of a state does, however the machine came there.
    async fn state_enter(
        &mut self,
        _: Option<&State>,
        state: &State,
        ctx: &mut EnterContext<'_, Self>,
    ) -> Result {
        self.entered.clear();
        self.is_lit = *state == State::Open;
        if *state == State::Open {
            ctx.state_timeout(OPEN, Payload::Lock);
        }
        Ok(())
    }

    async fn handle_event(
        &mut self,
        state: &State,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<State>> {
        match (state, event) {
            (_, Event::Call(Call::IsLit(reply))) => reply.send(self.is_lit),
            (State::Open, Event::Call(Call::Enter(reply))) => reply.send(()),
            (_, event @ Event::Call(_)) => return Ok(ctx.postpone(event)),
            (State::Locked, Event::Cast(Cast::Button(digit))) => {
                self.entered.push(digit);
                ctx.event_timeout(ATTEMPT, Payload::Forget);
                if self.entered.len() == self.code.len() {
                    ctx.next_event(Event::Internal(Payload::Verify { attempt: 1 }));
                }
            }
            (State::Locked, Event::EventTimeout(Payload::Forget)) => self.entered.clear(),
            (State::Locked, Event::Internal(Payload::Verify { attempt })) => {
                let is_right = self.entered == self.code;
                return Ok(Next::State(match is_right {
                    true => State::Open,
                    false => State::Blocked { attempts: attempt },
                }));
            }
            (State::Open, Event::StateTimeout(Payload::Lock)) => {
                return Ok(Next::State(State::Locked));
            }
            (State::Blocked { attempts: 1.. }, Event::Cast(Cast::Reset)) => {
                return Ok(Next::State(State::Locked));
            }
            _ => {} // a button of an open or blocked door, a stray message
        }
        Ok(Next::Keep)
    }

    fn state_name(state: &State) -> &'static str {
        match state {
            State::Locked => "locked",
            State::Open => "open",
            State::Blocked { .. } => "blocked",
        }
    }

    fn event_name(event: &Event<Self>) -> &'static str {
        match event {
            Event::Internal(_) => "code",
            Event::StateTimeout(_) => "lock",
            Event::Cast(Cast::Reset) => "reset",
            event => event.kind(),
        }
    }
}

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A visitor waits in front of the locked door, and enters when another person types the code.
async fn enter(door: &MachineRef<Door>) -> Outcome {
    let visitor = tokio::spawn({
        let door = door.clone();
        async move { door.call(Call::Enter).await }
    });
    while door.peek(Machine::postponed).await? == 0 {
        tokio::task::yield_now().await;
    }
    press(door, [1, 2, 3]);
    visitor.await??;
    assert!(door.call(Call::IsLit).await?);
    Ok(())
}

/// The door locks itself, and a wrong code blocks it.
async fn block(door: &MachineRef<Door>) -> Outcome {
    tokio::time::sleep(2 * OPEN).await;
    assert_eq!(door.get_status().await?.line.as_deref(), Some("locked"));
    assert!(!door.call(Call::IsLit).await?);
    press(door, [3, 3, 3]);
    assert_eq!(door.get_status().await?.line.as_deref(), Some("blocked"));
    door.cast(Cast::Reset);
    assert_eq!(door.get_status().await?.line.as_deref(), Some("locked"));
    Ok(())
}

fn press(door: &MachineRef<Door>, digits: [u8; 3]) {
    digits.into_iter().for_each(|digit| assert!(door.cast(Cast::Button(digit))));
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Outcome {
    let is_quiet = std::env::args().any(|arg| arg == "--selftest");
    let rt = Runtime::new();
    let child = Door::child(vec![1, 2, 3]).with_id("front door").named(DOOR);
    let tree = Supervisor::one_for_one().named("house").child(child).start(&rt).await?;
    let door = rt.server(DOOR);
    let check = TransitionCheck::<Door>::new();
    check.watch(&door).await?;
    enter(&door).await?;
    let snapshot = tree.tree().await?.to_string();
    block(&door).await?;

    // The machine has made each transition that it declares, and no other.
    assert_eq!(check.to_string(), "as declared");
    let pid = door.pid().ok_or("the door has ended")?;
    let status = rt.machine_status(pid).ok_or("the door is no machine")?;
    let changes: Vec<String> = status.recent.iter().map(ToString::to_string).collect();
    assert_eq!(changes, CHANGES);
    if !is_quiet {
        let diagram = Transition::diagram(Door::TRANSITIONS);
        println!("{snapshot}\n\n{}\n\n{diagram}", changes.join("\n"));
    }
    tree.stop().await?;
    Ok(())
}
