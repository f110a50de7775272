//! The self-test: the room and its users as programs of their own, which are killed.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How long a line may take. Elixir needs some seconds to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn run() -> ExitCode {
    match chat() {
        Ok(()) => {
            println!("All assertions held.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("An assertion failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn chat() -> Outcome {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port().to_string();
    let room = Peer::rust("room", &["room", &port])?;
    room.prints("the room is open")?;
    let mut ann = Peer::rust("ann", &["user", "ann", &port])?;
    ann.prints("in the room: ann")?;
    let mut bob = Peer::rust("bob", &["user", "bob", &port])?;
    bob.prints("in the room: ")?;
    ann.prints("bob joined")?;
    bob.says("good morning")?;
    ann.prints("bob: good morning")?;

    println!("\n-- a user in Elixir");
    if let Some(eve) = Peer::elixir(&port)? {
        eve.prints("in the room: ")?;
        bob.prints("eve joined")?;
        ann.prints("eve: hello from Elixir")?;
        ann.says("hello, eve")?;
        eve.prints("ann: hello, eve")?;
        ann.prints("eve left: ")?;
    } else {
        println!("SKIPPED: there is no elixir; apt-get install elixir");
    }

    println!("\n-- bob is killed");
    drop(bob);
    ann.prints("bob left: noconnection")?;

    println!("\n-- the room is killed, and opens again");
    drop(room);
    ann.prints("the room is gone: noconnection")?;
    let room = Peer::rust("room", &["room", &port])?;
    room.prints("the room is open")?;
    ann.prints("in the room: ann")?;
    Ok(())
}

/// Another program, which is killed when this is dropped.
struct Peer {
    program: Child,
    lines: mpsc::Receiver<String>,
}

impl Peer {
    fn rust(name: &'static str, args: &[&str]) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Peer::start(name, command.args(args))
    }

    /// Returns `None` if Elixir is not installed.
    fn elixir(port: &str) -> Outcome<Option<Self>> {
        if Command::new("elixir").arg("--version").stdout(Stdio::null()).status().is_err() {
            return Ok(None);
        }
        let erl = format!("-start_epmd false -erl_epmd_port {port} -dist_listen false");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cluster/eve.exs");
        let mut command = Command::new("elixir");
        command.args(["--erl", &erl, "--name", "eve@127.0.0.1", "--cookie", "chat"]).arg(script);
        Peer::start("eve", &mut command).map(Some)
    }

    fn start(name: &'static str, command: &mut Command) -> Outcome<Self> {
        let command = command.env_remove("CHAT_COOKIE");
        let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = program.stdout.take().ok_or("no output")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                println!("    {name:5} {line}");
                drop(sender.send(line));
            }
        });
        Ok(Peer { program, lines })
    }

    fn says(&mut self, line: &str) -> Outcome {
        let input = self.program.stdin.as_mut().ok_or("no input")?;
        Ok(writeln!(input, "{line}")?)
    }

    /// Reads lines until one contains this text.
    fn prints(&self, text: &str) -> Outcome {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) if line.contains(text) => return Ok(()),
                Ok(_) => {}
                Err(_) => return Err(format!("it never printed {text:?}").into()),
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.program.kill());
        drop(self.program.wait());
    }
}
