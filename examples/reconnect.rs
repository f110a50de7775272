//! A client that stays connected, as a state machine: connecting, connected, waiting.
//!
//! You learn how a machine connects in a task, outside of its handlers, postpones requests while it is
//! not connected, bounds what it postpones, and waits longer after each failed attempt. A request is sent
//! and its answer awaited in the handler, with a time limit: the client sends one request at a time, so it
//! has nothing else to do meanwhile.
//!
//! ```text
//! cargo run --example reconnect
//! ```
//!
//! The service is in this program too: it refuses two connections, answers, and breaks a connection.
//! You will see the changes of the client. `-- --selftest` prints nothing.

use std::error::Error;
use std::time::Duration;

use regrow::{
    EnterContext, Event, Health, MachineContext, Next, Reply, Result, Runtime, StateMachine,
    Supervisor,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long the service may take to answer. Then the connection is given up.
const ANSWER: Duration = Duration::from_secs(5);

/// What all states share.
struct Client {
    address: String,
    attempts: u32,
    /// Not in the state: a state is compared, and a handler cannot change it in place.
    stream: Option<BufReader<TcpStream>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Connecting,
    Connected,
    Waiting,
}

/// A line to send, and the line that answers it.
enum Call {
    Ask(String, Reply<String>),
}

enum Cast {
    /// The result of the task that connects.
    Connected(std::io::Result<TcpStream>),
}

impl StateMachine for Client {
    type Args = String;
    type State = State;
    type Call = Call;
    type Cast = Cast;
    type Payload = ();

    /// Requests beyond these get `Overloaded`, as from a full mailbox.
    const MAX_POSTPONED: Option<usize> = Some(1_000);

    async fn init(address: String, _: &mut MachineContext<'_, Self>) -> Result<(State, Self)> {
        Ok((State::Connecting, Client { address, attempts: 0, stream: None }))
    }

    async fn state_enter(
        &mut self,
        _: Option<&State>,
        state: &State,
        ctx: &mut EnterContext<'_, Self>,
    ) -> Result {
        match state {
            State::Connecting => {
                ctx.set_health(Health::Starting);
                let address = self.address.clone();
                let connect = async move { TcpStream::connect(address).await };
                ctx.spawn_task(connect, Cast::Connected);
                ctx.state_timeout(Duration::from_secs(5), ());
            }
            State::Connected => {
                self.attempts = 0;
                ctx.set_health(Health::Ready);
            }
            State::Waiting => {
                self.attempts = (self.attempts + 1).min(6);
                ctx.set_health(Health::Unready("not connected".into()));
                ctx.state_timeout(Duration::from_millis(5 << self.attempts), ());
            }
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
            (State::Connecting, Event::Cast(Cast::Connected(Ok(stream)))) => {
                self.stream = Some(BufReader::new(stream));
                Ok(Next::State(State::Connected))
            }
            (State::Connecting, Event::Cast(Cast::Connected(Err(_))) | Event::StateTimeout(())) => {
                Ok(Next::State(State::Waiting))
            }
            (State::Waiting, Event::StateTimeout(())) => Ok(Next::State(State::Connecting)),
            (State::Connected, Event::Call(Call::Ask(line, reply))) => {
                let asked = timeout(ANSWER, ask(&mut self.stream, &line)).await;
                match asked.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                    Ok(answer) => {
                        reply.send(answer);
                        Ok(Next::Keep)
                    }
                    Err(_) => {
                        self.stream = None;
                        // It is asked again over the next connection.
                        ctx.postpone(Event::Call(Call::Ask(line, reply)));
                        Ok(Next::State(State::Waiting))
                    }
                }
            }
            (_, event @ Event::Call(_)) => Ok(ctx.postpone(event)),
            _ => Ok(Next::Keep), // an attempt that took too long, a stray message
        }
    }

    fn state_name(state: &State) -> &'static str {
        match state {
            State::Connecting => "connecting",
            State::Connected => "connected",
            State::Waiting => "waiting",
        }
    }
}

async fn ask(stream: &mut Option<BufReader<TcpStream>>, line: &str) -> std::io::Result<String> {
    let stream = stream.as_mut().ok_or(std::io::ErrorKind::NotConnected)?;
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    let mut answer = String::new();
    match stream.read_line(&mut answer).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(answer.trim_end().to_owned()),
    }
}

/// A service that closes its first two connections at once, and any other after three answers.
async fn serve(listener: TcpListener) -> std::io::Result<()> {
    for connection in 0.. {
        let (stream, _) = listener.accept().await?;
        let mut stream = BufReader::new(stream);
        for _ in 0..if connection < 2 { 0 } else { 3 } {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                break;
            }
            stream.write_all(line.to_uppercase().as_bytes()).await?;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let is_quiet = std::env::args().any(|arg| arg == "--selftest");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let service = tokio::spawn(serve(listener));

    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(Client::child(address).named("client"));
    let tree = tree.start(&rt).await?;
    let client = rt.server::<regrow::Machine<Client>>("client");
    // No request is lost, whatever happens to the connections.
    for n in 1..=8 {
        let answer = client.call(|reply| Call::Ask(format!("line {n}"), reply)).await?;
        assert_eq!(answer, format!("LINE {n}"));
    }
    let pid = client.pid().ok_or("the client has ended")?;
    let status = rt.machine_status(pid).ok_or("the client is no machine")?;
    assert_eq!(status.state, "connected");
    assert!(status.changes >= 10, "{} changes", status.changes);
    if !is_quiet {
        status.recent.iter().for_each(|change| println!("{change}"));
    }
    tree.stop().await?;
    service.abort();
    Ok(())
}
