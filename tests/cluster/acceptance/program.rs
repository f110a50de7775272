//! A node of this crate in a program of its own, which a test can stop, kill, and start in a network
//! namespace. The program is this test program, started again.
//!
//! It reads commands, one a line, and answers each with a line:
//!
//! | command | answer |
//! |---|---|
//! | `connect NODE` | `ok`, or the error |
//! | `disconnect NODE` | `true` or `false` |
//! | `nodes` | the nodes that it is connected to |
//! | `change` | waits for the next `up NODE` or `down NODE` |
//! | `ask NODE` | calls `kv` of that node with `size`: the answer, or the error |
//! | `watch NODE NAME` | `ok`; the probe monitors a process of that node |
//! | `send NODE NAME TEXT` | whether the text could be queued |
//! | `next` | waits for what the probe receives next |
//! | `rest` | what the probe has received beside that |
//! | `join GROUP`, `leave GROUP` | `ok`; the probe joins, or leaves, a group |
//! | `members GROUP` | the members, each as its node and its number |
//!
//! The probe is a process that traps exits. It has the name `probe`, and links itself to the pid of a
//! message `{link, Pid}`.

use std::process::Stdio;

use regrow::cluster::{Atom, Cookie, EncodedTerm, ExternalPid, Node, Resolver};
use regrow::{GenServer, NodeChange, Pid, ProcessHandle, Received, Runtime, Supervisor};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Duration, timeout};

use crate::beam::{COOKIE, Place, send_signal};
use crate::kv::{KV, Kv};
use crate::pairs::subscribe;
use crate::pg_beam;

const NAME: &str = "REGROW_TEST_NODE";
const SETTINGS: &str = "REGROW_TEST_NODE_SETTINGS";
const TEST: &str = "acceptance::program::a_node_runs_the_commands_of_its_input";

/// How long an answer may take. It ends a test that would never end.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// A running program.
pub(crate) struct Program {
    pub(crate) process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts a node. The settings are words such as `tick=4`, `groups=pg`, `port=9100`, and
    /// `peer=NODE/ADDRESS`, for a fixed address instead of EPMD.
    pub(crate) async fn start(place: &Place, name: &str, settings: &str) -> Program {
        let this = std::env::current_exe().unwrap();
        let mut command = place.command(this.to_str().unwrap());
        let settings = format!("epmd={} at={} {settings}", place.epmd_port, place.address);
        command.args(["--exact", TEST, "--nocapture"]).env(NAME, name).env(SETTINGS, settings);
        let mut program = Program::spawn(command);
        assert_eq!(program.answer().await, "ready");
        program
    }

    fn spawn(mut command: Command) -> Program {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Program { process, input, output }
    }

    /// Sends a command, and returns its answer.
    pub(crate) async fn ask(&mut self, command: &str) -> String {
        self.send(command).await;
        self.answer().await
    }

    /// Sends a command, whose answer the next call of [`answer`](Self::answer) returns.
    pub(crate) async fn send(&mut self, command: &str) {
        self.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn answer(&mut self) -> String {
        let answer = async {
            loop {
                let line = self.output.next_line().await.unwrap();
                let line = line.expect("the program has ended");
                if let Some(answer) = line.strip_prefix("=> ") {
                    return answer.to_owned();
                }
            }
        };
        timeout(ANSWER_LIMIT, answer).await.expect("the program answers in two minutes")
    }

    /// Asks until the answer is this one, for at most two minutes.
    pub(crate) async fn until(&mut self, command: &str, expected: &str) {
        let mut last = String::new();
        let waiting = async {
            loop {
                last = self.ask(command).await;
                if last == expected {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        let waited = timeout(ANSWER_LIMIT, waiting).await;
        assert!(waited.is_ok(), "{command}: {last}, expected {expected}");
    }

    /// Sends a signal of the operating system.
    pub(crate) async fn signal(&self, signal: &str) {
        send_signal(&self.process, signal).await;
    }
}

/// The program. As a test, it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_runs_the_commands_of_its_input() {
    let Ok(name) = std::env::var(NAME) else { return };
    let settings = std::env::var(SETTINGS).unwrap();
    let rt = Runtime::new();
    let (_, changes) = subscribe(&rt);
    let (probe, received) = probe(&rt);
    let node = node(&rt, &name, &settings);
    let tree = Supervisor::one_for_one().child(Kv::child(()).named(KV)).child(node);
    let _tree = tree.start(&rt).await.unwrap();
    let mut served = Served { rt, probe, received, changes };
    say("ready");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let words: Vec<_> = line.split(' ').collect();
        say(&served.run(&words).await);
    }
}

fn say(answer: &str) {
    // The test runner writes to the same lines.
    println!("\n=> {answer}");
}

fn node(rt: &Runtime, name: &str, settings: &str) -> Node {
    let mut node = Node::new(name).cookie(Cookie::new(COOKIE)).expose(KV).allow_plaintext();
    let names = rt.clone();
    node = node.function("names", "find", move |(name,): (Atom,)| {
        let pid = names.whereis(name.as_str());
        async move { pid }
    });
    let (mut address, mut port, mut epmd, mut peers) = (None, 0, None, Vec::new());
    for setting in settings.split_whitespace() {
        let (key, value) = setting.split_once('=').unwrap();
        match key {
            "at" => address = Some(value.parse::<std::net::IpAddr>().unwrap()),
            "port" => port = value.parse().unwrap(),
            "epmd" => epmd = Some(value.parse().unwrap()),
            "tick" => node = node.tick_time(Duration::from_secs(value.parse().unwrap())),
            "groups" => node = node.groups(value),
            "peer" => peers.push(value.split_once('/').unwrap()),
            _ => panic!("{setting}"),
        }
    }
    let epmd = epmd.filter(|_| peers.is_empty());
    let mut resolver = epmd.map_or_else(Resolver::without_epmd, Resolver::epmd_at);
    for (peer, address) in peers {
        resolver = resolver.node(peer, address.parse::<std::net::SocketAddr>().unwrap());
    }
    node.listen((address.unwrap(), port)).resolver(resolver)
}

/// A process that traps exits, links itself on request, and passes on all else that it receives.
fn probe(rt: &Runtime) -> (ProcessHandle, UnboundedReceiver<Received>) {
    let (sender, received) = unbounded_channel();
    let probe = rt.spawn(|mut ctx| async move {
        loop {
            let received = ctx.recv().await;
            if let Some(pid) = linked(&ctx.runtime(), &received) {
                ctx.runtime().link(ctx.pid(), pid);
            } else if sender.send(received).is_err() {
                return;
            }
        }
    });
    rt.set_trap_exit(probe.pid(), true);
    assert!(rt.register("probe", probe.pid()));
    (probe, received)
}

/// Returns the pid of a message `{link, Pid}`.
fn linked(rt: &Runtime, received: &Received) -> Option<Pid> {
    let Received::Term(term) = received else { return None };
    let (tag, pid) = term.decode::<(Atom, ExternalPid)>().ok()?;
    (tag.as_str() == "link").then(|| rt.pid_of(&pid))?
}

/// What the commands use.
struct Served {
    rt: Runtime,
    probe: ProcessHandle,
    received: UnboundedReceiver<Received>,
    changes: UnboundedReceiver<(String, NodeChange)>,
}

impl Served {
    #[expect(clippy::too_many_lines, reason = "one arm for each command")]
    async fn run(&mut self, words: &[&str]) -> String {
        let (rt, probe) = (&self.rt, self.probe.pid());
        match words {
            ["connect", node] => {
                let connected = rt.node(*node).connect().await;
                connected.map_or_else(|error| format!("{error:?}"), |()| "ok".to_owned())
            }
            ["disconnect", node] => rt.node(*node).disconnect().await.to_string(),
            ["nodes"] => {
                let mut nodes = rt.connected_nodes().await;
                nodes.sort();
                nodes.join(" ")
            }
            ["change"] => match self.changes.recv().await.unwrap() {
                (node, NodeChange::Up) => format!("up {node}"),
                (node, _) => format!("down {node}"),
            },
            ["ask", node] => {
                let size = Atom::new("size").unwrap();
                let answer = rt.node(*node).process("kv").call::<u32>(size).await;
                answer.map_or_else(|error| format!("{error:?}"), |size| size.to_string())
            }
            ["watch", node, name] => {
                rt.node(*node).process(*name).monitor(probe);
                "ok".to_owned()
            }
            ["send", node, name, text] => {
                rt.node(*node).process(*name).send(EncodedTerm::new(text).unwrap()).to_string()
            }
            ["next"] => shown(&self.received.recv().await.unwrap()),
            ["rest"] => {
                let rest = std::iter::from_fn(|| self.received.try_recv().ok());
                rest.map(|received| shown(&received)).collect::<Vec<_>>().join("; ")
            }
            ["join", group] => {
                rt.register_tag(*group, probe);
                "ok".to_owned()
            }
            ["leave", group] => {
                rt.unregister_tag(group, probe);
                "ok".to_owned()
            }
            ["members", group] => pg_beam::shown(rt, &rt.whereis_tag(group)),
            _ => panic!("{words:?}"),
        }
    }
}

fn shown(received: &Received) -> String {
    match received {
        Received::Exit { reason, .. } => format!("exit {reason}"),
        Received::Down { reason, .. } => format!("down {reason}"),
        Received::DownName { name, reason, .. } => format!("down {name} {reason}"),
        Received::Term(term) => term.term().unwrap().to_string(),
        other => format!("{other:?}"),
    }
}
